"""The command line: arguments, messages, exit status. Everything heavy is imported where it is needed."""

import os
import shlex
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from fashionbench.errors import FashionBenchError

if TYPE_CHECKING:
    from fashionbench.report.page import Report

__all__ = ["app", "main"]

EXIT_BAD_INPUT: Final = 2
EXIT_CASE_FAILED: Final = 1
EXIT_GATE_BROKEN: Final = 3

app = typer.Typer(
    name="fashionbench",
    help="Is the bigger model worth it? Train, time and score two classifiers on every device you have.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DataOption = Annotated[
    Path | None,
    typer.Option(help="Folder of Fashion-MNIST's IDX files or Kaggle CSV pair; default: find or fetch it."),
]
DatasetOption = Annotated[
    str,
    typer.Option(
        help="fashion-mnist, mnist, kmnist, emnist, cifar10, digits, or a folder of images, an .npz or a .csv."
    ),
]
MarginOption = Annotated[float, typer.Option(help="The smallest gain that matters, in percentage points.", min=0)]
PriceOption = Annotated[
    float | None, typer.Option(help="What a percentage point may cost, in training minutes.", min=0)
]
RatesOption = Annotated[str, typer.Option(help="What an hour on a device costs, in any money: cuda=1.20,cpu=0.05.")]
MoneyOption = Annotated[str, typer.Option(help="What a percentage point may cost, in the money of --price-per-hour.")]
OutOption = Annotated[Path, typer.Option(help="Folder for records and report.")]


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit status 2."""
    try:
        app()
    except FashionBenchError as error:
        typer.echo(f"fashionbench: {error}", err=True)
        raise SystemExit(EXIT_BAD_INPUT) from None


def _print_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"fashionbench {version('fashionbench')}")
        raise typer.Exit


@app.callback()
def before_command(
    *,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Accept the options that come before a command."""


@app.command()
def run(  # noqa: PLR0913 - the options of a run
    *,
    recipe: Annotated[str, typer.Option(help="study, swift, smoke, or the path of a .toml file.")] = "study",
    models: Annotated[
        str,
        typer.Option(
            help="Comma-separated: fashioncnn, resnet18, dummy, logreg, forest, torchvision:NAME, module:function, "
            "an entry point."
        ),
    ] = "fashioncnn,resnet18",
    dataset: DatasetOption = "fashion-mnist",
    devices: Annotated[str, typer.Option(help="Comma-separated: cpu, cuda, cuda:N, mps, xpu; or all.")] = "all",
    seeds: Annotated[str, typer.Option(help="How many (3 means 0,1,2), or which, comma-separated.")] = "1",
    until_decided: Annotated[
        str, typer.Option(help="Add seeds until no device's verdict is open any more, up to this many.")
    ] = "",
    engine: Annotated[
        str, typer.Option(help="local: one training after another, here; ray: many, over a Ray cluster.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="The Ray cluster's, as host:6379; default: RAY_ADDRESS's, or this machine's.")
    ] = None,
    execution: Annotated[str, typer.Option(help="fast, or plain: PyTorch's own loop, the same mathematics.")] = "fast",
    precision: Annotated[str, typer.Option(help="fp32, bf16 (autocast) or, on cuda, tf32.")] = "fp32",
    margin: Annotated[str, typer.Option(help="The smallest gain that matters, in percentage points.")] = "0.5",
    price: Annotated[str, typer.Option(help="What a percentage point may cost, in training minutes.")] = "",
    price_per_hour: RatesOption = "",
    price_money: MoneyOption = "",
    limit: Annotated[str, typer.Option(help="Minutes after which a training is given up; default: none.")] = "",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Measure anew what earlier runs in this folder have finished.")
    ] = False,
    self_check: Annotated[
        bool, typer.Option("--self-check", help="Train the first case of each device once more and report the noise.")
    ] = False,
    data: DataOption = None,
    out: OutOption = Path("reports"),
) -> None:
    """Train every model on every device and write the report."""
    from fashionbench.running.process import start_fork_server

    if engine == "local":
        start_fork_server()

    from rich.console import Console

    from fashionbench.running.engine import open_engine, run_inferences, run_trainings
    from fashionbench.running.plan import make_plan
    from fashionbench.running.session import finish_run, open_run, tell_interrupted

    plan = make_plan(
        recipe=recipe,
        models=models,
        dataset=dataset,
        devices=devices,
        seeds=seeds,
        until_decided=until_decided,
        execution=execution,
        precision=precision,
        margin=margin,
        price=price,
        price_per_hour=price_per_hour,
        price_money=price_money,
        limit=limit,
    )
    plan = replace(plan, self_check=self_check, fresh=fresh)
    command = shlex.join(["fashionbench", *sys.argv[1:]])
    with open_engine(engine, address, plan, command) as cluster:
        if cluster is not None:
            plan = replace(plan, devices=cluster.select(devices))
            for line in cluster.described():
                typer.echo(line)
        with open_run(
            plan,
            plan.cases(),
            data=data,
            out=out,
            command=command,
            environ=os.environ,
            console=Console(),
            cluster=cluster,
        ) as measured:
            try:
                run_trainings(measured)
                run_inferences(measured)
                _tell(finish_run(measured))
            except KeyboardInterrupt as interrupt:
                raise typer.Exit(tell_interrupted(measured, interrupt)) from None
    if any(record.status == "failed" for record in measured.records):
        raise typer.Exit(EXIT_CASE_FAILED)


