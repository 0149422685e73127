"""Judging: from records to statistics, verdict, claims, comparison and prices.

It imports records, options, catalogue, units and errors; never torch, pandas or matplotlib.
"""
