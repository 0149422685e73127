"""An output folder that cannot be used is refused before the work."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from fashionbench.errors import SetupError
from fashionbench.records.store import check_output


class Usage(NamedTuple):
    free: int


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
