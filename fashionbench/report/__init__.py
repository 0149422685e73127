"""Reporting: from records and a verdict to frames, figures, chapters and pages.

Of the packages it may import judging and records; never torch.
"""
