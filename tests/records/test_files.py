"""Files are written atomically, a folder is locked by one run, and an output folder is checked before the work."""

import errno
import importlib
import os
import shutil
import sys
from pathlib import Path

import pytest

from fashionbench.errors import SetupError
from fashionbench.records.files import (
    IN_USE,
    UNFINISHED_SUFFIX,
    check_output,
    claim_folder,
    lock_folder,
    temporary_folder,
    write_atomically,
    write_output,
)


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
        assert (tmp_path / ".lock-owner").read_text() == "process 3"


def test_locking_a_folder_removes_unfinished_files_of_a_killed_run_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "mine").mkdir()
    unfinished = f".x.json.0123abcd{UNFINISHED_SUFFIX}"
    others = [tmp_path / f".notes{UNFINISHED_SUFFIX}", tmp_path / "mine" / unfinished]
    left = [tmp_path / unfinished, tmp_path / "records" / unfinished]
    for path in (*others, *left):
        path.write_text("half")

    with lock_folder(tmp_path, "process 1"):
        assert [path.exists() for path in left] == [False, False]
        assert [path.exists() for path in others] == [True, True]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
def test_a_files_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "record.json", b"new")
    finally:
        os.umask(before)

    assert (tmp_path / "record.json").stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(sys.platform == "win32", reason="Windows locks in another way")
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP])
def test_a_drive_without_locks_is_locked_by_a_file_that_the_refusal_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(importlib.import_module("fcntl"), "flock", refuse)

    with (
        lock_folder(tmp_path, "process 1"),
        pytest.raises(SetupError, match=rf"in use .* \(process 1\)\. .* delete {tmp_path / '.lock'}\."),
    ):
        lock_folder(tmp_path, "process 2").__enter__()
    with lock_folder(tmp_path, "process 3"):
        pass
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_cannot_be_locked_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SetupError, match=r"Folder .* cannot be locked \(.*\)\. Expected a writable folder"):
        lock_folder(tmp_path / "file", "process 1").__enter__()


def test_what_the_user_asked_for_and_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")

    with pytest.raises(SetupError, match=r"File .*report\.md cannot be written \(.*\)\. Expected free disk space"):
        write_output(tmp_path / "out" / "report.md", b"new")


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


def test_no_link_leads_a_run_to_write_out_of_its_folder(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (elsewhere / "file").write_text("kept")
    (out / ".lock-owner").symlink_to(elsewhere / "file")

    with lock_folder(out, "process \udcff"):
        described = (out / ".lock-owner").read_text()
    (out / "records").symlink_to(elsewhere)

    assert described == "process ?"
    assert (elsewhere / "file").read_text() == "kept"
    with (
        pytest.raises(SetupError, match=r"out.records is a link that leads out of .*\. Remove the link, or choose"),
        lock_folder(out, "process 1"),
    ):
        pytest.fail("locked")


def test_temporary_folders_of_killed_processes_are_removed_and_no_others(tmp_path: Path) -> None:
    killed, young, results = (tmp_path / f"fashionbench-{name}" for name in ("killed", "young", "results"))
    elsewhere = tmp_path / "elsewhere"
    for folder in (killed, young, elsewhere):
        (folder / "inside").mkdir(parents=True)
        (folder / IN_USE).touch()
    results.mkdir()
    (tmp_path / "fashionbench-link").symlink_to(elsewhere)

    with temporary_folder(tmp_path) as used:
        for folder in (killed, elsewhere, used):
            os.utime(folder / IN_USE, (0, 0))
        with temporary_folder(tmp_path) as other:
            (other / "file").touch()

            assert not killed.exists()
            assert used.exists()

    assert sorted(tmp_path.iterdir()) == sorted([young, results, elsewhere, tmp_path / "fashionbench-link"])
    assert (elsewhere / "inside").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no sockets in the file system, and no /tmp")
def test_a_folder_whose_path_is_too_long_for_a_socket_is_made_in_tmp(tmp_path: Path) -> None:
    folder, lock = claim_folder(tmp_path, longest=4)
    lock.release()
    shutil.rmtree(folder)

    assert folder.parent == Path("/tmp")  # noqa: S108 - what the function promises


def test_a_folder_for_temporary_files_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(SetupError, match=r"No folder for temporary files .* \(No such file or directory\)\. Expected"),
        temporary_folder(tmp_path / "gone"),
    ):
        pass
