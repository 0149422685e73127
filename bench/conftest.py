"""Options, fixtures and hooks that connect pytest-benchmark to a FashionBench run. It has no logic of its own.

What needs torch is imported when the signals are caught: its import takes seconds, and Ctrl-C may come meanwhile.
"""

import os
import sys
import warnings
from collections.abc import Generator
from contextlib import ExitStack, nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pytest_benchmark.session import PerformanceRegression
from rich.console import Console

from fashionbench.errors import FashionBenchError, InputError, SetupError, visible
from fashionbench.options.run import RUN_OPTIONS
from fashionbench.records.files import check_output
from fashionbench.records.store import EXTRA_INFO_KEY, benchmark_section
from fashionbench.running.program import (
    SIGNALLED,
    exit_status,
    finding_lost_signals,
    ignore_signals,
    interruptible,
    raising_lost_signals,
    reliable_output,
    typed_command,
)

if TYPE_CHECKING:
    from fashionbench.report.page import Report
    from fashionbench.running.plan import Plan, RunOptions
    from fashionbench.running.session import Run
    from fashionbench.training.case import Case

ASKED: pytest.StashKey["RunOptions"] = pytest.StashKey()
PLAN: pytest.StashKey["Plan"] = pytest.StashKey()
RUN: pytest.StashKey["Run"] = pytest.StashKey()
REPORT: pytest.StashKey["Report"] = pytest.StashKey()
CONSOLE = pytest.StashKey[Console]()
SIGNALS = pytest.StashKey[list[int]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of a run."""
    group = parser.getgroup("fashionbench")
    for option in RUN_OPTIONS:
        shown = f"{option.help} (default: {option.shown_default})"
        if option.is_flag:
            group.addoption(option.flag, action="store_true", help=shown)
        else:
            group.addoption(option.flag, default=option.default, help=shown)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Catch the signals, and read the options. A mistake ends the session with one line and exit status 2."""
    surroundings = ExitStack()
    config.add_cleanup(surroundings.close)
    surroundings.enter_context(reliable_output())
    config.stash[SIGNALS] = surroundings.enter_context(interruptible())
    config.stash[CONSOLE] = Console(file=sys.stdout)  # the one that is reliable; pytest captures sys.stdout later
    # a library's warning must not fail a measurement, neither in a case nor between two
    config.addinivalue_line("filterwarnings", "default")
    warnings.simplefilter("default")
    if config.getoption("numprocesses", None):
        pytest.exit("pytest-xdist (-n) disables timing; run bench/ without it", returncode=2)
    try:
        with finding_lost_signals(config.stash[SIGNALS]):
            _require_plugins(config)
            _read_options(config)
    except FashionBenchError as error:
        pytest.exit(str(error), returncode=2)
    except KeyboardInterrupt as interrupt:
        pytest.exit("Interrupted before the first training", returncode=exit_status(interrupt))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Catch the signals that Python drops, once pytest has its own place for what is dropped."""
    config = session.config
    surroundings = ExitStack()
    config.add_cleanup(surroundings.close)
    surroundings.enter_context(raising_lost_signals(config.stash[SIGNALS]))


def _require_plugins(config: pytest.Config) -> None:
    """Require pytest-benchmark, and what it imports only after all trainings."""
    if not config.pluginmanager.hasplugin("benchmark"):
        raise InputError(
            "pytest-benchmark is switched off", expected="it in bench/", remedy="leave out -p no:benchmark"
        )
    if config.getoption("benchmark_histogram") and find_spec("pygal") is None:
        raise SetupError(
            "pygal is not installed",
            expected="it for --benchmark-histogram",
            remedy='run: python -m pip install "pytest-benchmark[histogram]"',
        )


def _read_options(config: pytest.Config) -> None:
    from fashionbench.devices.libraries import require_torch

    require_torch()

    from fashionbench.running.plan import RunOptions, make_plan
    from fashionbench.running.process.server import start_fork_server
    from fashionbench.tuning.budgets import plan_budgets

    asked = RunOptions.read({option.name: config.getoption(option.name) for option in RUN_OPTIONS})
    plan = make_plan(asked)
    if asked.budgets:
        start_fork_server()  # for the estimates
    config.stash[ASKED] = asked
    config.stash[PLAN] = plan_budgets(plan, asked, os.environ, lambda line: _say(config, line))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, object, object]:
    """Keep the plan's order if a plugin shuffles; deselect the cases marked ``execution`` unless ``-m`` names them."""
    planned = {item: position for position, item in enumerate(items)}
    returned = yield
    items.sort(key=planned.__getitem__)
    if "execution" not in config.option.markexpr:
        asked_for = [item for item in items if item.get_closest_marker("execution")]
        config.hook.pytest_deselected(items=asked_for)
        items[:] = [item for item in items if item not in asked_for]
    return returned


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a case for each (model, device, seed), and for each (model, device, batch size)."""
    plan = metafunc.config.stash[PLAN]
    if "seed" in metafunc.fixturenames:
        cases = plan.cases()
        metafunc.parametrize(
            ("model", "device", "seed", "budget")[: len(cases[0].words)],
            [_param(f"{case.device.word}: {case.absence}" if case.absence else "", *case.words) for case in cases],
        )
    elif "batch_size" in metafunc.fixturenames:
        metafunc.parametrize(
            ("model", "device", "batch_size"),
            [
                _param(f"{device.word}: {device.absence}" if device.absence else "", model, device.word, size)
                for model, device, size in plan.inferences()
            ],
        )


def _param(absence: str, *values: str | int) -> object:
    marks = [pytest.mark.skip(reason=absence)] if absence else []
    return pytest.param(*values, marks=marks)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Run the pre-flight checks once the cases are selected."""
    config = session.config
    if config.option.collectonly or not session.items:
        return
    from fashionbench.running.process.server import start_fork_server
    from fashionbench.running.session import open_run

    plan = config.stash[PLAN]
    picked = {item.name for item in session.items}
    opened = ExitStack()
    config.add_cleanup(opened.close)
    try:
        with finding_lost_signals(config.stash[SIGNALS]):
            start_fork_server()  # its imports run during the checks
            config.stash[RUN] = opened.enter_context(
                open_run(
                    plan,
                    tuple(case for case in plan.cases() if f"bench_training[{case.key}]" in picked),
                    data=config.stash[ASKED].data,
                    out=config.stash[ASKED].out,
                    command=typed_command(os.environ, sys.argv, sys.orig_argv),
                    environ=os.environ,
                    console=config.stash[CONSOLE],
                )
            )
            _prepare_benchmarks(config)
    except FashionBenchError as error:
        pytest.exit(str(error), returncode=2)


def _prepare_benchmarks(config: pytest.Config) -> None:
    """Find out before the trainings what pytest-benchmark would find out after them."""
    benchmarks: Any = config.pluginmanager.getplugin("pytest-benchmark")
    if benchmarks.compare_fail and not benchmarks.compared_mapping:
        _say(config, "--benchmark-compare-fail: there is no earlier benchmark to compare with")
        benchmarks.compare_fail = []
    if benchmarks.json is not None:
        check_output(Path(benchmarks.json).parent)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Show the run's progress in the terminal while a case is measured."""
    plugins = pyfuncitem.config.pluginmanager
    capture, terminal = plugins.getplugin("capturemanager"), plugins.getplugin("terminalreporter")
    shown = nullcontext() if capture is None else capture.global_and_fixture_disabled()
    with shown, finding_lost_signals(pyfuncitem.config.stash[SIGNALS]):
        if terminal is not None:
            terminal.ensure_newline()
        return (yield)


@pytest.fixture
def run(pytestconfig: pytest.Config) -> "Run":
    """Return the run."""
    return pytestconfig.stash[RUN]


@pytest.fixture
def budget() -> str:
    """Return no budget, where it is no parameter."""
    return ""


@pytest.fixture
def case(run: "Run", model: str, device: str, seed: int, budget: str) -> "Case":
    """Return the case of the parameters."""
    name = "-".join(filter(None, (model, device, str(seed), budget)))
    return next(case for case in run.plan.cases() if case.key == name)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Make the training clock pytest-benchmark's timer."""
    names = getattr(item, "fixturenames", ())
    for name, group in (("case", "training"), ("batch_size", "inference"), ("images_a_step", "execution")):
        if name in names and RUN in item.config.stash:
            item.add_marker(pytest.mark.benchmark(timer=item.config.stash[RUN].clock, group=group))


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, object]) -> None:
    """Add the environment of the records, and leave the host name out."""
    machine_info.pop("node", None)
    if RUN in config.stash and config.stash[RUN].records:
        machine_info[EXTRA_INFO_KEY] = config.stash[RUN].records[0].environment.model_dump(mode="json")


