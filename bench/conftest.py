"""Options, fixtures and hooks that connect pytest-benchmark to a FashionBench run. It has no logic of its own."""

import os
import shlex
import sys
import warnings
from collections.abc import Generator
from contextlib import ExitStack

import pytest
from rich.console import Console

from fashionbench.devices.device import Device
from fashionbench.errors import FashionBenchError
from fashionbench.options import RUN_OPTIONS
from fashionbench.records.store import EXTRA_INFO_KEY, benchmark_section
from fashionbench.running.plan import Plan, RunOptions, make_plan
from fashionbench.running.process import start_fork_server
from fashionbench.running.session import Run, finish_run, open_run, report_interruption
from fashionbench.training.case import Case

ASKED = pytest.StashKey[RunOptions]()
PLAN = pytest.StashKey[Plan]()
RUN = pytest.StashKey[Run]()
INTERRUPT = pytest.StashKey[KeyboardInterrupt]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of a run."""
    group = parser.getgroup("fashionbench")
    for option in RUN_OPTIONS:
        shown = f"{option.help} (default: {option.shown_default})"
        if option.is_flag:
            group.addoption(option.flag, action="store_true", help=shown)
        else:
            group.addoption(option.flag, default=option.default, help=shown)


def pytest_configure(config: pytest.Config) -> None:
    """Read the options. A mistake ends the session with one line and exit status 2."""
    # a library's warning must not fail a measurement, neither in a case nor between two
    config.addinivalue_line("filterwarnings", "default")
    warnings.simplefilter("default")
    if config.getoption("numprocesses", None):
        pytest.exit("pytest-xdist (-n) disables timing; run bench/ without it", returncode=2)
    try:
        config.stash[ASKED] = RunOptions.read({option.name: config.getoption(option.name) for option in RUN_OPTIONS})
        config.stash[PLAN] = make_plan(config.stash[ASKED])
    except FashionBenchError as error:
        pytest.exit(str(error), returncode=2)


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
        metafunc.parametrize(
            ("model", "device", "seed"),
            [_param(case.device, case.model, case.device.word, case.seed) for case in plan.cases()],
        )
    elif "batch_size" in metafunc.fixturenames:
        metafunc.parametrize(
            ("model", "device", "batch_size"),
            [_param(device, model, device.word, size) for model, device, size in plan.inferences()],
        )


def _param(device: Device, *values: str | int) -> object:
    marks = [pytest.mark.skip(reason=f"{device.word} {device.absence}")] if device.absence else []
    return pytest.param(*values, marks=marks)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Run the pre-flight checks once the cases are selected."""
    config = session.config
    if config.option.collectonly or not session.items:
        return
    start_fork_server()  # its imports run during the checks
    plan = config.stash[PLAN]
    picked = {item.name for item in session.items}
    opened = ExitStack()
    config.add_cleanup(opened.close)
    try:
        config.stash[RUN] = opened.enter_context(
            open_run(
                plan,
                tuple(case for case in plan.cases() if f"bench_training[{case.name}]" in picked),
                data=config.stash[ASKED].data,
                out=config.stash[ASKED].out,
                command=shlex.join(["pytest", *sys.argv[1:]]),
                environ=os.environ,
                console=Console(),
            )
        )
    except FashionBenchError as error:
        pytest.exit(str(error), returncode=2)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Show the run's progress in the terminal while a case is measured."""
    plugins = pyfuncitem.config.pluginmanager
    with plugins.getplugin("capturemanager").global_and_fixture_disabled():
        plugins.getplugin("terminalreporter").ensure_newline()
        try:
            return (yield)
        except KeyboardInterrupt as interrupt:
            pyfuncitem.config.stash[INTERRUPT] = interrupt
            raise


@pytest.fixture
def run(pytestconfig: pytest.Config) -> Run:
    """Return the run."""
    return pytestconfig.stash[RUN]


@pytest.fixture
def case(run: Run, model: str, device: str, seed: int) -> Case:
    """Return the case of the parameters."""
    return next(case for case in run.plan.cases() if case.name == f"{model}-{device}-{seed}")


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


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, object]) -> None:
    """Add the schema number and the cases that pytest-benchmark drops: failed and absent ones."""
    output_json[EXTRA_INFO_KEY] = benchmark_section(config.stash[RUN].records)


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, None, None]:
    """After Ctrl-C or SIGTERM, say what is kept and how to resume, with the exit status that shells expect."""
    yield
    if INTERRUPT in session.config.stash and RUN in session.config.stash:
        session.exitstatus = report_interruption(session.config.stash[RUN], session.config.stash[INTERRUPT])


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the report and print its paths."""
    if RUN in config.stash and config.stash[RUN].records and INTERRUPT not in config.stash:
        written = finish_run(config.stash[RUN])
        terminalreporter.section("FashionBench")
        terminalreporter.write_line(written.conclusion)
        for path in written.paths:
            terminalreporter.write_line(f"Wrote {path}")
