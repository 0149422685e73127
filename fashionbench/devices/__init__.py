"""Devices: what there is, and how to wait for it, measure its memory and describe it. May import records."""
