"""An installed wheel measures and reports in an empty folder, without the checkout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(folder: Path, environ: dict[str, str], *command: str | Path) -> str:
    done = subprocess.run(
        [*map(str, command)], cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_an_installed_wheel_measures_and_reports_in_an_empty_folder(tmp_path: Path, sample_folder: Path) -> None:
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    environ = {**os.environ, "PYTHONPATH": str(site), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    # pip builds a wheel and installs that, with the hatchling that is here
    run(empty, environ, *pip, "install", "--no-deps", "--no-build-isolation", "--target", site, ROOT)
    program = (sys.executable, site / "bin" / "fashionbench")
    where = run(empty, environ, sys.executable, "-c", "import fashionbench; print(fashionbench.__file__)")
    assert Path(where.strip()).is_relative_to(site)

    said = run(
        empty,
        environ,
        *(*program, "run", "--recipe", sample_folder / "tiny.toml", "--data", sample_folder),
        *("--models", "fashioncnn,dummy", "--devices", "cpu"),
    )

    assert "images a second" in said
    assert (empty / "reports" / "report.pdf").stat().st_size > 10_000
