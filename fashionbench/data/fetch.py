"""Sources of Fashion-MNIST: Debian's package and torchvision's mirror."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

from torchvision.datasets import FashionMNIST

from fashionbench.errors import SetupError

__all__ = ["PACKAGE", "download_from_mirror", "download_package", "find_installed_package"]

PACKAGE: Final = "dataset-fashion-mnist"

PACKAGE_FOLDER: Final = Path("usr/share/datasets/fashion-mnist")

MIRROR_TIMEOUT_SECONDS: Final = 15.0

PROGRAM_TIMEOUT_SECONDS: Final = 300.0


def find_installed_package(_: Path, __: Callable[[str], None]) -> Path:
    """Return the folder of Debian's package.

    Raises:
        SetupError: It is not installed.

    """
    folder = Path("/") / PACKAGE_FOLDER
    if not folder.is_dir():
        raise SetupError("not installed", expected=str(folder), remedy=f"sudo apt-get install {PACKAGE}")
    return folder


def download_from_mirror(folder: Path, announce: Callable[[str], None]) -> Path:
    """Let torchvision download the four files into a folder, and return it.

    Raises:
        SetupError: The mirror does not answer, or its files are damaged.

    """
    announce("Fetching Fashion-MNIST from torchvision's mirror (30 MB)")
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(MIRROR_TIMEOUT_SECONDS)
    try:
        FashionMNIST(folder, download=True)
    except (OSError, RuntimeError) as error:
        raise SetupError(" ".join(str(error).split()), expected="an answer", remedy="check the network") from error
    finally:
        socket.setdefaulttimeout(before)
    return folder


def download_package(folder: Path, announce: Callable[[str], None]) -> Path:
    """Download Debian's package, unpack it without root, and return the folder of its files.

    Raises:
        SetupError: This is no Debian, or the download fails.

    """
    apt_get, dpkg_deb = shutil.which("apt-get"), shutil.which("dpkg-deb")
    if apt_get is None or dpkg_deb is None:
        raise SetupError("no apt-get here", expected="Debian or a relative", remedy="use another source")
    announce(f"Downloading Debian's package {PACKAGE} (27 MB), which needs no root")
    _run([apt_get, "download", PACKAGE], folder)
    (package,) = folder.glob(f"{PACKAGE}_*.deb")
    _run([dpkg_deb, "--extract", str(package), str(folder)], folder)
    return folder / PACKAGE_FOLDER


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(  # noqa: S603 - fixed commands, found on PATH
            command,
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=PROGRAM_TIMEOUT_SECONDS,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.CalledProcessError as error:
        last_line = error.stderr.strip().rpartition("\n")[2]
        raise SetupError(
            f"{Path(command[0]).name} failed ({last_line})", expected="success", remedy="see above"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise SetupError(f"{Path(command[0]).name} took too long", expected="an answer", remedy="try again") from error
