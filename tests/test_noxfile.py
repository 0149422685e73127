"""The shared environment is made once, extended when a session needs more, and used without the network after that."""

import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOXFILE = ROOT / "noxfile.py"
PROBE = """

@nox.session
def probe(session: nox.Session) -> None:
    session.run(_environment(session, session.posargs[0]), "packages.py")
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
PACKAGES = """
from importlib.metadata import distributions

for each in distributions():
    print(f"{each.name}=={each.version}")
"""
INSTALLS = "-m pip install"
"""What nox prints before pip installs something."""


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


@dataclass(frozen=True)
class Project:
    """A small project that uses our noxfile, with its packages on the disk."""

    folder: Path

    def nox(self, group: str) -> str:
        """Call nox for a dependency group without the network, and return what it prints and the packages it finds."""
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "packages", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "nox", "-s", "probe", "--", group],
            cwd=self.folder,
            env=os.environ | offline,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return done.stdout + done.stderr


def write_project(folder: Path) -> Project:
    (folder / "noxfile.py").write_text(NOXFILE.read_text(encoding="utf-8") + PROBE, encoding="utf-8")
    (folder / "packages.py").write_text(PACKAGES)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "backend.py").write_text(BACKEND.format(write_wheel=inspect.getsource(write_wheel)))
    (folder / "constraints.txt").write_text("one==1.0\n")
    (folder / "packages").mkdir()
    for name, version in (("one", "1.0"), ("one", "1.1"), ("two", "1.0")):
        write_wheel(folder / "packages", name, version)
    return Project(folder)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that several tests use one after another: each leaves it with the packages of bench, or more."""
    return write_project(tmp_path_factory.mktemp("toy-folder"))


@pytest.fixture(scope="module")
def first(project: Project) -> str:
    """What the first session in the project printed."""
    return project.nox("bench")


def test_a_session_installs_its_own_group_and_a_second_one_installs_nothing(project: Project, first: str) -> None:
    second = project.nox("bench")

    assert INSTALLS in first
    assert "one==1.0\n" in first
    assert "toy==1.0\n" in first
    assert "two" not in first
    assert INSTALLS not in second
    assert "one==1.0\n" in second


@pytest.mark.usefixtures("first")
def test_a_larger_group_adds_what_is_missing_and_nothing_else(project: Project) -> None:
    larger = project.nox("tests")
    smaller = project.nox("bench")

    assert f"{INSTALLS} --constraint constraints.txt two\n" in larger
    assert "two==1.0\n" in larger
    assert INSTALLS not in smaller


@pytest.mark.usefixtures("first")
def test_a_package_that_cannot_be_had_is_one_line_and_leaves_the_environment_usable(project: Project) -> None:
    refused = project.nox("lint")
    smaller = project.nox("bench")

    assert "pip could not install the packages; its message is above. Check the network connection" in refused
    assert "Traceback" not in refused
    assert INSTALLS not in smaller
    assert "one==1.0\n" in smaller


@pytest.mark.usefixtures("first")
def test_an_environment_that_was_cut_while_being_made_is_made_again(project: Project) -> None:
    (environment,) = (each for each in (project.folder / ".nox").iterdir() if each.is_dir())
    (stamp,) = environment.glob("*.json")
    stamp.unlink()  # as while pip installs
    (environment / "left behind").touch()
    again = project.nox("bench")

    assert "again: its installation was not finished" in again
    assert not (environment / "left behind").exists()
    assert "one==1.0\n" in again


@pytest.mark.usefixtures("first")
def test_an_environment_of_a_moved_checkout_is_made_again(project: Project) -> None:
    stamp = project.folder / ".nox" / "fashionbench" / "installed.json"
    stamp.write_text(stamp.read_text().replace(project.folder.name, "elsewhere"))
    again = project.nox("bench")

    assert "again: it was made in " in again
    assert "one==1.0\n" in again


def test_new_constraints_are_installed_and_new_settings_of_tools_are_not(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    project.nox("bench")
    (tmp_path / "pyproject.toml").write_text(PYPROJECT + "[tool.ruff]\n")
    settings = project.nox("bench")
    (tmp_path / "constraints.txt").write_text("one==1.1\n")
    constraints = project.nox("bench")

    assert INSTALLS not in settings
    assert "one==1.1\n" in constraints


WAITING = """

@nox.session
def waiting(session: nox.Session) -> None:
    _call(session, sys.executable, "program.py")
"""
SLOW = """
import signal, sys, time

def end(number, _):
    time.sleep(1)  # nox itself would kill it after half of that
    print("ended by", signal.Signals(number).name, flush=True)
    sys.exit(128 + number)

for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), end)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_an_environment_behind_a_link_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "other" / "fashionbench").mkdir(parents=True)
    (tmp_path / "linking").mkdir()
    other = write_project(tmp_path / "linking")
    (other.folder / ".nox").symlink_to(tmp_path / "other")

    said = other.nox("bench")

    assert "and its installation was not finished. Remove the link to it." in said
    assert (tmp_path / "other" / "fashionbench").is_dir()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_to_nox_reaches_the_program_which_may_end_in_its_own_time(
    tmp_path: Path, name: str, status: int
) -> None:
    for copied in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / copied, tmp_path)
    (tmp_path / "noxfile.py").write_text(NOXFILE.read_text(encoding="utf-8") + WAITING, encoding="utf-8")
    (tmp_path / "program.py").write_text(SLOW)
    command = [sys.executable, "-m", "nox", "-s", "waiting"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    assert process.stdout is not None
    assert any(line == "ready\n" for line in process.stdout)
    process.send_signal(signal.Signals[name])

    assert f"ended by {name}\n" in process.communicate(timeout=60)[0]
    assert process.returncode == status


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
