"""Where and with what a case is measured: machine, versions, commit. No host name, no folder of the machine."""

import os
import platform
import re
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from shutil import which

import psutil
import torch

from fashionbench.devices.device import Device, list_devices
from fashionbench.devices.runtime import driver_version
from fashionbench.records.record import Environment

__all__ = ["commit_of_checkout", "describe_environment"]

_LIBRARIES = ("fashionbench", "numpy", "pytest-benchmark", "scikit-learn", "torch", "torchvision")


def describe_environment(device: Device, command: str) -> Environment:
    """Return the environment of a case on a device; ``command`` is what was typed."""
    accelerated = device.word != "cpu" and not device.absence
    commit, clean = commit_of_checkout()
    return Environment(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=list_devices()[0].name,
        physical_cores=psutil.cpu_count(logical=False),
        logical_cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        accelerator=device.name if accelerated else None,
        driver=driver_version(torch.device(device.word)) if accelerated else None,
        threads=torch.get_num_threads(),
        versions={"python": platform.python_version()} | {name: _version(name) for name in _LIBRARIES},
        commit=commit,
        commit_clean=clean,
        command=_without_folders(command),
    )


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"


def _without_folders(command: str) -> str:
    """Return the command with each absolute path cut to its last part."""
    return re.sub(r"(?<![\w.])(?:[A-Za-z]:)?[\\/](?:[^\s'\"\\/=]+[\\/])*([^\s'\"\\/=]*)", r"\1", command)


@cache
def commit_of_checkout() -> tuple[str | None, bool | None]:
    """Return the checkout's commit and whether its tracked files are as committed; None for an installed wheel."""
    git, checkout = which("git"), Path(__file__).parents[2]
    if git is None or not (checkout / ".git").exists():
        return None, None
    answers = [
        subprocess.run(  # noqa: S603 - fixed commands, found on PATH
            [git, "-C", str(checkout), *words], capture_output=True, check=False, text=True, timeout=20
        )
        for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
    ]
    if any(answer.returncode for answer in answers):
        return None, None
    return answers[0].stdout.strip(), not answers[1].stdout.strip()
