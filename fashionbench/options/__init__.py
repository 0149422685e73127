"""Options: every option of the command line and of the benchmark once, and how its text is read.

It imports errors and catalogue only: ``--help`` must not wait for torch, pydantic or NumPy.
"""
