"""One run from its options to its report, the same under pytest, on the command line and over a cluster."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import psutil
from rich.console import Console

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import Device, name_devices
from fashionbench.devices.environment import describe_environment
from fashionbench.devices.load import CpuLoad
from fashionbench.errors import SetupError, visible
from fashionbench.records.files import check_output, lock_folder
from fashionbench.records.manifest import Manifest, write_manifest
from fashionbench.records.reading import find_finished, read_estimates
from fashionbench.records.record import Environment, InferenceRecord, Peak, TrainingRecord
from fashionbench.records.store import write_record
from fashionbench.report.page import Report, write_report
from fashionbench.report.render import possible_formats
from fashionbench.running.cluster import Cluster
from fashionbench.running.plan import Plan, require_same_looks
from fashionbench.running.preflight import (
    call_where,
    check_in_process,
    decide_rewriting,
    decide_self_check,
    estimate_seconds,
    load_images,
    tell_load,
)
from fashionbench.running.process.call import CallFailedError, seconds_to_answer
from fashionbench.running.process.own import digest_in_process
from fashionbench.running.process.trial import choose_methods
from fashionbench.running.program import own_command
from fashionbench.running.progress import Display, format_duration
from fashionbench.training.case import Case, InferenceCase
from fashionbench.training.clock import TrainingClock
from fashionbench.training.identity import Provenance, code_digest, identify, identify_inference, now
from fashionbench.training.measure import record_absence

__all__ = [
    "Run",
    "finish_run",
    "keep_record",
    "open_run",
    "report_interruption",
    "write_or_say",
]

CaseKey = tuple[str, Device, int, str]
"""Model, device, seed and the recipe's label, which distinguish the cases of one plan."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """A run that passed the pre-flight; it gathers the records as they come."""

    plan: Plan
    dataset: Dataset
    out: Path
    formats: tuple[str, ...]
    """Of the report, without those that cannot be written here."""
    display: Display
    command: str
    finished: Mapping[str, TrainingRecord]
    """What earlier runs in this folder finished, by identity."""
    identities: Mapping[CaseKey, str]
    """Of all cases of the plan, as they were when the run began."""
    model_digests: Mapping[str, str]
    """SHA-256 of each model's source, as it was when the run began."""
    environments: Mapping[Device, Environment]
    cluster: Cluster | None = None
    """Where the trainings are spread; None: they run here."""
    clock: TrainingClock = field(default_factory=TrainingClock)
    records: list[TrainingRecord | InferenceRecord] = field(default_factory=list)
    unwritten: list[TrainingRecord | InferenceRecord] = field(default_factory=list)
    """Those whose files could not be written, as on a full disk."""
    peaks: dict[Device, Peak | None] = field(default_factory=dict)

    def identity(self, case: Case) -> str:
        """Return a case's identity as it was when the run began."""
        return self.identities[_key(case)]

    def provenance(self, case: Case) -> Provenance:
        """Return what is known of a case before it is measured."""
        return replace(self._provenance(self.identity(case), case.model, case.device), looks=self.plan.looks)

    def inference(self, model: str, device: Device, batch_size: int) -> tuple[InferenceCase, Provenance]:
        """Return a forward pass to be timed, and what is known of it before it is measured."""
        case = InferenceCase(
            model=model,
            device=device,
            batch_size=batch_size,
            execution=self.plan.execution,
            precision=self.plan.precision_on(device),
            seconds=self.plan.recipe.seconds_per_timing,
        )
        identity = identify_inference(case, self.model_digests[model], self.dataset)
        return case, self._provenance(identity, model, device)

    def _provenance(self, identity: str, model: str, device: Device) -> Provenance:
        return Provenance(
            identity=identity,
            environment=self.environments[device],
            code_sha256=code_digest(),
            model_sha256=self.model_digests[model],
            peak=self.peaks.get(device),
        )


def _key(case: Case) -> CaseKey:
    return case.model, case.device, case.seed, case.recipe.label


