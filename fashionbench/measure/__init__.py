"""Measuring: from a case to a record. Needs torch; never draws."""
