"""The project's commands. One environment serves them all: torch with torchvision is some 5.5 GB."""

import sys
from pathlib import Path

import nox

nox.needs_version = ">=2026.2"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "tests"]

ENVIRONMENT = Path(".nox", "fashionbench")
PYPROJECT = nox.project.load_toml("pyproject.toml")


@nox.session
def bench(session: nox.Session) -> None:
    """Train and time both models on every device, and write reports/report.html and .pdf (options after --)."""
    python = _environment(session)
    session.run(python, "-m", "pytest", "bench/", "--benchmark-json=reports/benchmark.json", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Prove the code right, with the branch coverage gate (pytest options after --)."""
    python = _environment(session)
    session.run(python, "-m", "pytest", "--cov", *session.posargs)
    if not session.posargs:
        session.run(python, "-m", "coverage", "report", "--fail-under=100")


@nox.session
def execution(session: nox.Session) -> None:
    """Time the fast execution against the plain loop, by turns, and write reports/execution.json (about 3 minutes)."""
    session.run(
        *(_environment(session), "-m", "pytest", "bench/bench_execution.py", "-m", "execution"),
        *("--benchmark-json=reports/execution.json", *session.posargs),
    )


@nox.session
def chaos(session: nox.Session) -> None:
    """Kill a smoke run at 50 random moments and hold what comes out against an undisturbed one (--kills N)."""
    session.run(_environment(session), "tests/chaos.py", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Give the readers 160,000 spoiled files."""
    session.run(
        _environment(session), "-m", "pytest", "tests/test_hostile.py", "--hypothesis-profile=fuzz", *session.posargs
    )


@nox.session
def growth(session: nox.Session) -> None:
    """Measure how time and memory grow with images, batch, threads, epochs, seeds and records (about 25 minutes)."""
    session.run(_environment(session), "tests/growth.py", *session.posargs)


@nox.session
def html(session: nox.Session) -> None:
    """Hold the reference report against html-validate's rules for standard HTML (needs npm)."""
    session.run(
        *("npx", "--yes", "html-validate@10", "--preset", "standard", "reports/reference/report.html"),
        *session.posargs,
        external=True,
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Hold style, types, spelling and the floors."""
    python = _environment(session)
    session.run(python, "-m", "ruff", "format", "--check", ".")
    session.run(python, "-m", "ruff", "check", ".")
    session.run(python, "-m", "mypy")
    session.run(python, "-m", "codespell_lib")
    session.run(str(Path(python).with_name("lint-imports")))


def _environment(session: nox.Session) -> str:
    """Make the shared environment, or bring it up to date, and return its Python."""
    programs = ENVIRONMENT.absolute() / ("Scripts" if sys.platform == "win32" else "bin")
    python = str(programs / "python")
    quiet = ["--quiet"] if ENVIRONMENT.exists() else []
    if not ENVIRONMENT.exists():
        session.log("Making the environment; torch and torchvision are some 5.5 GB, so this takes a while.")
        session.run(sys.executable, "-m", "virtualenv", "--quiet", str(ENVIRONMENT))
    groups = nox.project.dependency_groups(PYPROJECT, "lint")
    session.run(python, "-m", "pip", "install", *quiet, "--constraint", "constraints.txt", "--editable", ".", *groups)
    return python
