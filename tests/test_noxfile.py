"""The shared environment is made once, extended when a session needs more, and used without the network after that."""

import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOXFILE = ROOT / "noxfile.py"
PROBE = """

@nox.session
def probe(session: nox.Session) -> None:
    session.run(_environment(session, session.posargs[0]), "-m", "pip", "list", "--format", "freeze")
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "toy"
version = "1.0"
[dependency-groups]
bench = ["one"]
tests = [{ include-group = "bench" }, "two"]
lint = [{ include-group = "tests" }, "missing"]
[tool.hatch]
"""
BACKEND = """
import zipfile
from pathlib import Path

{write_wheel}

def build_editable(folder, config_settings=None, metadata_directory=None):
    return write_wheel(folder, "toy", "1.0")
"""
INSTALLS = "-m pip install"
"""What nox prints before pip installs something."""

Nox = Callable[[str], str]


def write_wheel(folder: str | Path, name: str, version: str) -> str:
    """Write an empty package and return its file's name."""
    wheel = f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(Path(folder, wheel), "w") as file:
        file.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{about}/RECORD", "")
    return wheel


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Write a small project that uses our noxfile, with its packages on the disk."""
    folder = tmp_path / "toy-folder"
    folder.mkdir()
    (folder / "noxfile.py").write_text(NOXFILE.read_text(encoding="utf-8") + PROBE, encoding="utf-8")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND.format(write_wheel=inspect.getsource(write_wheel)))
    (folder / "constraints.txt").write_text("one==1.0\n")
    (folder / "packages").mkdir()
    for name, version in (("one", "1.0"), ("one", "1.1"), ("two", "1.0")):
        write_wheel(folder / "packages", name, version)
    return folder


@pytest.fixture
def nox(project: Path) -> Nox:
    """Call nox for a dependency group without the network, and return what it prints and the packages it finds."""
    environ = {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"}
    environ |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "packages", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}

    def call(group: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "nox", "-s", "probe", "--", group],
            cwd=project,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return done.stdout + done.stderr

    return call


def test_a_session_installs_its_own_group_and_a_second_one_installs_nothing(nox: Nox) -> None:
    first = nox("bench")
    second = nox("bench")

    assert INSTALLS in first
    assert "one==1.0\n" in first
    assert "toy==1.0\n" in first
    assert "two" not in first
    assert INSTALLS not in second
    assert "one==1.0\n" in second


def test_a_larger_group_adds_what_is_missing_and_nothing_else(nox: Nox) -> None:
    nox("bench")
    larger = nox("tests")
    smaller = nox("bench")

    assert f"{INSTALLS} --constraint constraints.txt two\n" in larger
    assert "two==1.0\n" in larger
    assert INSTALLS not in smaller


def test_new_constraints_are_installed_and_new_settings_of_tools_are_not(nox: Nox, project: Path) -> None:
    nox("bench")
    (project / "pyproject.toml").write_text(PYPROJECT + "[tool.ruff]\n")
    settings = nox("bench")
    (project / "constraints.txt").write_text("one==1.1\n")
    constraints = nox("bench")

    assert INSTALLS not in settings
    assert "one==1.1\n" in constraints


def test_a_package_that_cannot_be_had_is_one_line_and_leaves_the_environment_usable(nox: Nox) -> None:
    nox("bench")
    refused = nox("lint")
    smaller = nox("bench")

    assert "pip could not install the packages; its message is above. Check the network connection" in refused
    assert "Traceback" not in refused
    assert INSTALLS not in smaller
    assert "one==1.0\n" in smaller


def test_an_environment_that_was_cut_while_being_made_is_made_again(nox: Nox, project: Path) -> None:
    nox("bench")
    (environment,) = (each for each in (project / ".nox").iterdir() if each.is_dir())
    (stamp,) = environment.glob("*.json")
    stamp.unlink()  # as while pip installs
    (environment / "left behind").touch()
    again = nox("bench")

    assert "again: its installation was not finished" in again
    assert not (environment / "left behind").exists()
    assert "one==1.0\n" in again


def test_an_environment_of_a_moved_checkout_is_made_again(nox: Nox, project: Path) -> None:
    nox("bench")
    stamp = project / ".nox" / "fashionbench" / "installed.json"
    stamp.write_text(stamp.read_text().replace(project.name, "elsewhere"))
    again = nox("bench")

    assert "again: it was made in " in again
    assert "one==1.0\n" in again


@pytest.mark.parametrize("path", [".ci/run", ".github/workflows/ci.yml", "CONTRIBUTING.md", "README.md"])
def test_each_session_that_a_file_runs_exists(path: str) -> None:
    sessions = re.findall(r"^@nox\.session\ndef (\w+)", NOXFILE.read_text(encoding="utf-8"), re.MULTILINE)
    used = re.findall(r"\bnox -s (\w+)", (ROOT / path).read_text(encoding="utf-8"))

    assert used
    assert set(used) <= set(sessions)


def test_ci_tests_every_python_that_the_project_supports_on_linux() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    supported = [each.rpartition(" ")[2] for each in project["classifiers"] if "Python :: 3." in each]

    assert f"os: [ubuntu-latest]\n        python: {json.dumps(supported)}\n" in workflow
    assert project["requires-python"] == f">={supported[0]}"
