"""A run that is interrupted under any launcher saves its state, says how to resume, and ends as shells expect."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
STAMP = """
from noxfile import *
from noxfile import _digest_project, _write_stamp
_write_stamp(Installed(project=_digest_project(), requirements=nox.project.dependency_groups(PYPROJECT, "bench")))
"""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run that was interrupted."""

    status: int
    said: str
    out: Path


def interrupt(command: list[str], folder: Path, out: Path, sent: signal.Signals) -> Ended:
    """Start a run of a recipe that takes long, and interrupt it after its first epoch."""
    recipe = out.with_suffix(".toml")
    recipe.write_text("epochs = 10000\nis_result = false\n")
    options = ("--recipe", str(recipe), "--data", str(DATA), "--devices", "cpu", "--models", "fashioncnn", "--out")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    said = ""
    with subprocess.Popen(
        [*command, *options, str(out), "--fresh"],
        cwd=folder,
        env={
            **environ,
            "PYTHONPATH": str(ROOT),
            "XDG_CACHE_HOME": str(out.with_suffix(".cache")),
            "COLUMNS": "200",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said += line
            if "validation accuracy" in line:
                break
        process.send_signal(sent)
        try:
            said += process.communicate(timeout=60)[0]
        finally:
            if process.poll() is None:  # it would train on beside the tests that follow
                for each in psutil.Process(process.pid).children(recursive=True):
                    each.kill()
                process.kill()
    return Ended(status=process.returncode, said=said, out=out)


def check(ended: Ended, typed: str, status: int) -> None:
    """Require words instead of a traceback, a checkpoint, and nothing left behind."""
    assert ended.status == status, ended.said
    assert f"Interrupted. Finished trainings: 0, kept in {ended.out / 'records'}\n" in ended.said
    assert f"Resume with: {typed} --recipe {ended.out.with_suffix('.toml')} " in ended.said
    assert "--fresh" not in ended.said.partition("Resume with")[2]  # it would throw away what is kept
    assert "Traceback" not in ended.said
    assert len([*(ended.out / "checkpoints").glob("*.pt")]) == 1
    assert not (ended.out / ".lock").exists()
    assert not [each for each in psutil.process_iter(["cmdline"]) if str(ended.out) in (each.info["cmdline"] or ())]


def test_the_command_line_after_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from fashionbench.cli import main; main()", "run"]

    ended = interrupt(command, ROOT, tmp_path / "out", signal.SIGINT)

    check(ended, shlex.join(command), 130)


def test_nox_and_with_it_pytest_with_a_json_after_sigterm(tmp_path: Path) -> None:
    """Only nox gets the signal, and passes it on; tests/test_noxfile.py and tests/running try the other signals."""
    project = tmp_path / "project"
    (project / ".nox" / "fashionbench").mkdir(parents=True)
    for name in ("noxfile.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, project)
    shutil.copytree(ROOT / "bench", project / "bench")
    (project / "reports").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):  # the environment of these tests is the project's
        if (Path(sys.prefix) / name).exists():
            (project / ".nox" / "fashionbench" / name).symlink_to(Path(sys.prefix) / name)
    subprocess.run([sys.executable, "-c", STAMP], cwd=project, check=True)

    command = [sys.executable, "-m", "nox", "-s", "bench", "--"]
    ended = interrupt(command, project, tmp_path / "out", signal.SIGTERM)

    assert "Making" not in ended.said
    check(ended, shlex.join(command), 143)
