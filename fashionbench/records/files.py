"""Files and folders: atomic writes, the lock of a folder, and the check of the output folder."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from fashionbench.errors import SetupError

__all__ = ["UNFINISHED_SUFFIX", "check_output", "lock_folder", "write_atomically"]

OUTPUT_BYTES_NEEDED: Final = 200 * 1024**2
"""Space for the records, the benchmark JSON and the report of a large run."""

UNFINISHED_SUFFIX: Final = ".unfinished"
"""Suffix of a temporary file, next to the file that it will replace."""


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
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=UNFINISHED_SUFFIX)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def lock_folder(folder: Path, owner: str) -> Iterator[None]:
    """Lock a folder while the block runs. The operating system removes the lock of a killed process.

    Args:
        folder: The folder for records.
        owner: A description of this process, shown to others.

    Raises:
        SetupError: Another process has the lock.

    """
    path = folder / ".lock"
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        with suppress(OSError):
            owner = path.read_text(encoding="utf-8", errors="replace")[:200]
        raise SetupError(
            f"folder {folder} is in use by another run ({owner})",
            expected="one run at a time in a folder",
            remedy="wait for it to end, or choose another folder with --out",
        ) from error
    try:
        path.write_text(owner, encoding="utf-8")
        for left_by_a_killed_run in folder.rglob(f".*{UNFINISHED_SUFFIX}"):
            left_by_a_killed_run.unlink(missing_ok=True)
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        lock.release()
