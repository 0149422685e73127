"""Training: one case, from its first batch to its record.

Of the packages it may import execution, models, data, devices and records; never judging or report.
"""
