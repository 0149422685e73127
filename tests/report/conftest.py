"""The report that several test modules read, and drawings that no coverage follows."""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from importlib import import_module
from typing import ParamSpec, TypeVar

import pytest
from matplotlib.figure import Figure
from synthetic import make_study

from fashionbench.report.page import Report, write_report

P = ParamSpec("P")
T = TypeVar("T")


def untraced(function: Callable[P, T]) -> Callable[P, T]:
    """Call a function while no coverage is measured."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            return function(*args, **kwargs)
        finally:
            sys.settrace(tracer)

    return call


@pytest.fixture(scope="session", autouse=True)
def _untraced_drawing() -> Iterator[None]:
    """Until Python 3.13, coverage follows every line of matplotlib and WeasyPrint, for half as much time again."""
    drawing: list[tuple[type, str]] = [(Figure, "savefig")]
    with suppress(OSError):  # where Pango is missing
        drawing.append((import_module("weasyprint").HTML, "write_pdf"))
    with pytest.MonkeyPatch.context() as patch:
        for kind, name in drawing:
            patch.setattr(kind, name, untraced(getattr(kind, name)))
        yield


@pytest.fixture(scope="session")
def study_report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of both study models with three seeds, in all formats."""
    return write_report(make_study(3), tmp_path_factory.mktemp("report"))
