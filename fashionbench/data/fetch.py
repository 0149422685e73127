"""Sources of Fashion-MNIST: Debian's package and torchvision's mirror. Nothing is read or verified here."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from torchvision.datasets import FashionMNIST

from fashionbench.errors import SetupError

__all__ = [
    "PACKAGE",
    "SOURCES",
    "Source",
    "download_from_mirror",
    "download_package",
    "find_installed_package",
    "short_timeout",
]

PACKAGE: Final = "dataset-fashion-mnist"

PACKAGE_FOLDER: Final = Path("usr/share/datasets/fashion-mnist")

MIRROR_TIMEOUT_SECONDS: Final = 15.0

PROGRAM_TIMEOUT_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where Fashion-MNIST's current release can be had."""

    name: str
    """For readers of the record."""
    fetch: Callable[[Path, Callable[[str], None]], Path]
    """Fetch the files into an empty folder, say so through the second argument, and return the folder with the files;
    raise SetupError where that fails."""


def find_installed_package(_: Path, __: Callable[[str], None], *, folder: Path = Path("/") / PACKAGE_FOLDER) -> Path:
    """Return the folder of Debian's package; nothing is fetched.

    Raises:
        SetupError: The package is not installed.

    """
    if not folder.is_dir():
        raise SetupError("not installed", expected=str(folder), remedy=f"run: sudo apt-get install {PACKAGE}")
    return folder


def download_from_mirror(
    folder: Path, announce: Callable[[str], None], *, dataset: type[FashionMNIST] = FashionMNIST
) -> Path:
    """Download the four files with torchvision into a folder, and return it.

    Raises:
        SetupError: The mirror does not answer, or its files are damaged.

    """
    announce("Downloading Fashion-MNIST from torchvision's mirror (30 MB)")
    try:
        with short_timeout():
            dataset(folder, train=False, download=True)  # fetches all four files, and decodes the small ones
    except (OSError, RuntimeError) as error:
        raise SetupError(" ".join(str(error).split()), expected="the four files", remedy="check the network") from error
    return folder


@contextmanager
def short_timeout() -> Iterator[None]:
    """Let connections that are made in the block fail after some seconds without an answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(MIRROR_TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def download_package(
    folder: Path, announce: Callable[[str], None], *, limit_seconds: float = PROGRAM_TIMEOUT_SECONDS
) -> Path:
    """Download Debian's package, unpack it without root, and return the folder of its files.

    Raises:
        SetupError: This system is not a Debian, the download fails, or a program runs longer than ``limit_seconds``.

    """
    apt_get, dpkg_deb = shutil.which("apt-get"), shutil.which("dpkg-deb")
    if apt_get is None or dpkg_deb is None:
        raise SetupError("no apt-get here", expected="Debian, Ubuntu or alike", remedy="use another source")
    announce(f"Downloading Debian's package {PACKAGE} (27 MB); this needs no root")
    _run([apt_get, "download", PACKAGE], folder, limit_seconds)
    (package,) = folder.glob(f"{PACKAGE}_*.deb")
    _run([dpkg_deb, "--extract", str(package), str(folder)], folder, limit_seconds)
    return folder / PACKAGE_FOLDER


SOURCES: Final = (
    Source(name=f"Debian package {PACKAGE}", fetch=find_installed_package),
    Source(name="torchvision's mirror", fetch=download_from_mirror),
    Source(name=f"Debian package {PACKAGE}, downloaded", fetch=download_package),
)
"""In the order in which they are tried."""


def _run(command: list[str], folder: Path, limit_seconds: float) -> None:
    program = Path(command[0]).name
    try:
        subprocess.run(
            command,
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=limit_seconds,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.CalledProcessError as error:
        last_line = error.stderr.strip().rpartition("\n")[2]
        raise SetupError(
            f"{program} failed ({last_line})", expected="exit status 0", remedy="check the network"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise SetupError(
            f"{program} took more than {limit_seconds:.0f} s", expected="an answer", remedy="try again"
        ) from error
