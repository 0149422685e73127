"""What depends on the kind of device: how to wait for it, its peak memory, its driver."""

import platform
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from shutil import which
from typing import Final

import psutil
import torch

if sys.platform != "win32":
    import resource

__all__ = ["driver_version", "peak_device_bytes", "peak_host_bytes", "reset_peaks", "run_program", "synchronize"]

PROGRAM_TIMEOUT_SECONDS: Final = 20.0


def synchronize(device: torch.device) -> None:
    """Wait until a device has done all its work. The CPU has no queue."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def reset_peaks(device: torch.device) -> None:
    """Restart the counts of peak memory: the device's, and on Linux this process's."""
    if device.type in {"cuda", "xpu"}:
        torch.accelerator.reset_peak_memory_stats(device)
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
    if device.type in {"cuda", "xpu"}:
        return int(torch.accelerator.max_memory_allocated(device))
    return None


def driver_version(device: torch.device) -> str | None:
    """Return an accelerator's driver and run-time version; None for a CPU."""
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
    lines = (run_program("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") or "").split()
    return f"driver {lines[0]}, " if lines else ""


def run_program(name: str, *arguments: str) -> str | None:
    """Return what a program on PATH prints; None where it is missing or fails."""
    program = which(name)
    if program is None:
        return None
    answer = subprocess.run(  # noqa: S603 - fixed commands, found on PATH
        [program, *arguments], capture_output=True, check=False, text=True, timeout=PROGRAM_TIMEOUT_SECONDS
    )
    return answer.stdout if answer.returncode == 0 else None
