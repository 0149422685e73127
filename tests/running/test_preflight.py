"""What would fail after an hour fails in the first seconds, with the remedy."""

import builtins
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cases import CPU

from fashionbench.data.dataset import Dataset
from fashionbench.errors import SetupError
from fashionbench.recipe import Recipe
from fashionbench.running.preflight import check_output, check_pango, estimate_seconds
from fashionbench.training.case import Case


class Usage(NamedTuple):
    free: int


@pytest.mark.parametrize(("system", "remedy"), [("linux", "apt-get install -y libpango"), ("darwin", "brew install p")])
def test_missing_pango_is_told_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, system: str, remedy: str
) -> None:
    real_import = builtins.__import__

    def without_pango(name: str, *rest: Any) -> object:  # noqa: ANN401 - passed through
        if name == "weasyprint":
            raise OSError("cannot load library 'libpango-1.0-0'\nAdditionally, ctypes failed")
        return real_import(name, *rest)

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(builtins, "__import__", without_pango)

    with pytest.raises(SetupError, match=rf"Pango is missing \(cannot load library 'libpango-1.0-0'\).*{remedy}"):
        check_pango()


def test_pango_that_is_there_passes() -> None:
    check_pango()


def test_an_output_folder_is_made(tmp_path: Path) -> None:
    check_output(tmp_path / "new" / "reports")

    assert list((tmp_path / "new" / "reports").iterdir()) == []


def test_an_output_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "reports"
    path.write_text("")

    with pytest.raises(SetupError, match=r"cannot be written \(File exists\)\. Expected a writable folder\. Choose"):
        check_output(path)


def test_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free=5 * 1024**2))

    with pytest.raises(SetupError, match=r"5 MiB free where .*\. Expected at least 200 MiB\. Free some space"):
        check_output(tmp_path)


@pytest.mark.parametrize("execution", ["fast", "plain"])
def test_an_estimate_grows_with_the_epochs(sample: Dataset, execution: str) -> None:
    short, long = (
        Case(
            model="fashioncnn",
            device=CPU,
            recipe=Recipe(name="x", epochs=epochs),
            seed=0,
            execution="fast" if execution == "fast" else "plain",
        )
        for epochs in (1, 1_000)
    )

    assert estimate_seconds(long, sample) > 20 * estimate_seconds(short, sample) > 0
