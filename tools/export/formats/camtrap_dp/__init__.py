"""Camtrap DP 1.0.2, the data package of camera traps that GBIF takes (camtrap-dp.tdwg.org)."""
