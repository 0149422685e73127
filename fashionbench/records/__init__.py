"""Records: what measuring writes and everything else reads.

It imports options, recipe, catalogue, errors and opening; never torch, pandas or matplotlib.
"""
