"""Files of unknown origin are opened here: regular files only, and of bounded size. What they contain is not known."""

import errno
import os
import stat
import zipfile
from pathlib import Path
from typing import BinaryIO, Final, Protocol

__all__ = [
    "is_file",
    "is_folder",
    "leads_out_of",
    "open_regular",
    "read_at_most",
    "read_regular",
    "require_no_larger",
]

BLOCK: Final = 1024 * 1024


class Readable(Protocol):
    """An open file, or a compressed one's content."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; none at the end."""


def open_regular(path: Path, most_bytes: int | None = None) -> BinaryIO:
    """Open a file to read it. A pipe, a device or a folder could keep a reader waiting for ever.

    Args:
        path: The file.
        most_bytes: The size of the largest file that is opened; None: any.

    Raises:
        OSError: The path cannot be opened, is not a regular file, or is too large.

    """
    # without these flags, a pipe would wait for its writer, and a terminal could become this process's own
    wanted = (os.O_RDONLY, *(getattr(os, name, 0) for name in ("O_BINARY", "O_NONBLOCK", "O_NOCTTY")))
    descriptor = os.open(path, sum(wanted))
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    if most_bytes is not None and status.st_size > most_bytes:
        os.close(descriptor)
        raise _too_large(status.st_size, most_bytes)
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path, most_bytes: int) -> bytes:
    """Return the content of a file.

    Raises:
        OSError: The path cannot be opened, is not a regular file, or is too large.

    """
    with open_regular(path, most_bytes) as stream:
        return read_at_most(stream, most_bytes)  # the file may grow meanwhile


def read_at_most(stream: Readable, most_bytes: int) -> bytes:
    """Return all that is left in a stream, such as that of a compressed file, whose size is not known before.

    Raises:
        OSError: There is more than that.

    """
    content = bytearray()
    while block := stream.read(BLOCK):
        content += block
        if len(content) > most_bytes:
            raise _too_large(len(content), most_bytes)
    return bytes(content)


def _too_large(size: int, most_bytes: int) -> OSError:
    return OSError(errno.EFBIG, f"{size:,} bytes or more, and at most {most_bytes:,} are read")


def leads_out_of(folder: Path, path: Path) -> bool:
    """Return whether a path within a folder is a link, or behind a link, to somewhere else."""
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def require_no_larger(archive: BinaryIO, most_bytes: int) -> None:
    """Require that a zip archive unpacks to no more than some bytes; what it says itself of its parts is added up.

    Raises:
        zipfile.BadZipFile: It is no archive.
        ValueError: It unpacks to more.

    """
    with zipfile.ZipFile(archive) as opened:
        unpacked = sum(part.file_size for part in opened.infolist())
    if unpacked > most_bytes:
        raise ValueError(f"it unpacks to {unpacked:,} bytes, and at most {most_bytes:,} are read")


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder; one that is too long, or that this user may not look at, is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Return whether a path is a regular file, as ``is_folder`` does."""
    try:
        return path.is_file()
    except OSError:
        return False
