"""How a run's trainings are carried out: here, one after another, or many at a time over a cluster."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from fashionbench import units
from fashionbench.devices.device import Device
from fashionbench.errors import InputError, SetupError
from fashionbench.execution.peak import measure_peak
from fashionbench.judging.verdict import Verdict, decide_by
from fashionbench.options.option import Engine
from fashionbench.records.grouping import machine
from fashionbench.records.record import InferenceRecord, TrainingRecord
from fashionbench.running.cluster import Cluster, open_cluster
from fashionbench.running.nodes import Node
from fashionbench.running.plan import FIRST_LOOK, Plan
from fashionbench.running.preflight import call_where
from fashionbench.running.process.call import CallFailedError
from fashionbench.running.process.case import Job, keep_traceback, measure_in_process
from fashionbench.running.progress import format_duration
from fashionbench.running.session import Run, keep_record, write_or_say
from fashionbench.training.case import Case
from fashionbench.training.checkpoint import SECONDS_BETWEEN_CHECKPOINTS, keep_checkpoint, remove_checkpoints
from fashionbench.training.inference import measure_inference, record_inference_failure
from fashionbench.training.loop import Tick
from fashionbench.training.measure import compare_repeats

__all__ = [
    "measure_peak_of",
    "open_engine",
    "run_inference",
    "run_inferences",
    "run_training",
    "run_trainings",
    "wanted_seeds",
]


@contextmanager
def open_engine(engine: Engine, address: str | None, plan: Plan, command: str) -> Iterator[Cluster | None]:
    """Open what ``--engine`` names: None for ``local``, a cluster for ``ray``.

    Args:
        engine: ``local`` or ``ray``.
        address: Of the Ray cluster, as ``host:port``; None takes what RAY_ADDRESS names, or that of this machine.
        plan: What is to be measured.
        command: What was typed, for the records.

    Raises:
        InputError: An option that the engine does not have.
        SetupError: The cluster is not there.

    """
    if engine == "local":
        if address is not None:
            raise InputError(
                f"--address {address[:60]} without --engine ray", expected="both or neither", remedy="add --engine ray"
            )
        yield None
        return
    if plan.self_check:
        raise InputError(
            "--self-check cannot be combined with --engine ray",
            expected="one of the two, as the same case has to be trained twice on the same machine",
            remedy="leave one out",
        )
    with open_cluster(address, plan.models, command) as cluster:
        yield cluster


def run_trainings(run: Run) -> None:
    """Measure all cases of a run that are wanted, and keep their records."""
    left = [case for case in run.plan.cases() if not case.absence]
    while wave := _wanted(run, left):
        left = [case for case in left if case not in wave]
        if run.cluster is None:
            for case in wave:
                run_training(run, case)
        else:
            _spread(run, run.cluster, wave)


def run_inferences(run: Run) -> None:
    """Time every model's forward pass; a device that the cluster has lost is named and passed over."""
    for model, device, batch_size in run.plan.inferences():
        if not device.absence:
            try:
                run_inference(run, model, device, batch_size)
            except SetupError as error:
                run.display.say(f"{model} on {run.display.names[device]}, batch {batch_size}, not timed: {error}")


def measure_peak_of(run: Run, device: Device) -> None:
    """Measure the peak of a device, once; None is kept where it cannot be measured."""
    if device not in run.peaks:
        try:
            run.peaks[device] = call_where(
                run.cluster, run.plan, device, measure_peak, device, run.plan.precision_on(device)
            )
        except (CallFailedError, SetupError) as error:
            run.peaks[device] = None
            run.display.say(
                f"The peak of {run.display.names[device]} was not measured: {str(error).partition(chr(10))[0]}"
            )


def run_inference(run: Run, model: str, device: Device, batch_size: int) -> InferenceRecord:
    """Time a model's forward pass in a process of its own, keep its record in the run and as a file, and return it."""
    measure_peak_of(run, device)
    case, provenance = run.inference(model, device, batch_size)
    what = f"{model} on {run.display.names[device]}, batch {batch_size}"
    arguments = case, run.dataset, provenance
    try:
        record = call_where(run.cluster, run.plan, device, measure_inference, *arguments)
    except CallFailedError as error:
        record = record_inference_failure(case, provenance, error.reason)
        path = _traceback_path(run, provenance.identity)
        if error.traceback and keep_traceback(path, error.traceback):
            run.display.say(f"{what}: the traceback of its error is in {path}")
    result = record.result
    run.display.say(
        f"{what}: " + (f"{batch_size / result.median_seconds():,.0f} images a second" if result else record.reason)
    )
    keep_record(run, record)
    return record


def _wanted(run: Run, cases: list[Case]) -> list[Case]:
    seeds = {device: wanted_seeds(run, device) for device in run.plan.devices}
    return [case for case in cases if case.seed in seeds[case.device]]


