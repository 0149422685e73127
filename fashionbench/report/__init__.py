"""Reporting: from records and a verdict to frames, figures, chapters and pages.

May import judging and records; never torch.
"""
