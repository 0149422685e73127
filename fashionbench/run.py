"""One run from its options to its report, the same under pytest and on the command line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from fashionbench.measure.case import (
    Case,
    Timed,
    compare_repeats,
    draw_split,
    measure_inference,
    measure_training,
    record_absence,
    time_rounds,
)
from fashionbench.measure.data import Dataset, cache_folder, find_dataset
from fashionbench.measure.devices import Device
from fashionbench.measure.plan import Plan, estimate_seconds
from fashionbench.measure.training import TrainingClock
from fashionbench.preflight import check_output, check_pango
from fashionbench.progress import Display, format_duration
from fashionbench.record import InferenceRecord, TrainingRecord
from fashionbench.store import write_record

if TYPE_CHECKING:
    from fashionbench.report.page import Report

__all__ = ["Run", "finish_run", "run_inference", "run_training", "start_run"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """A run that passed the pre-flight; it gathers the records as they come."""

    plan: Plan
    dataset: Dataset
    out: Path
    command: str
    display: Display
    clock: TrainingClock = field(default_factory=TrainingClock)
    records: list[TrainingRecord | InferenceRecord] = field(default_factory=list)


def start_run(  # noqa: PLR0913 - the options of a run
    plan: Plan,
    cases: tuple[Case, ...],
    *,
    data: Path | None,
    out: Path,
    command: str,
    environ: Mapping[str, str],
    console: Console,
) -> Run:
    """Check in seconds what would otherwise fail after an hour, and say what is to come.

    Args:
        plan: What to measure.
        cases: The cases of the plan that were picked.
        data: Folder of the data set; None finds or fetches it.
        out: Folder for records and report.
        command: What was typed, for the records.
        environ: The environment variables.
        console: Where to say it.

    Raises:
        FashionBenchError: Pango, the data or the output folder are not as they must be.

    """

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    check_pango()
    dataset = find_dataset(
        data, environ=environ, cache=cache_folder(), announce=say, allow_sample=not plan.recipe.is_result
    )
    draw_split(dataset, plan.recipe, plan.seeds[0])
    check_output(out)
    say(f"Data: {dataset.name}, {dataset.release}, from {dataset.source}")
    for device in plan.devices:
        say(f"Device: {device.word}, {f'absent: {device.absence}' if device.absence else device.name}")
    expected = _expect(plan, cases, dataset, say)
    total = sum(seconds for _, seconds in expected)
    if expected:
        count = f"{len(expected)} trainings" if len(expected) > 1 else "1 training"
        say(f"Expected: about {format_duration(total)} for {count}, recipe {plan.recipe.name}")
    run = Run(plan=plan, dataset=dataset, out=out, command=command, display=Display(console, expected))
    for case in cases:
        if case.device.absence:
            _keep(run, record_absence(case, dataset, command=command))
    return run


def run_training(run: Run, case: Case, timed: Timed = lambda prepare, train: train(prepare())) -> TrainingRecord:
    """Measure a case, keep its record in the run and as a file, and return it."""
    with run.display.watch(case) as watch:
        record = measure_training(case, run.dataset, command=run.command, clock=run.clock, watch=watch, timed=timed)
    if run.plan.repeated(case) and record.result is not None:
        with run.display.watch(case) as watch:
            again = measure_training(case, run.dataset, command=run.command, clock=TrainingClock(), watch=watch)
        record = compare_repeats(record, again)
    result = record.result
    run.display.say(
        f"{case.name}: {record.status}, {record.reason}"
        if result is None
        else f"{case.name}: {result.scores.accuracy:.2%} on the test images "
        f"after {format_duration(result.train_seconds)} of training"
    )
    _keep(run, record)
    return record


def run_inference(
    run: Run,
    model: str,
    device: Device,
    batch_size: int,
    timed: Callable[[Callable[[], None]], tuple[float, ...]] = time_rounds,
) -> InferenceRecord:
    """Time a model's forward pass, keep its record in the run and as a file, and return it."""
    record = measure_inference(model, device, run.dataset, batch_size=batch_size, command=run.command, timed=timed)
    result = record.result
    run.display.say(
        f"{model} on {device.word}, batch {batch_size}: "
        + (f"{batch_size / result.median_seconds():,.0f} images a second" if result else record.reason)
    )
    _keep(run, record)
    return record


def finish_run(run: Run) -> "Report":
    """Write the report of what the run has measured so far."""
    from fashionbench.report.page import write_report  # noqa: PLC0415 - drawing loads much that measuring must not carry

    return write_report(
        run.records, run.out, margin_pp=run.plan.margin_pp, price_minutes_per_pp=run.plan.price_minutes_per_pp
    )


def _expect(
    plan: Plan, cases: tuple[Case, ...], dataset: Dataset, say: Callable[[str], None]
) -> list[tuple[Case, float]]:
    """Estimate each model on each device once; one that fails is told here, and will be recorded as failed."""
    known: dict[tuple[str, Device], float] = {}
    for case in cases:
        if not case.device.absence and (case.model, case.device) not in known:
            try:
                known[case.model, case.device] = estimate_seconds(case, dataset)
            except RuntimeError as error:
                say(f"{case.model} fails on {case.device.word}: {str(error).partition(chr(10))[0]}")
                known[case.model, case.device] = 0.0
    return [
        (case, known[case.model, case.device])
        for case in cases
        if not case.device.absence
        for _ in range(2 if plan.repeated(case) else 1)
    ]


def _keep(run: Run, record: TrainingRecord | InferenceRecord) -> None:
    run.records.append(record)
    write_record(run.out / "records", record)
