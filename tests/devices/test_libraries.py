"""torch and torchvision that cannot be imported, or do not fit together, are one line, before anything else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "fails",
    [
        "raise RuntimeError('operator torchvision::nms does not exist')",
        "import warnings; warnings.warn('no image extension'); from torch import nothing",
        "import torch; torch.library.register_fake",
    ],
)
def test_libraries_that_do_not_fit_together_are_one_line(tmp_path: Path, fails: str) -> None:
    said = list_devices(tmp_path, torchvision=fails)

    assert "do not work together (" in said
    assert said.endswith(
        "Run: python -m pip install --force-reinstall --constraint constraints.txt torch torchvision\n"
    )


@pytest.mark.parametrize(
    "fails", ["OSError(28, 'No space left on device')", "ImportError('x.so: failed to map segment from shared object')"]
)
def test_a_system_that_lacks_space_or_memory_for_torch_is_another_line(tmp_path: Path, fails: str) -> None:
    said = list_devices(tmp_path, torch=f"raise {fails}")

    assert "cannot be imported (" in said
    assert said.endswith("Close other programs, free some space, or set TMPDIR to such a folder.\n")


def test_a_memory_that_is_exhausted_is_one_line(tmp_path: Path) -> None:
    assert "The memory is exhausted." in list_devices(tmp_path, torch="raise MemoryError")


def list_devices(folder: Path, *, torch: str = "", torchvision: str = "") -> str:
    """Return the line that the command line ends with where these are the libraries."""
    (folder / "torch.py").write_text(torch)
    (folder / "torchvision.py").write_text(torchvision)
    done = subprocess.run(
        [sys.executable, "-c", "from fashionbench.cli import main; main()", "devices"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), *sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr
