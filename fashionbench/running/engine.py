"""How a run's trainings are carried out: here, one after another, or many at a time over a cluster."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fashionbench.devices.device import Device
from fashionbench.errors import InputError, SetupError
from fashionbench.judging.prices import Money
from fashionbench.records.record import TrainingRecord
from fashionbench.running.cluster import Cluster, open_cluster
from fashionbench.running.nodes import Node
from fashionbench.running.plan import FIRST_LOOK, Plan
from fashionbench.running.process import Job, measure_in_child
from fashionbench.running.progress import format_duration
from fashionbench.running.session import Run, keep_record, measure_peak_of, run_inference, write
from fashionbench.training.case import Case
from fashionbench.training.checkpoint import SECONDS_BETWEEN_CHECKPOINTS, keep_checkpoint, remove_checkpoints
from fashionbench.training.identity import identify
from fashionbench.training.loop import Tick
from fashionbench.training.measure import compare_repeats

if TYPE_CHECKING:
    from fashionbench.judging.verdict import Verdict

__all__ = ["open_engine", "run_inferences", "run_training", "run_trainings", "wanted_seeds"]

Timed = Callable[[Callable[[], TrainingRecord], Callable[[TrainingRecord], TrainingRecord]], TrainingRecord]


@contextmanager
def open_engine(name: str, address: str | None, plan: Plan) -> Iterator[Cluster | None]:
    """Open what ``--engine`` names: None for ``local``, a cluster for ``ray``.

    Args:
        name: ``local`` or ``ray``.
        address: Of the Ray cluster, as ``host:port``; None takes what RAY_ADDRESS names, or that of this machine.
        plan: What is to be measured.

    Raises:
        InputError: No such engine, or the plan asks for what it does not do.
        SetupError: The cluster is not there.

    """
    if name not in {"local", "ray"}:
        raise InputError(f"unknown engine {name[:60]!r}", expected="local or ray", remedy="mend the value of --engine")
    if name == "local":
        if address is not None:
            raise InputError(
                f"--address {address[:60]} without --engine ray", expected="both or neither", remedy="add --engine ray"
            )
        yield None
        return
    if plan.self_check:
        raise InputError(
            "--self-check with --engine ray",
            expected="one of the two: the same case has to be trained twice on the same machine",
            remedy="leave one out",
        )
    with open_cluster(address, plan.models) as cluster:
        yield cluster


def run_trainings(run: Run) -> None:
    """Measure all cases of a run that are wanted, and keep their records."""
    left = [case for case in run.plan.cases() if not case.device.absence]
    while wave := _wanted(run, left):
        left = [case for case in left if case not in wave]
        if run.cluster is None:
            for case in wave:
                run_training(run, case)
        else:
            _spread(run, run.cluster, wave)


def run_inferences(run: Run) -> None:
    """Time every model's forward pass; a device that the cluster has lost is told and passed over."""
    for model, device, batch_size in run.plan.inferences():
        if not device.absence:
            try:
                run_inference(run, model, device, batch_size)
            except SetupError as error:
                run.display.say(f"{model} on {run.display.names[device]}, batch {batch_size}, not timed: {error}")


def _wanted(run: Run, cases: list[Case]) -> list[Case]:
    seeds = {device: wanted_seeds(run, device) for device in run.plan.devices}
    return [case for case in cases if case.seed in seeds[case.device]]


def wanted_seeds(run: Run, device: Device) -> tuple[int, ...]:
    """Return the seeds wanted on a device by now.

    All of the plan; where the verdict is looked at, those up to the first look that is not complete or not open.
    """
    for look in run.plan.looks:
        seeds = run.plan.seeds[:look]
        due = {identify(each, run.dataset) for each in run.plan.cases() if each.device == device and each.seed in seeds}
        known = [each for each in run.records if isinstance(each, TrainingRecord) and each.identity in due]
        verdict = _judge(run, known) if len(known) == len(due) else None
        if verdict is None or (verdict.state != "CANNOT TELL" and len(verdict.devices[0].seeds) >= FIRST_LOOK):
            return seeds
    return run.plan.seeds


def run_training(run: Run, case: Case, timed: Timed = lambda prepare, train: train(prepare())) -> TrainingRecord:
    """Measure a case in a process of its own, or take it from an earlier run; keep its record and return it.

    Args:
        run: The run.
        case: What to measure.
        timed: Calls its first argument, then its second with the outcome; while the second runs, ``run.clock`` advances
            by the seconds on the training clock. pytest-benchmark's ``pedantic`` fits in here.

    """
    kept = _find_kept(run, case)

    def prepare() -> TrainingRecord:
        if kept is not None:
            return kept
        measure_peak_of(run, case.device)
        return _finish(run, case, _measure(run, case, _checkpoint(run, case)))

    def train(record: TrainingRecord) -> TrainingRecord:
        if record.result is None:
            raise _UnfinishedError(record)
        run.clock.advance(record.result.train_seconds)
        return record

    try:
        record = timed(prepare, train)
    except _UnfinishedError as error:
        record = error.record
    if run.plan.repeated(case) and record.result is not None and record.result.self_check is None:
        record = compare_repeats(record, _measure(run, case, None))
    _keep(run, case, record, from_earlier=kept is not None)
    return record


