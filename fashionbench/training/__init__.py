"""Training: one case, from its first batch to its record.

May import execution, models, data, devices and records; never judging or report.
"""
