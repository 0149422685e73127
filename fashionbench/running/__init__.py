"""Running: many cases, from a plan to a report.

It may import every other package but tuning. Only tuning, the command line and bench/ import it.
"""
