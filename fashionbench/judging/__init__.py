"""Judging: from records to statistics, verdict, claims, comparison and prices.

Of the packages it may import records; never torch, pandas or matplotlib.
"""
