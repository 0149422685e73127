"""Recipes: how to train, the recipes that are built in, and the reader of recipe files.

It may import errors and opening only; no torch.
"""
