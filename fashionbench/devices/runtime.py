"""What FashionBench asks of an accelerator: names, waiting, memory, random state; and the same of the CPU.

All of it goes through PyTorch's module for the kind of device (``torch.cuda``, ``torch.xpu``, ``torch.mps``). A backend
that registers such a module is measured like the others, as the tests' stand-in device is.
"""

import os
import platform
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from shutil import which
from types import ModuleType
from typing import Final

import psutil
import torch
from torch import Tensor

if sys.platform != "win32":
    import resource

__all__ = [
    "accelerator_names",
    "driver_version",
    "free_bytes",
    "peak_device_bytes",
    "peak_host_bytes",
    "pins_memory",
    "random_state",
    "reset_peaks",
    "run_program",
    "set_random_state",
    "synchronize",
]

PROGRAM_TIMEOUT_SECONDS: Final = 20.0


def accelerator_names() -> dict[str, str]:
    """Return the product name of each accelerator that PyTorch finds, by its name as torch writes it; empty for mps."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None:
        return {}
    kind = accelerator.type
    words = [f"{kind}:{index}" if index else kind for index in range(torch.accelerator.device_count())]
    return {word: _product_name(torch.device(word)) for word in words}


def _product_name(device: torch.device) -> str:
    module = _module(device)
    return str(module.get_device_name(device)) if hasattr(module, "get_device_name") else ""


def _module(device: torch.device) -> ModuleType:
    """Return the module of its own that each kind of device has."""
    return torch.get_device_module(device)


def synchronize(device: torch.device) -> None:
    """Wait until a device has done all its work. The CPU has no queue."""
    if device.type == "mps":
        torch.mps.synchronize()  # there is one, and it is not named
    elif device.type != "cpu":
        _module(device).synchronize(device)


def pins_memory(device: torch.device) -> bool:
    """Return whether copies to a device are faster from pinned memory of the host."""
    return device.type in {"cuda", "xpu"}


def free_bytes(device: torch.device) -> int:
    """Return how much memory is free on a device; of Apple's GPU, how much more its driver recommends to use."""
    if device.type == "cpu":
        return int(psutil.virtual_memory().available)
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return int(_module(device).mem_get_info(device)[0])


def reset_peaks(device: torch.device) -> None:
    """Restart the counts of peak memory: the device's, and on Linux this process's."""
    if hasattr(_module(device), "reset_peak_memory_stats"):
        _module(device).reset_peak_memory_stats(device)
    if sys.platform == "linux":
        # proc_pid_clear_refs(5): 5 resets the peak resident set size; some sandboxes do not offer it
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_host_bytes() -> int:
    """Return this process's peak resident memory in bytes: since ``reset_peaks`` on Linux, else since its start."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def peak_device_bytes(device: torch.device) -> int | None:
    """Return the most bytes that PyTorch allocated on a device since ``reset_peaks``; None where it counts none."""
    module = _module(device)
    return int(module.max_memory_allocated(device)) if hasattr(module, "max_memory_allocated") else None


def random_state(device: torch.device) -> Tensor | None:
    """Return the state of an accelerator's own random generator; None for the CPU, whose generator is PyTorch's."""
    return None if device.type == "cpu" else _module(device).get_rng_state(device)


def set_random_state(device: torch.device, state: Tensor | None) -> None:
    """Restore what ``random_state`` returned."""
    if state is not None:
        _module(device).set_rng_state(state, device)


def driver_version(device: torch.device) -> str | None:
    """Return an accelerator's driver and run-time version; None for a CPU."""
    if device.type == "cuda":
        if torch.version.hip is not None:
            return f"HIP {torch.version.hip}"
        return f"{_nvidia_driver()}CUDA {torch.version.cuda}"
    if device.type == "mps":
        return f"macOS {platform.mac_ver()[0]}"
    if device.type == "xpu":
        return f"driver {torch.xpu.get_device_properties(device).driver_version}"
    return None


def _nvidia_driver() -> str:
    lines = (run_program("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") or "").split()
    return f"driver {lines[0]}, " if lines else ""


def run_program(name: str, *arguments: str) -> str | None:
    """Return what a program on PATH prints; None where it is missing, fails or hangs."""
    program = which(name)
    if program is None:
        return None
    try:
        # a session of its own, so that what it has started ends with it: it would keep the pipe open
        process = subprocess.Popen(
            [program, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError:  # not a program of this system
        return None
    try:
        answer, _ = process.communicate(timeout=PROGRAM_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None
    return answer if process.returncode == 0 else None
