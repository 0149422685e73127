"""Running: many cases, from a plan to a report.

It may import every other package; nothing imports it but the command line and bench/.
"""
