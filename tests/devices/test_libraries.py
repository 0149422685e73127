"""torch and torchvision that do not fit together are one line, before anything else."""

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
    (tmp_path / "torch.py").write_text("")
    (tmp_path / "torchvision.py").write_text(fails)

    done = subprocess.run(
        [sys.executable, "-c", "from fashionbench.cli import main; main()", "devices"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), *sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "do not work together (" in done.stderr
    assert done.stderr.endswith(
        "Run: python -m pip install --force-reinstall --constraint constraints.txt torch torchvision\n"
    )
