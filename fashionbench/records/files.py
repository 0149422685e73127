"""Files and folders: atomic writes, the lock of a folder, and the check of the output folder."""

import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from fashionbench.errors import SetupError
from fashionbench.opening import leads_out_of

__all__ = [
    "IN_USE",
    "UNFINISHED_SUFFIX",
    "check_output",
    "claim_folder",
    "lock_folder",
    "temporary_folder",
    "write_atomically",
    "write_output",
]

OUTPUT_BYTES_NEEDED: Final = 200 * 1024**2
"""Space for the records, the benchmark JSON and the report of a large run."""

UNFINISHED_SUFFIX: Final = ".unfinished"
"""Suffix of a temporary file, next to the file that it will replace."""

UNFINISHED: Final = re.compile(rf"\..+\.[0-9a-f]{{8}}{re.escape(UNFINISHED_SUFFIX)}")
"""The names that ``write_atomically`` gives to its temporary files."""

FOLDERS: Final = (".", "records", "checkpoints", "trials")
"""Where a run writes, below its output folder."""

TEMPORARY_PREFIX: Final = "fashionbench-"

IN_USE: Final = ".in-use-by-fashionbench"
"""The locked file by which a temporary folder is known as ours. The lock of a killed process ends with it."""

SECONDS_TO_LOCK: Final = 60.0
"""A younger folder may be one that is just being made."""


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


@contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """Yield a new folder, and remove it at the end; those that killed processes left behind are removed first.

    Args:
        parent: Where to make it; None: where the system has temporary files.

    Raises:
        SetupError: It cannot be written.

    """
    folder, lock = claim_folder(parent)
    try:
        yield folder
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def claim_folder(parent: Path | None = None, longest: int | None = None) -> tuple[Path, BaseFileLock]:
    """Make a folder that is this process's until its lock is released, and remove those of killed processes.

    Args:
        parent: Where to make it; None: where the system has temporary files.
        longest: If the path of that has more bytes, the folder is made in ``/tmp``.

    Raises:
        SetupError: It cannot be written.

    """
    try:
        parent = parent or Path(tempfile.gettempdir())
        if longest is not None and len(os.fsencode(parent)) > longest:
            parent = Path("/tmp")  # noqa: S108 - a folder of our own is made in it
        _remove_folders_of_killed(parent)
        folder = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=parent))
        lock = FileLock(folder / IN_USE, timeout=0, thread_local=False)
        lock.acquire()
    except OSError as error:
        raise SetupError(
            f"no folder for temporary files can be written ({error.strerror or error})",
            expected="a folder with free space, such as /tmp",
            remedy="set TMPDIR to such a folder",
        ) from error
    return folder, lock


def _remove_folders_of_killed(parent: Path) -> None:
    for path in parent.glob(f"{TEMPORARY_PREFIX}*/{IN_USE}"):
        with suppress(OSError):  # in use, or it has just gone
            status = path.lstat()
            is_ours = sys.platform == "win32" or status.st_uid == os.getuid()
            if is_ours and stat.S_ISREG(status.st_mode) and time.time() - status.st_mtime > SECONDS_TO_LOCK:
                with FileLock(path, timeout=0):
                    pass
                shutil.rmtree(path.parent, ignore_errors=True)
