"""Missing Pango is found before the work, with the command that installs it."""

import builtins
import sys
from typing import Any

import pytest

from fashionbench.errors import SetupError
from fashionbench.report.render import check_pango


@pytest.mark.parametrize(("system", "remedy"), [("linux", "apt-get install -y libpango"), ("darwin", "brew install p")])
def test_missing_pango_is_told_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, system: str, remedy: str
) -> None:
    real_import = builtins.__import__

    def without_pango(name: str, *rest: Any) -> object:
        if name == "weasyprint":
            raise OSError("cannot load library 'libpango-1.0-0'\nAdditionally, ctypes failed")
        return real_import(name, *rest)

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(builtins, "__import__", without_pango)

    with pytest.raises(SetupError, match=rf"Pango is missing \(cannot load library 'libpango-1.0-0'\).*{remedy}"):
        check_pango()


def test_pango_that_is_there_passes() -> None:
    check_pango()
