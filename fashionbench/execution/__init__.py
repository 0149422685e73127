"""Execution: how a training step is computed without changing what is computed.

Of the packages it may import models, data, devices and records.
"""
