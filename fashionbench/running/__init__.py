"""Running: many cases, from a plan to a report.

May import every measuring room below it, judging and the report; nothing imports it but the command line and bench/.
"""
