"""The devices of this machine: listed, named and selected."""

import platform
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cache

import cpuinfo
import torch

from fashionbench.errors import InputError

__all__ = ["Device", "list_devices", "name_devices", "read_words", "select_devices"]

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


def _accelerator_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "xpu":
        return torch.xpu.get_device_name(device)
    return f"{_cpu_name()} GPU"  # mps: Apple gives the chip's name only