def wanted_seeds(run: Run, device: Device) -> tuple[int, ...]:
    """Return the seeds wanted on a device by now.

    All of the plan; where the verdict is looked at in between, those up to the first interim analysis that is not
    complete or that decides the verdict.
    """
    for look in run.plan.looks:
        seeds = run.plan.seeds[:look]
        due = {run.identity(case) for case in run.plan.cases() if case.device == device and case.seed in seeds}
        known = [each for each in run.records if isinstance(each, TrainingRecord) and each.identity in due]
        verdict = _judge(run, known) if len(known) == len(due) else None
        if verdict is None or (verdict.state != "CANNOT TELL" and len(verdict.devices[0].seeds) >= FIRST_LOOK):
            return seeds
    return run.plan.seeds


def run_training(run: Run, case: Case) -> TrainingRecord:
    """Measure a case in a process of its own, or take it from an earlier run; keep its record and return it."""
    kept = _find_kept(run, case)
    if kept is None:
        measure_peak_of(run, case.device)
    record = _measure(run, case, _checkpoint(run, case)) if kept is None else kept
    if run.plan.repeated(case) and record.result is not None and record.result.self_check is None:
        write_or_say(run, record)  # whatever becomes of its repetition
        record = compare_repeats(record, _measure(run, case, None))
    _keep(run, case, record, from_earlier=kept is not None)
    return record


def _find_kept(run: Run, case: Case) -> TrainingRecord | None:
    """Return a case's record from an earlier run; None where there is none, or all is to be measured again."""
    if run.plan.fresh:
        remove_checkpoints(_checkpoint(run, case))
        return None
    kept = run.finished.get(run.identity(case))
    # whoever adds seeds to those of an earlier run has looked at them
    return kept.model_copy(update={"looks": run.plan.looks}) if kept is not None and run.plan.looks else kept


def _keep(run: Run, case: Case, record: TrainingRecord, *, from_earlier: bool) -> None:
    """Keep a case's record, remove its checkpoints once it is finished, and say its outcome and the verdict so far."""
    keep_record(run, record)
    if record.result is not None:
        remove_checkpoints(_checkpoint(run, case))
    device = run.display.names[case.device]
    name = case.name_on(device)
    run.display.say(
        f"{name}: {record.status}, {record.reason}"
        if record.result is None
        else f"{name}: {units.percent(record.result.scores.accuracy, 2)} on the {run.plan.scored_on} images "
        f"after {format_duration(record.result.train_seconds)} of training"
        f"{' (kept from an earlier run)' if from_earlier else ''}"
    )
    if len(run.plan.seeds) == 1 or run.plan.arms:
        return
    mine = [each for each in run.records if isinstance(each, TrainingRecord) and machine(each) == machine(record)]
    verdict = _judge(run, mine)
    if verdict is not None and record.model in {verdict.small, verdict.big} and record.seed in verdict.devices[0].seeds:
        run.display.say(
            f"So far, {len(verdict.devices[0].seeds)} of {len(run.plan.seeds)} seeds on {device}: "
            f"{verdict.state}. {verdict.sentence}"
        )


def _judge(run: Run, records: list[TrainingRecord]) -> Verdict | None:
    return decide_by(records, run.plan.thresholds)


def _spread(run: Run, cluster: Cluster, cases: list[Case]) -> None:
    jobs = []
    for case in cases:
        kept = _find_kept(run, case)
        if kept is None:
            measure_peak_of(run, case.device)
            jobs.append(_job(run, case, _checkpoint(run, case)))
        else:
            _keep(run, case, kept, from_earlier=True)
    with (
        ExitStack() as all_shown,
        closing(cluster.measure(jobs, run.dataset, limit_seconds=_limit(run))) as messages,
    ):
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
                    _keep(run, job.case, record, from_earlier=False)


def _measure(run: Run, case: Case, checkpoint: Path | None) -> TrainingRecord:
    job = _job(run, case, checkpoint)
    with run.display.watch(case) as watch:
        return measure_in_process(job, run.dataset, watch=watch, warn=run.display.say, limit_seconds=_limit(run))


def _job(run: Run, case: Case, checkpoint: Path | None) -> Job:
    return Job(
        case=case,
        provenance=run.provenance(case),
        checkpoint=checkpoint,
        seconds_between_checkpoints=SECONDS_BETWEEN_CHECKPOINTS,
        traceback=_traceback_path(run, run.identity(case)),
    )


def _traceback_path(run: Run, identity: str) -> Path:
    """Return where the traceback of a case that failed is kept."""
    return run.out / "records" / f"{identity}.traceback.txt"


def _limit(run: Run) -> float | None:
    return None if run.plan.limit_minutes is None else 60 * run.plan.limit_minutes


def _checkpoint(run: Run, case: Case) -> Path:
    """Return where a case's newest checkpoint is kept."""
    return run.out / "checkpoints" / f"{run.identity(case)}.pt"
