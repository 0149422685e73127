"""Reporting: from records to a verdict and its pages. Needs no torch."""
