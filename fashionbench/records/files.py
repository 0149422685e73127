"""Files and folders: atomic writes, the lock of a folder, and the check of the output folder."""

import os
import re
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from fashionbench.errors import SetupError
from fashionbench.opening import leads_out_of

__all__ = ["UNFINISHED_SUFFIX", "check_output", "lock_folder", "write_atomically", "write_output"]

OUTPUT_BYTES_NEEDED: Final = 200 * 1024**2
"""Space for the records, the benchmark JSON and the report of a large run."""

UNFINISHED_SUFFIX: Final = ".unfinished"
"""Suffix of a temporary file, next to the file that it will replace."""

UNFINISHED: Final = re.compile(rf"\..+\.[0-9a-f]{{8}}{re.escape(UNFINISHED_SUFFIX)}")
"""The names that ``write_atomically`` gives to its temporary files."""

FOLDERS: Final = (".", "records", "checkpoints", "trials")
"""Where a run writes, below its output folder."""


def check_output(out: Path, bytes_needed: int = OUTPUT_BYTES_NEEDED) -> None:
    """Create the output folder and check that it is writable and has free space.

    Raises:
        SetupError: The folder cannot be written, or the disk is nearly full.

    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise SetupError(
            f"output folder {out} cannot be written ({error.strerror})",
            expected="a writable folder",
            remedy="choose another folder with --out",
        ) from error
    free = shutil.disk_usage(out).free
    if free < bytes_needed:
        raise SetupError(
            f"output folder {out} has {free / 1024**2:,.0f} MiB of free space",
            expected=f"at least {bytes_needed / 1024**2:,.0f} MiB",
            remedy="free some space, or choose another folder with --out",
        )


def write_atomically(path: Path, content: bytes) -> None:
    """Write a temporary file, flush it to the disk and rename it, so that ``path`` is never incomplete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{UNFINISHED_SUFFIX}")
    try:
        with temporary.open("xb") as file:  # not by tempfile: its files are for their owner only, whatever the umask
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def write_output(path: Path, content: bytes) -> None:
    """Write a file that the user asked for, as ``write_atomically`` does.

    Raises:
        SetupError: It cannot be written.

    """
    try:
        write_atomically(path, content)
    except OSError as error:
        raise SetupError(
            f"file {path} cannot be written ({error.strerror})",
            expected="free disk space and write permission",
            remedy="free some space, or choose another folder with --out",
        ) from error


@contextmanager
def lock_folder(folder: Path, owner: str) -> Iterator[None]:
    """Lock a folder while the block runs. The operating system removes the lock of a killed process.

    Args:
        folder: The folder for records.
        owner: A description of this process, shown to others.

    Raises:
        SetupError: Another process has the lock, the folder cannot be written, or a link leads out of it.

    """
    for name in FOLDERS:
        if leads_out_of(folder, folder / name):
            raise SetupError(
                f"folder {folder / name} is a link that leads out of {folder}",
                expected="folders of its own, in which a run writes and tidies up",
                remedy="remove the link, or choose another folder with --out",
            )
    path = folder / ".lock"
    described = path.with_name(".lock-owner")  # Windows lets nobody write or read the locked file itself
    try:
        lock = _acquire(path)
    except Timeout as error:
        with suppress(OSError):
            owner = described.read_text(encoding="utf-8", errors="replace")[:200]
        raise SetupError(
            f"folder {folder} is in use by another run ({owner})",
            expected="one run at a time in a folder",
            remedy=f"wait for it to end, or choose another folder with --out; if no such process runs, delete {path}",
        ) from error
    except OSError as error:
        raise SetupError(
            f"folder {folder} cannot be locked ({error.strerror})",
            expected="a writable folder",
            remedy="choose another folder with --out",
        ) from error
    try:
        write_atomically(described, owner.encode(errors="replace"))  # not through a link
        _remove_unfinished(folder)
        yield
    finally:
        for each in (described, path):
            with suppress(OSError):
                each.unlink()
        lock.release()


def _acquire(path: Path) -> BaseFileLock:
    """Lock a file; on a drive that has no locks, such as some network drives, by its mere existence."""
    was_there = path.exists()
    lock: BaseFileLock = FileLock(path, timeout=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # where filelock finds out itself that there are no locks
        try:
            lock.acquire()
        except Timeout:
            raise
        except OSError:
            if not was_there:
                path.unlink(missing_ok=True)  # that of the attempt
            lock = SoftFileLock(path, timeout=0)
            lock.acquire()
    return lock


def _remove_unfinished(folder: Path) -> None:
    """Remove what a killed run was writing; files of others stay."""
    for name in FOLDERS:
        for left in (folder / name).glob(f".*{UNFINISHED_SUFFIX}"):
            if UNFINISHED.fullmatch(left.name):
                left.unlink(missing_ok=True)
