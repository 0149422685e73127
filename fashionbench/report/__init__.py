"""Reporting: from records and a verdict to frames, figures, chapters and pages.

Of the packages it imports judging, records, options and recipe; never torch.
"""
