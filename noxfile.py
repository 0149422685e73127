"""The project's commands. One environment serves them all: torch with torchvision is some 5.6 GB."""

import ctypes.util
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, Final

import nox
from filelock import FileLock  # a dependency of virtualenv, which nox requires

nox.needs_version = ">=2026.2"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "tests"]

ENVIRONMENT: Final = Path(".nox", "fashionbench")
STAMP: Final = ENVIRONMENT / "installed.json"
"""What the environment contains. Written last, so that an environment without it is known to be incomplete."""
CONSTRAINTS: Final = Path("constraints.txt")
PYPROJECT: Final = nox.project.load_toml("pyproject.toml")
PYTHON_VERSION: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
EXACT: Final = "fashionbench/judging/*,fashionbench/records/*"
"""Where every branch must be tested: the statistics and the records' schema."""
ENDING: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that end a run, as in running/program.py, which nox's own Python lacks; Windows has no SIGHUP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What the shared environment was made from and contains."""

    project: str
    requirements: list[str]
    python: str = PYTHON_VERSION
    checkout: str = field(default_factory=lambda: str(Path.cwd()))


@nox.session
def bench(session: nox.Session) -> None:
    """Train and time both models on every device, and write reports/report.html and .pdf (options after --)."""
    if not STAMP.exists() and sys.platform != "win32" and ctypes.util.find_library("pango-1.0") is None:
        # said before gigabytes are downloaded; on Windows WeasyPrint searches folders that find_library does not know
        session.warn("Pango was not found, so there will be no PDF; docs/install.md has the command that installs it.")
    python = _environment(session, "bench")
    status = _call(
        session, python, "-m", "pytest", "bench/", "--benchmark-json=reports/benchmark.json", *session.posargs
    )
    if status:
        session.error(f"pytest ended with exit status {status}; its messages are above.")


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests, with the branch coverage gates (pytest options after --, -n 0 for a single process)."""
    python = _environment(session, "tests")
    # four processes at most: each takes up to a gigabyte, and Ray and the browser bring their own; they start hundreds
    # more, each of which would compile the package again where a container forbids to keep what is compiled
    session.run(
        *(python, "-m", "pytest", "-n=logical", "--maxprocesses=4", "--cov", "--cov-report=", *session.posargs),
        env={"PYTHONDONTWRITEBYTECODE": None},
    )
    if not session.posargs:
        for choice, percent in (("--include", 100), ("--omit", 95)):
            session.run(python, "-m", "coverage", "report", f"{choice}={EXACT}", f"--fail-under={percent}")


@nox.session
def execution(session: nox.Session) -> None:
    """Time the fast execution against the plain loop, by turns, and write reports/execution.json (about 4 minutes)."""
    session.run(
        *(_environment(session, "bench"), "-m", "pytest", "bench/bench_execution.py", "-m", "execution"),
        *("--benchmark-json=reports/execution.json", *session.posargs),
    )


@nox.session
def gpu(session: nox.Session) -> None:
    """Run the tests that need an accelerator, time both models on it, and print one table to send."""
    session.run(_environment(session, "tests"), "tests/accelerator.py", *session.posargs)


@nox.session
def chaos(session: nox.Session) -> None:
    """Kill a smoke run at 50 random moments and compare its results with an undisturbed run's (--kills N)."""
    session.run(_environment(session, "bench"), "tests/chaos.py", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Give the readers over 100,000 damaged files, in under a gibibyte of memory (names of readers, --seed N)."""
    session.run(_environment(session, "tests"), "tests/fuzz.py", *session.posargs)


@nox.session
def growth(session: nox.Session) -> None:
    """Measure how time and memory grow with images, batch, threads, epochs, seeds and records (about 25 minutes)."""
    session.run(_environment(session, "bench"), "tests/growth.py", *session.posargs)


@nox.session
def agreement(session: nox.Session) -> None:
    """Compare fast with plain over torchvision's classifiers: what they train, or --time 8,20,100 (about an hour)."""
    session.run(_environment(session, "bench"), "tests/agreement.py", *session.posargs)


@nox.session
def checkers(session: nox.Session) -> None:
    """Check the reference report by html-validate, the Nu HTML checker and pdfua (needs npm and java)."""
    folder, page = Path("reports", "reference"), "reports/reference/report.html"
    session.run("npx", "--yes", "html-validate@10", "--preset", "standard", page, external=True)
    session.run("npm", "install", "--silent", "--no-save", "--prefix", ".nox/npm", "vnu-jar@26", external=True)
    nu = next(Path(".nox", "npm", "node_modules", "vnu-jar").rglob("vnu.jar"))
    session.run("java", "-jar", str(nu), "--errors-only", page, external=True)
    session.run(_environment(session, "checkers"), "-m", "pdfua", "check", str(folder / "report.pdf"))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types, spelling and the import contracts."""
    python = _environment(session, "lint")
    session.run(python, "-m", "ruff", "format", "--check", ".")
    session.run(python, "-m", "ruff", "check", ".")
    session.run(python, "-m", "mypy")
    session.run(python, "-m", "codespell_lib")
    session.run(str(Path(python).with_name("lint-imports")))


def _environment(session: nox.Session, group: str) -> str:
    """Make the shared environment, or add what the dependency group lacks, and return its Python.

    The network is not used where the group is installed and the project's requirements have not changed.
    """
    wanted = set(nox.project.dependency_groups(PYPROJECT, group))
    ENVIRONMENT.parent.mkdir(exist_ok=True)
    with FileLock(ENVIRONMENT.with_suffix(".lock")):  # two terminals install one after the other
        before = _read_stamp()
        if ENVIRONMENT.exists() and (fault := _find_fault(before)):
            if not ENVIRONMENT.resolve().is_relative_to(Path.cwd().resolve()):  # it may be another checkout's
                session.error(f"{ENVIRONMENT} leads to {ENVIRONMENT.resolve()}, and {fault}. Remove the link to it.")
            session.warn(f"Making {ENVIRONMENT} again: {fault}.")
            shutil.rmtree(ENVIRONMENT)
            before = None
        if before is None:
            session.log("Making the environment. It takes some minutes: torch and torchvision are some 5.6 GB.")
            session.run(sys.executable, "-m", "virtualenv", "--quiet", str(ENVIRONMENT))
        after = Installed(project=_digest_project(), requirements=sorted(wanted))
        if before is None or before.project != after.project:
            _install(session, "--editable", ".", *after.requirements, before=before, after=after)
        elif missing := wanted.difference(before.requirements):
            both = sorted(wanted.union(before.requirements))
            _install(session, *sorted(missing), before=before, after=replace(after, requirements=both))
    return str(_python())


def _call(session: nox.Session, *command: str) -> int:
    """Run a command, pass on the signals that come meanwhile, and return its exit status.

    nox itself would kill a run half a second after Ctrl-C, and leave it behind after SIGTERM or SIGHUP; a run that gets
    the signal saves its state and says how to resume.
    """
    session.log(_line(command))
    typed = sys.orig_argv if Path(sys.argv[0]).stem == "__main__" else ["nox", *sys.argv[1:]]
    came: list[int] = []
    running: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        came.append(number)
        if sys.platform != "win32":  # there, Ctrl-C reaches all programs of the window
            for process in running:
                process.send_signal(number)

    before: dict[signal.Signals, Any] = {each: signal.getsignal(each) for each in ENDING}
    for each, handler in before.items():
        if handler != signal.SIG_IGN:  # as under nohup
            signal.signal(each, pass_on)
    try:
        environ = {**os.environ, "FASHIONBENCH_COMMAND": _line(typed)}
        running.append(subprocess.Popen(command, env=environ))
        for number in came[:1]:  # while it started
            running[0].send_signal(number)
        status = running[0].wait()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if came and status:
        raise SystemExit(128 + came[0])
    return status


def _line(words: Sequence[str]) -> str:
    """Return words as a line that the shell of this system reads as those words."""
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def _python() -> Path:
    return ENVIRONMENT.absolute() / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _digest_project() -> str:
    """Digest what decides which packages are installed; the settings of linters and pytest do not."""
    parts = {
        "build": PYPROJECT["build-system"],
        "project": PYPROJECT["project"],
        "wheel": PYPROJECT["tool"]["hatch"],
        "constraints": CONSTRAINTS.read_text(encoding="utf-8"),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _read_stamp() -> Installed | None:
    try:
        return Installed(**json.loads(STAMP.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):  # none, one that was cut, or one of another version's fields
        return None


def _find_fault(installed: Installed | None) -> str:
    """Say why the environment cannot be used, or nothing."""
    if installed is None:
        return "its installation was not finished"
    if installed.python != PYTHON_VERSION:
        return f"it was made for Python {installed.python}, and this is {PYTHON_VERSION}"
    if installed.checkout != str(Path.cwd()):
        return f"it was made in {installed.checkout}"
    return "" if _python().exists() else "the Python that it was made with is gone"


def _install(session: nox.Session, *packages: str, before: Installed | None, after: Installed) -> None:
    """Install with pip under the constraints; the stamp is absent meanwhile, so that an interrupt is noticed."""
    STAMP.unlink(missing_ok=True)
    if _call(session, str(_python()), "-m", "pip", "install", "--constraint", str(CONSTRAINTS), *packages):
        if before is not None:  # pip fetches and builds everything before it changes anything
            _write_stamp(before)
        session.error(
            "pip could not install the packages; its message is above. "
            "Check the network connection and the free disk space, then run the same command again."
        )
    _write_stamp(after)


def _write_stamp(installed: Installed) -> None:
    STAMP.write_text(json.dumps(asdict(installed), indent=2), encoding="utf-8")
