"""Estimates with their confidence intervals: accuracies, times, classes; pure functions of plain arrays and results."""