@contextmanager
def open_run(  # noqa: PLR0913 - the options of a run
    plan: Plan,
    cases: tuple[Case, ...],
    *,
    data: Path | None,
    out: Path,
    command: str,
    environ: Mapping[str, str],
    console: Console,
    cluster: Cluster | None = None,
) -> Iterator[Run]:
    """Check in seconds what would otherwise fail after an hour, say what is to come, and lock the output folder.

    Args:
        plan: What to measure.
        cases: The cases of the plan that were picked.
        data: Folder of the data set; None finds or fetches it.
        out: Folder for records, manifest and report.
        command: What was typed, for the records.
        environ: The environment variables.
        console: Where to say it.
        cluster: Where the devices are; None: here.

    Raises:
        FashionBenchError: The data, a model or the output folder are not as they must be.

    """

    def say(line: str) -> None:
        console.print(visible(line), markup=False, highlight=False, soft_wrap=True)

    load = None if cluster is not None else CpuLoad([psutil.Process(), *psutil.Process().children()])
    later = own_command("report", str(out), "--out", str(out), "--format", "pdf")
    formats = possible_formats(plan.formats, say, later)
    for device in plan.devices:
        plan.thresholds.money.minutes_per_pp(device.word)
    dataset = load_images(plan, data, environ, say)
    tell_load(load, say)
    for case in {each.model: each for each in plan.cases()}.values():
        for remark in check_in_process(case, dataset, seconds_to_answer(plan.limit_minutes)):
            say(remark)
    check_output(out)
    since = f"{datetime.now().astimezone():%Y-%m-%d %H:%M}"
    with lock_folder(out, f"process {os.getpid()} since {since}: {command}"):
        say(f"Data: {dataset.described}")
        names = name_devices(plan.devices)
        for device in plan.devices:
            say(f"Device: {names[device]}, {plan.describe(device)}")
        digests = {model: digest_in_process(model, plan.limit_minutes) for model in plan.models}
        identities = {_key(case): identify(case, digests[case.model], dataset) for case in plan.cases()}
        finished = find_finished(out / "records", say)
        require_same_looks(plan, [finished[each] for each in identities.values() if each in finished])
        left = tuple(case for case in cases if plan.fresh or identities[_key(case)] not in finished)
        if len(left) < len(cases):
            say(
                f"Kept: {len(cases) - len(left)} of {len(cases)} trainings of earlier runs; --fresh measures them again"
            )
        plan = decide_rewriting(plan, left, dataset.task, say)
        call = partial(call_where, cluster, plan)
        waiting = [case for case in plan.cases() if case in left]
        plan = replace(plan, trials=choose_methods(waiting, dataset, out / "trials", call, say, fresh=plan.fresh))
        cases, left = (tuple(case for case in plan.cases() if case in some) for some in (cases, left))  # as decided
        slots = 1 if cluster is None else max(1, cluster.slots(plan.devices))
        known = _estimate(plan, left, dataset, say, cluster)
        plan = decide_self_check(plan, left, known, say) if cluster is None else plan
        expected = [
            (case, known[case.model, case.device] * case.hyperparameters.epochs)
            for case in left
            if not case.absence
            for _ in range(1 + plan.repeated(case))
        ]
        if expected:
            total = format_duration(sum(seconds for _, seconds in expected) / min(slots, len(expected)))
            about = "" if total.startswith("under") else "about "
            count = f"{len(expected)} trainings" if len(expected) > 1 else "1 training"
            most = " at most" if plan.looks else ""
            extra = ", inference timing and the report" if plan.scored_on == "test" else " and validation"
            say(
                f"Expected: {about}{total} of training{most} for {count}, recipe {plan.recipe.name}; checks{extra} "
                "take extra time"
            )
        run = Run(
            plan=plan,
            dataset=dataset,
            out=out,
            formats=formats,
            command=command,
            display=Display(console, expected, slots, names),
            finished=finished,
            identities=identities,
            model_digests=digests,
            environments={device: _environment(device, command, cluster) for device in plan.devices},
            cluster=cluster,
        )
        timings = tuple(run.inference(*each)[1].identity for each in plan.inferences())
        trainings = tuple(map(run.identity, cases))
        asked = run.environments[plan.devices[0]].command
        earlier = read_estimates(out, lambda _: None)
        estimates = {each.identity: each for each in (*earlier, *plan.estimates)}
        manifest = Manifest(
            command=asked,
            started=now(),
            trainings=trainings,
            inferences=timings,
            estimates=tuple(estimates.values()),
        )
        write_manifest(out, manifest)
        for case in cases:
            if case.absence:
                keep_record(run, record_absence(case, dataset, run.provenance(case)))
        yield run


def _environment(device: Device, command: str, cluster: Cluster | None) -> Environment:
    """Return the environment of a device, on the first node that has it; of an absent one, that of this machine."""
    found = None if cluster is None else cluster.environment(device)
    return describe_environment(device, command) if found is None else found


def report_interruption(run: Run) -> None:
    """Say what is finished and how to resume."""
    finished = [record for record in run.records if isinstance(record, TrainingRecord) and record.status == "finished"]
    run.display.say(f"Interrupted. Finished trainings: {len(finished)}, kept in {run.out / 'records'}")
    run.display.say(f"Resume with: {run.command.replace(' --fresh', '')}")


def finish_run(run: Run) -> Report:
    """Write the report of what the run has measured so far.

    Raises:
        SetupError: A file cannot be written.

    """
    run.unwritten[:] = [
        record for record in run.unwritten if not write_or_say(run, record)
    ]  # there may be space by now
    return write_report(run.records, run.out, thresholds=run.plan.thresholds, formats=run.formats)


def _estimate(
    plan: Plan, cases: tuple[Case, ...], dataset: Dataset, say: Callable[[str], None], cluster: Cluster | None
) -> dict[tuple[str, Device], float]:
    """Return the seconds of an epoch of each model on each device; one that fails is named, and will be recorded so."""
    names, known = name_devices(plan.devices), dict[tuple[str, Device], float]()
    cases = tuple(case for case in cases if not case.absence)
    for case in cases:
        if (case.model, case.device) not in known:
            try:
                seconds = call_where(cluster, plan, case.device, estimate_seconds, case, dataset)
            except (CallFailedError, SetupError) as error:
                say(f"{case.model} fails on {names[case.device]}: {str(error).partition(chr(10))[0]}")
                seconds = 0.0
            known[case.model, case.device] = seconds / case.hyperparameters.epochs
    return known


def keep_record(run: Run, record: TrainingRecord | InferenceRecord) -> None:
    """Add a record to the run and write it; one without a result never replaces a finished one of an earlier run."""
    run.records.append(record)
    replaces = record.result is not None or not isinstance(record, TrainingRecord)
    if (replaces or record.identity not in run.finished) and not write_or_say(run, record):
        run.unwritten.append(record)


def write_or_say(run: Run, record: TrainingRecord | InferenceRecord) -> bool:
    """Write a record; where that fails, say so: the other cases go on, and the report still has it."""
    try:
        write_record(run.out / "records", record)
    except SetupError as error:
        run.display.say(str(error))
        return False
    return True
