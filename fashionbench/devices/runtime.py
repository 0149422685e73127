"""What differs between kinds of device: waiting for it, its peak memory, its driver."""

import platform
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from shutil import which

import psutil
import torch

__all__ = ["driver_version", "peak_device_bytes", "peak_host_bytes", "reset_peaks", "synchronize"]


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
