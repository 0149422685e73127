"""Where and with what a case is measured: machine, versions, commit. No host name, no folder of the machine."""

import os
import platform
import re
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

import psutil
import torch

from fashionbench.devices.cpus import default_threads, governor, usable_cpus
from fashionbench.devices.device import Device, cpu_name
from fashionbench.devices.runtime import driver_version, run_program
from fashionbench.errors import visible
from fashionbench.records.record import Environment

__all__ = ["commit_of_checkout", "describe_environment", "library_versions"]

LIBRARIES: Final = ("fashionbench", "numpy", "pytest-benchmark", "scikit-learn", "torch", "torchvision")

CHECKOUT: Final = Path(__file__).parents[2]
"""The folder that contains the package: a checkout of the repository, or where wheels are installed."""


def describe_environment(device: Device, command: str) -> Environment:
    """Return the environment of a case on a device; ``command`` is the command line of the run."""
    accelerated = device.word != "cpu" and not device.absence
    commit, clean = commit_of_checkout()
    return Environment(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=visible(cpu_name()),
        physical_cores=psutil.cpu_count(logical=False),
        logical_cores=os.cpu_count() or 1,
        usable_cpus=usable_cpus(),
        governor=governor(),
        memory_bytes=psutil.virtual_memory().total,
        accelerator=visible(device.name) if accelerated else None,
        driver=driver_version(torch.device(device.word)) if accelerated else None,
        threads=default_threads(),
        versions={"python": platform.python_version()} | library_versions(LIBRARIES),
        commit=commit,
        commit_clean=clean,
        command=visible(_without_folders(command)),
    )


def library_versions(libraries: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each library by its name, or ``not installed``."""
    return {name: _version(name) for name in libraries}


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"


def _without_folders(command: str) -> str:
    """Return the command with each absolute path cut to its last part."""
    return re.sub(r"(?<![\w.])(?:[A-Za-z]:)?[\\/](?:[^\s'\"\\/=]+[\\/])*([^\s'\"\\/=]*)", r"\1", command)


@cache
def commit_of_checkout(checkout: Path = CHECKOUT) -> tuple[str | None, bool | None]:
    """Return a checkout's commit and whether its tracked files are unchanged; None for both where there is no commit.

    An installed wheel has none. The first answer is kept for the life of the process.
    """
    if not (checkout / ".git").exists():
        return None, None
    commit = run_program("git", "-C", str(checkout), "rev-parse", "HEAD")
    changes = run_program("git", "-C", str(checkout), "status", "--porcelain", "--untracked-files=no")
    if commit is None or changes is None:
        return None, None
    return commit.strip(), not changes.strip()
