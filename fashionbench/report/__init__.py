"""Reporting: from records and a verdict to tables, figures, chapters and pages.

May import judging and records; never torch.
"""
