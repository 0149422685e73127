"""One run from its options to its report, the same under pytest, on the command line and over a cluster."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

import psutil
from rich.console import Console

from fashionbench.data.dataset import Dataset, draw_split, hide_test_images
from fashionbench.data.fashion_mnist import cache_folder
from fashionbench.data.load import load_dataset
from fashionbench.devices.device import Device, name_devices
from fashionbench.devices.environment import describe_environment
from fashionbench.devices.load import CpuLoad
from fashionbench.errors import SetupError, Terminated, sigterm_raises, visible
from fashionbench.execution.peak import measure_peak
from fashionbench.records.files import check_output, lock_folder
from fashionbench.records.manifest import Manifest, write_manifest
from fashionbench.records.reading import find_finished
from fashionbench.records.record import Environment, InferenceRecord, Peak, TrainingRecord
from fashionbench.records.store import write_record
from fashionbench.report.page import Report, write_report
from fashionbench.report.render import check_pango
from fashionbench.running.cluster import Cluster
from fashionbench.running.plan import Plan, require_same_looks
from fashionbench.running.preflight import check_in_process, decide_rewriting, estimate_seconds, tell_load
from fashionbench.running.process import call_for
from fashionbench.running.progress import Display, format_duration
from fashionbench.training.case import Case, InferenceCase
from fashionbench.training.clock import TrainingClock
from fashionbench.training.identity import Provenance, code_digest, identify, identify_inference, model_digest
from fashionbench.training.inference import measure_inference, record_inference_failure
from fashionbench.training.measure import now, record_absence

__all__ = [
    "Run",
    "finish_run",
    "keep_record",
    "measure_peak_of",
    "open_run",
    "report_interruption",
    "run_inference",
]

P = ParamSpec("P")
T = TypeVar("T")
CaseKey = tuple[str, Device, int, str]
"""Model, device, seed and the recipe's name, which distinguish the cases of one plan."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """A run that passed the pre-flight; it gathers the records as they come."""

    plan: Plan
    dataset: Dataset
    out: Path
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
    peaks: dict[Device, Peak | None] = field(default_factory=dict)

    def identity(self, case: Case) -> str:
        """Return a case's identity as it was when the run began."""
        return self.identities[_key(case)]

    def provenance(self, case: Case) -> Provenance:
        """Return what is known of a case before it is measured."""
        return replace(self._provenance(self.identity(case), case.model, case.device), looks=self.plan.looks)

    def inference(self, model: str, device: Device, batch_size: int) -> tuple[InferenceCase, Provenance]:
        """Return a forward pass to be timed, and what is known of it before it is measured."""
        execution, precision = self.plan.execution, self.plan.precision
        case = InferenceCase(
            model=model, device=device, batch_size=batch_size, execution=execution, precision=precision
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
    return case.model, case.device, case.seed, case.recipe.name


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

    Inside the block SIGTERM raises ``Terminated``.

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
        FashionBenchError: Pango, the data or the output folder are not as they must be.

    """

    def say(line: str) -> None:
        console.print(visible(line), markup=False, highlight=False, soft_wrap=True)

    load = None if cluster is not None else CpuLoad([psutil.Process(), *psutil.Process().children()])
    check_pango()
    for device in plan.devices:
        plan.thresholds.money.minutes_per_pp(device.word)
    dataset = _load(plan, data, environ, say)
    tell_load(load, say)
    for case in {each.model: each for each in plan.cases()}.values():
        for remark in check_in_process(case, dataset):
            say(remark)
    check_output(out)
    since = f"{datetime.now().astimezone():%Y-%m-%d %H:%M}"
    with lock_folder(out, f"process {os.getpid()} since {since}: {command}"), sigterm_raises():
        say(f"Data: {dataset.described}")
        names = name_devices(plan.devices)
        for device in plan.devices:
            say(f"Device: {names[device]}, {f'absent: {device.absence}' if device.absence else device.name}")
        identities = {_key(case): identify(case, dataset) for case in plan.cases()}
        finished = find_finished(out / "records", say)
        require_same_looks(plan, [finished[each] for each in identities.values() if each in finished])
        left = tuple(case for case in cases if plan.fresh or identities[_key(case)] not in finished)
        if len(left) < len(cases):
            say(
                f"Kept: {len(cases) - len(left)} of {len(cases)} trainings of earlier runs; --fresh measures them again"
            )
        plan = decide_rewriting(plan, left, dataset.task, say)
        cases, left = (tuple(case for case in plan.cases() if case in some) for some in (cases, left))  # as decided
        slots = 1 if cluster is None else max(1, cluster.slots(plan.devices))
        expected = _expect(plan, left, dataset, say, cluster)
        if expected:
            total = format_duration(sum(seconds for _, seconds in expected) / min(slots, len(expected)))
            count = f"{len(expected)} trainings" if len(expected) > 1 else "1 training"
            most = " at most" if plan.looks else ""
            say(f"Expected: about {total}{most} for {count}, recipe {plan.recipe.name}")
        run = Run(
            plan=plan,
            dataset=dataset,
            out=out,
            command=command,
            display=Display(console, expected, slots, names),
            finished=finished,
            identities=identities,
            model_digests={model: model_digest(model) for model in plan.models},
            environments={device: _environment(device, command, cluster) for device in plan.devices},
            cluster=cluster,
        )
        timings = tuple(run.inference(*each)[1].identity for each in plan.inferences())
        trainings = tuple(map(run.identity, cases))
        asked = run.environments[plan.devices[0]].command
        write_manifest(out, Manifest(command=asked, started=now(), trainings=trainings, inferences=timings))
        for case in cases:
            if case.device.absence:
                keep_record(run, record_absence(case, dataset, run.provenance(case)))
        yield run


def _load(plan: Plan, data: Path | None, environ: Mapping[str, str], say: Callable[[str], None]) -> Dataset:
    """Load a plan's images, and refuse a recipe that asks for more than there are."""
    dataset = load_dataset(
        plan.dataset,
        data,
        environ=environ,
        cache=cache_folder(),
        announce=say,
        allow_sample=not plan.recipe.is_result,
        reading=plan.reading,
    )
    if plan.scored_on == "validation":
        return hide_test_images(dataset, plan.recipe, plan.seeds[0])
    draw_split(dataset, plan.recipe, plan.seeds[0])
    return dataset


def _environment(device: Device, command: str, cluster: Cluster | None) -> Environment:
    """Return the environment of a device, on the first node that has it; of an absent one, that of this machine."""
    found = None if cluster is None else cluster.environment(device)
    return describe_environment(device, command) if found is None else found


def report_interruption(run: Run, interrupt: KeyboardInterrupt) -> int:
    """Say what is finished and how to resume, and return the exit status, 130 or 143 as shells have it."""
    finished = [record for record in run.records if isinstance(record, TrainingRecord) and record.status == "finished"]
    run.display.say(f"Interrupted. Finished trainings: {len(finished)}, kept in {run.out / 'records'}")
    run.display.say(f"Resume with: {run.command.replace(' --fresh', '')}")
    return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)


