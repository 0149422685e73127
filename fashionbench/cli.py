"""The command line: commands, messages, exit status. Everything heavy is imported where it is needed."""

import os
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from fashionbench.commands import run_app, say, with_options
from fashionbench.options.commands import (
    ALL,
    COMPARE_OPTIONS,
    COMPARE_OUT,
    DATA_OPTIONS,
    DEVICES_OPTIONS,
    FAIL_IF,
    MODELS_OPTIONS,
    PEAK,
    PREVIEW,
    REPORT_OPTIONS,
    SHAPE,
    TUNE_OPTIONS,
)
from fashionbench.options.option import Given
from fashionbench.options.run import (
    CLUSTER_OPTIONS,
    DATA,
    DATASET,
    DEVICES,
    ENGINE,
    FORMAT,
    MODELS,
    OUT,
    RECIPE,
    RUN_OPTIONS,
)
from fashionbench.running.program import (
    exit_status,
    own_command,
    typed_command,
)

if TYPE_CHECKING:
    from fashionbench.report.page import Report

__all__ = ["app", "main"]

EXIT_CASE_FAILED: Final = 1
EXIT_GATE_BROKEN: Final = 3

app = typer.Typer(
    name="fashionbench",
    help="Is the bigger model worth it? Train, time and score two image classifiers on every device that you have.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line."""
    run_app(app)


def _print_version(*, wanted: bool) -> None:
    if wanted:
        say(f"fashionbench {version('fashionbench')}")
        raise typer.Exit


@app.callback()
def before_command(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", help="print the version and exit", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Accept the options that come before a command."""


def _start(given: Given) -> None:
    """Require the recipe and PyTorch, and start the process from which the cases of a local run are forked."""
    from fashionbench.recipe.file import load_recipe

    load_recipe(RECIPE.read(given))  # before PyTorch, whose import takes seconds

    from fashionbench.devices.libraries import require_torch

    require_torch()

    from fashionbench.running.process.server import start_fork_server

    if ENGINE.read(given) == "local":
        start_fork_server()


@app.command()
@with_options(*RUN_OPTIONS, *CLUSTER_OPTIONS)
def run(given: Given) -> None:
    """Train every model on every device, and write the report."""
    _start(given)

    from rich.console import Console

    from fashionbench.running.engine import open_engine, run_inferences, run_trainings
    from fashionbench.running.plan import RunOptions, make_plan
    from fashionbench.running.session import finish_run, open_run, report_interruption
    from fashionbench.tuning.budgets import plan_budgets

    asked = RunOptions.read(given)
    plan = make_plan(asked)
    command = typed_command(os.environ, sys.argv, sys.orig_argv)
    with open_engine(asked.engine, asked.address, plan, command) as cluster:
        if cluster is not None:
            plan = replace(plan, devices=cluster.select(asked.devices))
            say(*cluster.described())
        plan = plan_budgets(plan, asked, os.environ, say, cluster)
        with open_run(
            plan,
            plan.cases(),
            data=asked.data,
            out=asked.out,
            command=command,
            environ=os.environ,
            console=Console(),
            cluster=cluster,
        ) as measured:
            try:
                run_trainings(measured)
                run_inferences(measured)
                _show(finish_run(measured))
            except KeyboardInterrupt as interrupt:
                report_interruption(measured)
                raise typer.Exit(exit_status(interrupt)) from None
    if measured.unwritten or any(record.status == "failed" for record in measured.records):
        raise typer.Exit(EXIT_CASE_FAILED)


@app.command()
@with_options(*TUNE_OPTIONS)
def tune(given: Given) -> None:
    """Search for each model's best recipe by trials on the validation images, and write it as tuned.toml."""
    _start(given)

    from rich.console import Console

    from fashionbench.running.session import report_interruption
    from fashionbench.tuning.search import open_search, search

    with open_search(given, typed_command(os.environ, sys.argv, sys.orig_argv), os.environ, Console()) as opened:
        try:
            path = search(opened)
        except KeyboardInterrupt as interrupt:
            report_interruption(opened.run)
            raise typer.Exit(exit_status(interrupt)) from None
    say(f"Wrote {path}")
    options = (MODELS, DATASET, DEVICES, DATA)
    repeated = [f"{each.flag}={given[each.name]}" for each in options if given[each.name] not in {each.default, None}]
    say(f"Use it with: {own_command('run', '--recipe', str(path), *repeated)}")


@app.command()
@with_options(*COMPARE_OPTIONS)
def compare(
    old: Annotated[Path, typer.Argument(help="the earlier run: its benchmark JSON, or the folder that it wrote to")],
    new: Annotated[Path, typer.Argument(help="the later run, in the same form")],
    given: Given,
) -> None:
    """Show what changed between two runs; exit status 3 if a condition of --fail-if is met."""
    from rich.console import Console

    from fashionbench.judging.comparison import compare as compare_runs
    from fashionbench.judging.comparison import failed_conditions
    from fashionbench.judging.rule import Thresholds
    from fashionbench.records.files import write_output
    from fashionbench.records.reading import read_records
    from fashionbench.report.comparison import compare_view, print_tables
    from fashionbench.report.render import render_html

    gate, out = FAIL_IF.read(given), COMPARE_OUT.read(given)
    everything = ALL.read(given)
    before, after = (read_records([path], all_runs=everything, announce=say) for path in (old, new))
    found = compare_runs(before, after, Thresholds.read(given))
    broken = failed_conditions(found, gate) if gate else ()
    view = compare_view(found, broken)
    print_tables(view, Console())
    say(view.card.sentence, *(note.text for note in view.notes), *broken)
    if out is not None:
        write_output(out / "compare.html", render_html(view).encode())
        say(f"Wrote {out / 'compare.html'}")
    if broken:
        raise typer.Exit(EXIT_GATE_BROKEN)


@app.command()
@with_options(*REPORT_OPTIONS)
def report(
    records: Annotated[
        list[Path], typer.Argument(help="benchmark JSONs, record files, or folders that contain records")
    ],
    given: Given,
) -> None:
    """Write one report of the records of one or more runs. This does not need torch."""
    from fashionbench.judging.rule import Thresholds
    from fashionbench.records.files import check_output
    from fashionbench.records.reading import read_records
    from fashionbench.report.page import write_report
    from fashionbench.report.render import possible_formats

    out, thresholds = OUT.read(given), Thresholds.read(given)
    again = typed_command(os.environ, sys.argv, sys.orig_argv)
    formats = possible_formats(FORMAT.read(given), say, again)
    found = read_records(records, all_runs=ALL.read(given), announce=say)
    check_output(out)
    _show(write_report(found, out, thresholds=thresholds, formats=formats))


@app.command()
@with_options(*DATA_OPTIONS)
def data(given: Given) -> None:
    """Find or download a data set, verify it, and show its classes, equal images and digests."""
    from fashionbench.devices.libraries import require_torch

    require_torch()

    from fashionbench.data.dataset import Reading
    from fashionbench.data.fashion_mnist import cache_folder
    from fashionbench.data.load import load_dataset
    from fashionbench.data.overview import describe, write_preview

    found = load_dataset(
        DATASET.read(given),
        DATA.read(given),
        environ=os.environ,
        cache=cache_folder(),
        announce=say,
        reading=Reading.read(given),
    )
    for line in describe(found):
        say(line)
    preview = PREVIEW.read(given)
    if preview is not None:
        from fashionbench.report.figures.letters import find_font, find_missing_letters

        write_preview(found, preview, find_font)
        say(f"Wrote {preview}")
        if missing := find_missing_letters(found.classes):
            say(f"No font on this machine has these letters of class names: {missing[:40]}")


@app.command()
@with_options(*DEVICES_OPTIONS)
def devices(given: Given) -> None:
    """List the devices that a run would use."""
    from fashionbench.devices.libraries import require_torch

    require_torch()

    from fashionbench.devices.device import list_devices
    from fashionbench.execution.peak import describe_peak, measure_peak
    from fashionbench.running.process.call import CallFailedError, call_in_process

    for device in list_devices():
        say(f"{device.word:8} {device.name}")
        if PEAK.read(given):
            try:
                found = describe_peak(call_in_process(measure_peak, device))  # its memory ends with the process
            except CallFailedError as error:
                found = f"its peak was not measured: {error.reason}"
            say(f"{'':8} {found}")


@app.command()
@with_options(*MODELS_OPTIONS)
def models(
    names: Annotated[
        list[str] | None, typer.Argument(help="networks, named as in --models", show_default="all but those of timm")
    ] = None,
    *,
    given: Given,
) -> None:
    """List models: layers, parameters, and for each shape of images the operations, or why the model does not fit.

    All models take two minutes or more.
    """
    from fashionbench.models.description import list_fits
    from fashionbench.running.process.own import find_fit_in_process

    for line in list_fits(names or [], SHAPE.read(given), find_fit_in_process):
        say(line)


def _show(written: "Report") -> None:
    say(written.conclusion, *(f"Wrote {path}" for path in written.paths))