def _find_kept(run: Run, case: Case) -> TrainingRecord | None:
    """Return a case's record from an earlier run; None where there is none, or all is to be measured anew."""
    if run.plan.fresh:
        remove_checkpoints(_checkpoint(run, case))
        return None
    kept = run.finished.get(identify(case, run.dataset))
    # whoever adds seeds to those of an earlier run has looked at them
    return kept.model_copy(update={"looks": run.plan.looks}) if kept is not None and run.plan.looks else kept


def _finish(run: Run, case: Case, record: TrainingRecord) -> TrainingRecord:
    """Write the record of a case that was just measured, with what the run knows of it, and return it."""
    record = record.model_copy(update={"peak": run.peaks.get(case.device), "looks": run.plan.looks})
    write(run, record)
    if record.result is not None:
        remove_checkpoints(_checkpoint(run, case))
    return record


def _keep(run: Run, case: Case, record: TrainingRecord, *, from_earlier: bool) -> None:
    """Keep a case's record in the run, and tell its outcome and the verdict so far."""
    result = record.result
    device = run.display.names[case.device]
    name = case.name + device.removeprefix(case.device.word)
    run.display.say(
        f"{name}: {record.status}, {record.reason}"
        if result is None
        else f"{name}: {result.scores.accuracy:.2%} on the test images "
        f"after {format_duration(result.train_seconds)} of training"
        f"{' (kept from an earlier run)' if from_earlier else ''}"
    )
    keep_record(run, record)
    if len(run.plan.seeds) == 1:
        return
    from fashionbench.records.grouping import machine  # noqa: PLC0415 - as in _judge

    mine = [each for each in run.records if isinstance(each, TrainingRecord) and machine(each) == machine(record)]
    verdict = _judge(run, mine)
    if verdict is not None and record.model in {verdict.small, verdict.big} and record.seed in verdict.devices[0].seeds:
        run.display.say(
            f"So far, {len(verdict.devices[0].seeds)} of {len(run.plan.seeds)} seeds on {device}: "
            f"{verdict.state}. {verdict.sentence}"
        )


def _judge(run: Run, records: list[TrainingRecord]) -> "Verdict | None":
    from fashionbench.judging.verdict import decide  # noqa: PLC0415 - judging loads much that measuring must not carry

    return decide(
        records,
        margin_pp=run.plan.margin_pp,
        price_minutes_per_pp=run.plan.price_minutes_per_pp,
        money=Money.parse(run.plan.price_per_hour, run.plan.price_money),
    )


def _spread(run: Run, cluster: Cluster, cases: list[Case]) -> None:
    jobs = []
    for case in cases:
        kept = _find_kept(run, case)
        if kept is None:
            measure_peak_of(run, case.device)
            jobs.append(_job(run, case))
        else:
            _keep(run, case, kept, from_earlier=True)
    with ExitStack() as all_shown, closing(cluster.measure(jobs, limit_seconds=_limit(run))) as messages:
        shown = {job: all_shown.enter_context(ExitStack()) for job in jobs}
        watches = {}
        for job, message in messages:
            match message:
                case Node():
                    shown[job].close()
                    watches[job] = shown[job].enter_context(run.display.watch(job.case))
                case Tick():
                    watches[job](message)
                case str():
                    run.display.say(message)
                case bytes():
                    keep_checkpoint(_checkpoint(run, job.case), message, run.display.say)
                case record:
                    shown[job].close()
                    _keep(run, job.case, _finish(run, job.case, record), from_earlier=False)


def _measure(run: Run, case: Case, checkpoint: Path | None) -> TrainingRecord:
    job = replace(_job(run, case), checkpoint=checkpoint)
    with run.display.watch(case) as watch:
        return measure_in_child(job, watch=watch, warn=run.display.say, limit_seconds=_limit(run))


def _job(run: Run, case: Case) -> Job:
    return Job(
        case=case,
        dataset=run.dataset,
        command=run.command,
        checkpoint=_checkpoint(run, case),
        seconds_between_checkpoints=SECONDS_BETWEEN_CHECKPOINTS,
    )


def _limit(run: Run) -> float | None:
    return None if run.plan.limit_minutes is None else 60 * run.plan.limit_minutes


class _UnfinishedError(Exception):
    """Leaves ``timed`` without a timing."""

    def __init__(self, record: TrainingRecord) -> None:
        super().__init__(record.reason)
        self.record = record


def _checkpoint(run: Run, case: Case) -> Path:
    """Return where a case's newest checkpoint is kept."""
    return run.out / "checkpoints" / f"{identify(case, run.dataset)}.pt"
