"""Training: one case, from its first batch to its record.

Of the packages it imports execution, models, data, devices, records and recipe; never judging or report.
"""