def _call(
    plan: Plan, cluster: Cluster | None, device: Device, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Call a function where a device is, in a process of its own as the plan's execution has it."""
    if cluster is None:
        return call_for(plan.execution, function, *args, **kwargs)
    return cluster.call(device, plan.execution, function, *args, **kwargs)


def measure_peak_of(run: Run, device: Device) -> None:
    """Measure the peak of a device, once; None is kept where it cannot be measured."""
    if device not in run.peaks:
        try:
            run.peaks[device] = _call(run.plan, run.cluster, device, measure_peak, device, run.plan.precision)
        except (MemoryError, RuntimeError, SetupError) as error:
            run.peaks[device] = None
            run.display.say(
                f"The peak of {run.display.names[device]} was not measured: {str(error).partition(chr(10))[0]}"
            )


def run_inference(run: Run, model: str, device: Device, batch_size: int) -> InferenceRecord:
    """Time a model's forward pass in a process of its own, keep its record in the run and as a file, and return it."""
    measure_peak_of(run, device)
    case, provenance = run.inference(model, device, batch_size)
    try:
        record = _call(run.plan, run.cluster, device, measure_inference, case, run.dataset, provenance)
    except BrokenExecutor as error:
        record = record_inference_failure(case, provenance, f"its process was ended ({error})")
    result = record.result
    run.display.say(
        f"{model} on {run.display.names[device]}, batch {batch_size}: "
        + (f"{batch_size / result.median_seconds():,.0f} images a second" if result else record.reason)
    )
    keep_record(run, record)
    return record


def finish_run(run: Run) -> Report:
    """Write the report of what the run has measured so far."""
    return write_report(run.records, run.out, thresholds=run.plan.thresholds)


def _expect(
    plan: Plan, cases: tuple[Case, ...], dataset: Dataset, say: Callable[[str], None], cluster: Cluster | None
) -> list[tuple[Case, float]]:
    """Estimate each model on each device once; one that fails is named here, and will be recorded as failed."""
    names, known = name_devices(plan.devices), dict[tuple[str, Device], float]()
    for case in cases:
        if not case.device.absence and (case.model, case.device) not in known:
            try:
                known[case.model, case.device] = _call(plan, cluster, case.device, estimate_seconds, case, dataset)
            except (MemoryError, RuntimeError, SetupError) as error:
                reason = str(error).partition("\n")[0] or type(error).__name__
                say(f"{case.model} fails on {names[case.device]}: {reason}")
                known[case.model, case.device] = 0.0
    return [
        (case, known[case.model, case.device])
        for case in cases
        if not case.device.absence
        for _ in range(2 if plan.repeated(case) else 1)
    ]


def keep_record(run: Run, record: TrainingRecord | InferenceRecord) -> None:
    """Add a record to the run and write it; one without a result never replaces a finished one of an earlier run."""
    run.records.append(record)
    if record.result is not None or not isinstance(record, TrainingRecord) or record.identity not in run.finished:
        write_record(run.out / "records", record)
