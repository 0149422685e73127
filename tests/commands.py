"""The command line, called in this process: what a test needs of a run without starting Python again."""

import sys
from pathlib import Path

import pytest

from fashionbench import cli
from fashionbench.report import page


def call(*arguments: str | Path) -> int:
    """Call the command line and return its exit status; it draws no PDF, which takes seconds."""
    with pytest.MonkeyPatch.context() as monkeypatch, pytest.raises(SystemExit) as left:
        monkeypatch.setattr(sys, "argv", ["fashionbench", *map(str, arguments)])
        monkeypatch.setattr(page, "render_pdf", lambda *_: b"%PDF")  # tests/bench and tests/report make real ones
        cli.main()
    return int(left.value.code or 0)
