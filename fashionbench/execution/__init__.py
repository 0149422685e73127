"""Execution: how a training step is computed without changing what is computed.

May import models, data, devices and records.
"""
