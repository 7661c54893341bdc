"""Builds the zip that Azure Functions runs, and prepares its release."""