@pytest.hookimpl(wrapper=True)
def pytest_benchmark_compare_machine_info(compared_benchmark: dict[str, Any]) -> Generator[None, object, object]:
    """Compare the machines without our environment, which this run has only later, wherever the other run is stored."""
    compared_benchmark["machine_info"].pop(EXTRA_INFO_KEY, None)
    try:
        return (yield)
    except ValueError:  # pytest-benchmark has no words for a storage outside the current folder
        return None


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, object]) -> None:
    """Add the schema number and the cases that pytest-benchmark drops: failed and absent ones."""
    output_json[EXTRA_INFO_KEY] = benchmark_section(config.stash[RUN].records)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    """Write the report first: what pytest-benchmark finds, or cannot write, must not cost it.

    After a signal, say what is kept and how to resume instead, with the exit status that shells expect.
    """
    config = session.config
    interrupted = bool(config.stash[SIGNALS]) and session.exitstatus == pytest.ExitCode.INTERRUPTED
    if not interrupted:
        interrupted = _write_report(session)
    try:
        yield
    except PerformanceRegression:  # pytest-benchmark has said which
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    except OSError as error:
        _say(config, f"The benchmark JSON cannot be written ({error.strerror}); the records are kept")
        session.exitstatus = 2
    except KeyboardInterrupt:
        interrupted = True
    ignore_signals()  # what is left takes a moment
    if REPORT in config.stash:
        _show_report(config)
    if interrupted:
        from fashionbench.running.session import report_interruption

        session.exitstatus = SIGNALLED + config.stash[SIGNALS][0]
        if RUN in config.stash:
            report_interruption(config.stash[RUN])
        else:
            _say(config, "Interrupted before the first training")


def _write_report(session: pytest.Session) -> bool:
    """Write the report of what was measured; return whether a signal ended that."""
    from fashionbench.running.session import finish_run

    config = session.config
    if RUN in config.stash and config.stash[RUN].records:
        try:
            config.stash[REPORT] = finish_run(config.stash[RUN])
        except FashionBenchError as error:
            _say(config, str(error))
            session.exitstatus = 2
        except KeyboardInterrupt:
            return True
    return False


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(config: pytest.Config) -> None:
    """Print the conclusion and the paths of the report."""
    if REPORT in config.stash:
        _show_report(config)


def _show_report(config: pytest.Config) -> None:
    terminal: Any = config.pluginmanager.getplugin("terminalreporter")
    written = config.stash[REPORT]
    del config.stash[REPORT]
    if terminal is not None:  # as with -p no:terminal
        terminal.section("FashionBench")
    write = partial(_say, config) if terminal is None else terminal.write_line
    for line in (written.conclusion, *(f"Wrote {path}" for path in written.paths)):
        write(line)


def _say(config: pytest.Config, line: str) -> None:
    config.stash[CONSOLE].print(visible(line), markup=False, highlight=False, soft_wrap=True)