@app.command()
def compare(  # noqa: PLR0913 - the options of a comparison
    old: Annotated[Path, typer.Argument(help="Benchmark JSON of the run before, or the folder it wrote to.")],
    new: Annotated[Path, typer.Argument(help="The same of the run now.")],
    *,
    fail_if: Annotated[
        str, typer.Option(help="End with status 3 if surely so: slower=10%, worse=0.5pp, verdict; joined by commas.")
    ] = "",
    out: Annotated[Path | None, typer.Option(help="Folder for compare.html.")] = None,
    margin: MarginOption = 0.5,
    price: PriceOption = None,
) -> None:
    """Tell what changed between two runs, and end with status 3 if what --fail-if names surely happened."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from fashionbench.judging.comparison import Gate, parse_gate
    from fashionbench.judging.comparison import compare as compare_runs
    from fashionbench.records.store import read_records, write_whole
    from fashionbench.report.comparison import compare_view
    from fashionbench.report.render import render_html

    gate = parse_gate(fail_if) if fail_if else Gate()
    found = compare_runs(read_records([old]), read_records([new]), margin_pp=margin, price_minutes_per_pp=price)
    broken = gate.broken_by(found) if fail_if else ()
    view = compare_view(found, broken)
    console = Console()
    for each in view.summary:
        table = Table(title=each.caption, title_justify="left", box=None, caption=each.note, caption_justify="left")
        for place, head in enumerate(each.header):
            table.add_column(
                head, justify="left" if each.rows and each.rows[0][place].is_text else "right", no_wrap=place == 0
            )
        for row in each.rows:
            table.add_row(*(Text(cell.text) for cell in row))
        console.print(table)
    for line in (view.card.sentence, *(note.text for note in view.notes), *broken):
        typer.echo(line)
    if out is not None:
        write_whole(out / "compare.html", render_html(view).encode())
        typer.echo(f"Wrote {out / 'compare.html'}")
    if broken:
        raise typer.Exit(EXIT_GATE_BROKEN)


@app.command()
def report(  # noqa: PLR0913 - the options of a report
    records: Annotated[list[Path], typer.Argument(help="Benchmark JSONs, record files, folders of them or of runs.")],
    *,
    out: OutOption = Path("reports"),
    formats: Annotated[
        str, typer.Option("--format", help="Comma-separated: html, pdf, md, json.")
    ] = "html,pdf,md,json",
    margin: MarginOption = 0.5,
    price: PriceOption = None,
    price_per_hour: RatesOption = "",
    price_money: MoneyOption = "",
) -> None:
    """Make the report again from records; several files become one report. Needs no torch."""
    from fashionbench.judging.prices import Money
    from fashionbench.records.store import check_output, read_records
    from fashionbench.report.page import write_report
    from fashionbench.report.render import check_pango

    found = read_records(records)
    wanted = [each.strip() for each in formats.split(",")]
    if "pdf" in wanted:
        check_pango()
    check_output(out)
    money = Money.parse(price_per_hour, price_money)
    _tell(write_report(found, out, margin_pp=margin, price_minutes_per_pp=price, money=money, formats=wanted))


@app.command()
def data(data: DataOption = None, dataset: DatasetOption = "fashion-mnist") -> None:
    """Find or fetch the data, verify it and say which one it is."""
    from fashionbench.data.fashion_mnist import cache_folder
    from fashionbench.data.load import load_dataset

    found = load_dataset(dataset, data, environ=os.environ, cache=cache_folder(), announce=typer.echo)
    typer.echo(found.described)
    typer.echo(f"{len(found.train_images):,} training and {len(found.test_images):,} test images")
    for name, digest in found.digests.items():
        typer.echo(f"{name}  sha256 {digest}")


@app.command()
def devices(
    *,
    peak: Annotated[bool, typer.Option("--peak", help="Measure what each can do at most; about a second.")] = False,
) -> None:
    """List the devices that a run would use."""
    from fashionbench.devices.device import list_devices
    from fashionbench.execution.peak import measure_peak

    for device in list_devices():
        typer.echo(f"{device.word:8} {device.name}")
        if peak:
            found = measure_peak(device)
            typer.echo(
                f"{'':8} fp32: products {found.product_flops_per_second / 1e9:,.0f} GFLOP/s, convolutions "
                f"{found.convolution_flops_per_second / 1e9:,.0f} GFLOP/s, copies "
                f"{found.copy_bytes_per_second / 1e9:,.0f} GB/s"
            )


def _tell(written: "Report") -> None:
    typer.echo(written.conclusion)
    for path in written.paths:
        typer.echo(f"Wrote {path}")
