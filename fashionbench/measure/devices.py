"""The devices of this machine: list, name, synchronise, peak memory. One place knows the backends apart."""

import platform
import re
import subprocess
import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from shutil import which

import cpuinfo
import psutil
import torch

from fashionbench.errors import InputError

__all__ = [
    "Device",
    "driver_version",
    "list_devices",
    "name_devices",
    "peak_device_bytes",
    "peak_host_bytes",
    "read_words",
    "reset_peaks",
    "select_devices",
    "synchronize",
]

_WORD = re.compile(r"cpu|mps|(cuda|xpu)(:\d+)?")


@cache
def _cpu_name() -> str:
    return str(cpuinfo.get_cpu_info().get("brand_raw") or platform.processor() or platform.machine())


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device by its word (``cpu``, ``cuda:1``) and product name; absent where this machine lacks it."""

    word: str
    name: str
    absence: str = ""
    """Why it cannot be used; empty for a device that is there."""
    threads: int = field(default_factory=torch.get_num_threads)
    """That PyTorch computes with on a CPU: their number decides the last bits, and the speed; 0 elsewhere."""
    host: str = field(default_factory=_cpu_name)
    """Its host's CPU by its product name."""


def list_devices() -> tuple[Device, ...]:
    """Return the CPU and each accelerator with a product name of its own (two equal GPUs are one device)."""
    devices = [Device(word="cpu", name=_cpu_name())]
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is not None:
        count = torch.accelerator.device_count()
        words = [f"{accelerator.type}:{index}" if index else accelerator.type for index in range(count)]
        for word in words:
            name = _accelerator_name(torch.device(word))
            if name not in {device.name for device in devices}:
                devices.append(Device(word=word, name=name, threads=0))
    return tuple(devices)


def name_devices(devices: Collection[Device]) -> dict[Device, str]:
    """Return how to name each device to a reader: by its word, and where several share it by what tells them apart."""

    def features(device: Device) -> tuple[str, ...]:
        host = "" if device.word == "cpu" else f"on {device.host}"
        return device.name, f"{device.threads} threads", host

    names = {}
    for device in devices:
        alike = [features(other) for other in devices if other.word == device.word]
        apart = [own for own, *all_of_them in zip(features(device), *alike, strict=True) if {*all_of_them} != {own}]
        names[device] = f"{device.word} ({', '.join(apart)})" if apart else device.word
    return names


def select_devices(words: str) -> tuple[Device, ...]:
    """Return the devices that ``--devices`` names, ``all`` meaning each there is; one not there comes as absent.

    Raises:
        InputError: A word that names no kind of device.

    """
    if words == "all":
        return list_devices()
    return tuple(dict.fromkeys(_find_device(word) for word in read_words(words)))


def read_words(words: str) -> tuple[str, ...]:
    """Return the words of a comma-separated list, ``cuda:0`` as ``cuda``.

    Raises:
        InputError: A word that names no kind of device.

    """
    parts = [part.strip() for part in words.split(",")]
    for part in parts:
        if not _WORD.fullmatch(part):
            raise InputError(
                f"unknown device {part!r}",
                expected="cpu, cuda, cuda:N, mps, xpu, xpu:N or all",
                remedy="name one of those with --devices",
            )
    return tuple(dict.fromkeys(part.removesuffix(":0") for part in parts))


def _find_device(word: str) -> Device:
    if word == "cpu":
        return Device(word="cpu", name=_cpu_name())
    kind, _, index = word.partition(":")
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    count = torch.accelerator.device_count() if accelerator is not None and accelerator.type == kind else 0
    if int(index or 0) >= count:
        there = ", ".join(device.word for device in list_devices())
        return Device(
            word=word, name="", threads=0, absence=f"not found by torch {torch.__version__} here (found: {there})"
        )
    return Device(word=word, name=_accelerator_name(torch.device(word)), threads=0)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that was asked of it, whatever its kind."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def reset_peaks(device: torch.device) -> None:
    """Start the peak-memory counts anew: the device's, and on Linux this process's."""
    if device.type in {"cuda", "xpu"}:
        torch.accelerator.reset_peak_memory_stats(device)
    if sys.platform == "linux":
        # proc_pid_clear_refs(5): 5 resets the peak resident set size; some sandboxes do not offer it
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_host_bytes() -> int:
    """Return this process's peak resident memory since ``reset_peaks``; where that cannot be reset, since its start."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # noqa: PLC0415 - exists on Unix only

    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # bytes on macOS


def peak_device_bytes(device: torch.device) -> int | None:
    """Return the most bytes allocated on an accelerator since ``reset_peaks``; None where nobody counts them."""
    if device.type in {"cuda", "xpu"}:
        return int(torch.accelerator.max_memory_allocated(device))
    return None


def driver_version(device: torch.device) -> str | None:
    """Return the accelerator's driver as its runtime tells it; None on cpu or where it is not told."""
    if device.type == "cuda":
        if torch.version.hip is not None:
            return f"HIP {torch.version.hip}"
        return f"{_nvidia_driver()}CUDA {torch.version.cuda}"
    if device.type == "mps":
        return f"macOS {platform.mac_ver()[0]}"
    if device.type == "xpu":
        return str(torch.xpu.get_device_properties(device).driver_version)
    return None


def _nvidia_driver() -> str:
    program = which("nvidia-smi")
    if program is None:
        return ""
    answer = subprocess.run(  # noqa: S603 - a fixed command, found on PATH
        [program, "--query-gpu=driver_version", "--format=csv,noheader"],
        capture_output=True,
        check=False,
        text=True,
        timeout=20,
    )
    return f"driver {answer.stdout.split()[0]}, " if answer.returncode == 0 and answer.stdout.split() else ""


def _accelerator_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "xpu":
        return torch.xpu.get_device_name(device)
    return f"{_cpu_name()} GPU"  # mps: Apple gives the chip's name only
