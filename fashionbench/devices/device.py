"""The devices of this machine: listed, selected, and labelled for readers."""

import platform
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache

import cpuinfo
import torch

from fashionbench.devices.cpus import default_threads
from fashionbench.devices.precision import computes_bf16
from fashionbench.devices.runtime import accelerator_names
from fashionbench.options.parsing import EVERY_DEVICE

__all__ = ["Device", "cpu_name", "find_accelerators", "list_devices", "name_devices", "select_devices"]


@cache
def cpu_name() -> str:
    """Return the product name of this machine's CPU."""
    return str(cpuinfo.get_cpu_info().get("brand_raw") or platform.processor() or platform.machine())


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device that a model can train on. It may be absent from this machine."""

    word: str
    """Its name as torch writes it: ``cpu``, ``cuda``, ``cuda:1``."""
    name: str
    """Its product name; empty for a device that is absent."""
    absence: str = ""
    """Why it cannot be used; empty for a device that is present."""
    threads: int = field(default_factory=default_threads)
    """Threads with which PyTorch computes on a CPU. They decide the speed and the last bits. 0 for an accelerator."""
    host: str = field(default_factory=cpu_name)
    """Product name of the CPU in its machine."""
    bf16: bool = False
    """Whether it has instructions for bfloat16, as far as PyTorch knows."""


def find_accelerators() -> dict[str, str]:
    """Return the product name of each accelerator that PyTorch finds, by its name as torch writes it."""
    # of mps, Apple gives the chip's name only
    return {word: name or f"{cpu_name()} GPU" for word, name in accelerator_names().items()}


def list_devices(accelerators: Mapping[str, str] | None = None) -> tuple[Device, ...]:
    """Return the CPU and the accelerators of this machine; of several with one product name, the first.

    Args:
        accelerators: Product names by torch's names; None: what ``find_accelerators`` finds.

    """
    found = find_accelerators() if accelerators is None else accelerators
    devices = [_present("cpu", cpu_name())]
    for word, name in found.items():
        if name not in {device.name for device in devices}:
            devices.append(_present(word, name))
    return tuple(devices)


def select_devices(words: tuple[str, ...], accelerators: Mapping[str, str] | None = None) -> tuple[Device, ...]:
    """Return the devices that ``--devices`` names. A device that this machine lacks is returned as absent.

    Args:
        words: Names as torch writes them; or ``EVERY_DEVICE``, for what ``list_devices`` returns.
        accelerators: Product names by torch's names; None: what ``find_accelerators`` finds.

    """
    if words == EVERY_DEVICE:
        return list_devices(accelerators)
    found = find_accelerators() if accelerators is None else accelerators
    return tuple(_find_device(word, found) for word in words)


def name_devices(devices: Collection[Device]) -> dict[Device, str]:
    """Return a label for each device: its name as torch writes it, and what differs where several share that name."""

    def features(device: Device) -> tuple[str, ...]:
        host = "" if device.word == "cpu" else f"on {device.host}"
        return device.name, f"{device.threads} threads", "bf16" if device.bf16 else "no bf16", host

    names = {}
    for device in devices:
        alike = [features(other) for other in devices if other.word == device.word]
        differing = [own for own, *values in zip(features(device), *alike, strict=True) if {*values} != {own}]
        names[device] = f"{device.word} ({', '.join(differing)})" if differing else device.word
    return names


def _present(word: str, name: str) -> Device:
    threads = default_threads() if word == "cpu" else 0
    return Device(word=word, name=name, threads=threads, bf16=computes_bf16(torch.device(word)))


def _find_device(word: str, accelerators: Mapping[str, str]) -> Device:
    if word == "cpu":
        return _present(word, cpu_name())
    if word in accelerators:
        return _present(word, accelerators[word])
    there = ", ".join(device.word for device in list_devices(accelerators))
    absence = f"not found by torch {torch.__version__} here (found: {there})"
    return Device(word=word, name="", threads=0, absence=absence)
