"""Judging: from records to statistics, verdict, claims, comparison and prices.

May import records; never torch, pandas or matplotlib.
"""
