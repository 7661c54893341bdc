"""Estimates the cost of classifying photos on Azure from published prices and a measurement on this machine."""
