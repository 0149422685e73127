"""Files are written atomically, a folder is locked by one run, and an output folder is checked before the work."""

from pathlib import Path

import pytest

from fashionbench.errors import SetupError
from fashionbench.records.files import UNFINISHED_SUFFIX, check_output, lock_folder, write_atomically


def test_a_file_is_replaced_and_no_other_file_remains(tmp_path: Path) -> None:
    path = tmp_path / "new" / "record.json"
    write_atomically(path, b"old")

    write_atomically(path, b"new")

    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    (path / "inside").mkdir(parents=True)  # a folder cannot be replaced by a file

    with pytest.raises(OSError, match=r"record\.json"):
        write_atomically(path, b"new")

    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_locked_by_one_run_and_another_run_sees_which(tmp_path: Path) -> None:
    with (
        lock_folder(tmp_path, "process 1, the first"),
        pytest.raises(
            SetupError, match=r"in use by another run \(process 1, the first\)\. Expected one .*\. Wait for it"
        ),
        lock_folder(tmp_path, "process 2"),
    ):
        pass

    assert [*tmp_path.iterdir()] == []
    with lock_folder(tmp_path, "process 3"):
        assert (tmp_path / ".lock").read_text() == "process 3"


def test_locking_a_folder_removes_temporary_files_of_a_killed_run(tmp_path: Path) -> None:
    left = tmp_path / "records" / f".x.json.abc{UNFINISHED_SUFFIX}"
    left.parent.mkdir()
    left.write_text("half")

    with lock_folder(tmp_path, "process 1"):
        assert not left.exists()


def test_an_output_folder_is_created(tmp_path: Path) -> None:
    check_output(tmp_path / "new" / "reports")

    assert list((tmp_path / "new" / "reports").iterdir()) == []


def test_an_output_folder_that_is_a_file_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "reports"
    path.write_text("")

    with pytest.raises(SetupError, match=r"Output folder .* cannot be written \(.*\)\. Expected a writable folder"):
        check_output(path)


def test_a_full_disk_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"MiB of free space\. Expected at least 1,099,511,627,776 MiB\. Free some"):
        check_output(tmp_path, bytes_needed=2**60)
