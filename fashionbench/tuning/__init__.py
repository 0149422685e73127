"""Plans of several recipes: the trials of a tuning, which never see the test images, and the rungs of budgets.

It may import running and everything that running may import; nothing but the command line and the benchmark imports it.
"""
