"""Execution: how a training step is computed without changing what is computed.

Of the packages it imports models, data, devices, records and recipe.
"""
