"""Missing Pango is found before the work, costs the PDF only, and is told with the command that installs it."""

import builtins
import re
import sys
from typing import Any

import pytest

from fashionbench.errors import SetupError
from fashionbench.report.render import check_pango, find_remedy, possible_formats


@pytest.fixture
def without_pango(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def refuse(name: str, *rest: Any) -> object:
        if name == "weasyprint":
            sys.stdout.write("WeasyPrint could not import some external libraries.")
            raise OSError("cannot load library 'libpango-1.0-0'\nAdditionally, ctypes failed")
        return real_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)


@pytest.mark.usefixtures("without_pango")
def test_missing_pango_is_told_with_the_command_that_brings_it(capsys: pytest.CaptureFixture[str]) -> None:
    remedy = re.escape(find_remedy(sys.platform).removeprefix("run: "))

    with pytest.raises(SetupError, match=rf"Pango is missing \(cannot load library 'libpango-1.0-0'\).*{remedy}"):
        check_pango()
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("without_pango")
def test_without_pango_all_formats_but_the_pdf_are_written_and_the_way_to_it_is_told() -> None:
    told: list[str] = []

    formats = possible_formats(("html", "pdf", "md"), told.append, "fashionbench report x")

    assert formats == ("html", "md")
    (line,) = told
    assert line.startswith("No PDF will be written: the library Pango is missing (")
    assert "print report.html from a browser" in line
    assert line.endswith("fashionbench report x")


@pytest.mark.parametrize(
    ("system", "remedy"),
    [
        ("linux", "run: sudo apt-get install -y libpango"),
        ("darwin", "run: brew install pango"),
        ("win32", "install Pango as https://"),
    ],
)
def test_the_remedy_is_for_the_system(system: str, remedy: str) -> None:
    assert find_remedy(system).startswith(remedy)


@pytest.mark.usefixtures("without_pango")
def test_a_pdf_alone_is_refused_without_pango() -> None:
    with pytest.raises(SetupError, match="Pango is missing"):
        possible_formats(("pdf",), pytest.fail, "again")


def test_with_pango_or_without_a_pdf_nothing_changes() -> None:
    assert possible_formats(("pdf", "md"), pytest.fail, "again") == ("pdf", "md")
    assert possible_formats(("md",), pytest.fail, "again") == ("md",)


def test_pango_that_is_there_passes() -> None:
    check_pango()
