"""A run without training cases expects no minutes, and a model that cannot be timed is recorded as failed."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest
from rich.console import Console
from synthetic import make_environment, make_training

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import Device
from fashionbench.errors import InputError, SetupError
from fashionbench.judging.verdict import decide_by
from fashionbench.records.manifest import Manifest
from fashionbench.records.reading import read_records
from fashionbench.records.record import Environment, TrainingRecord
from fashionbench.records.store import write_record
from fashionbench.running import engine as engine_module
from fashionbench.running.cluster import Cluster
from fashionbench.running.engine import (
    measure_peak_of,
    open_engine,
    run_inference,
    run_inferences,
    run_trainings,
)
from fashionbench.running.nodes import Node
from fashionbench.running.plan import Plan, RunOptions, make_plan
from fashionbench.running.process.case import Job
from fashionbench.running.session import Run, finish_run, keep_record, open_run
from fashionbench.training.case import Case
from fashionbench.training.identity import identify, model_digest
from fashionbench.training.inference import measure_inference
from fashionbench.training.loop import Tick

Opening = Callable[..., AbstractContextManager[Run]]


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def opening(said: io.StringIO, sample_folder: Path, tmp_path: Path) -> Opening:
    """Open a run on the sample, which says all to ``said``."""
    console = Console(file=said, width=200)
    return partial(open_run, data=sample_folder, out=tmp_path, command="pytest", environ={}, console=console)


@pytest.fixture
def run(opening: Opening, sample_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    plan = make_plan(RunOptions.read({"recipe": str(sample_folder / "tiny.toml"), "devices": "cpu"}))
    with opening(plan, (), out=tmp_path / "out") as opened:
        yield opened


def test_no_minutes_are_expected_of_no_case(run: Run, said: io.StringIO) -> None:
    assert run.records == []
    assert "Expected" not in said.getvalue()


def test_inference_is_shown_in_images_a_second_and_kept(run: Run, said: io.StringIO, tmp_path: Path) -> None:
    record = run_inference(run, "fashioncnn", run.plan.devices[0], 4)

    assert record.result is not None
    assert re.search(r"fashioncnn on cpu, batch 4: [\d,]+ images a second", said.getvalue())
    assert run.records == [record]
    assert read_records([tmp_path / "out" / "records"]) == (record,)


def test_a_run_that_opens_writes_which_cases_belong_to_it(
    opening: Opening, sample_folder: Path, tmp_path: Path
) -> None:
    plan = plan_for(sample_folder)

    with opening(plan, plan.cases()) as opened:
        manifest = Manifest.model_validate_json((tmp_path / "run.json").read_bytes())
        timings = [opened.inference(*each)[1].identity for each in plan.inferences()]
        other_data = replace(opened, dataset=replace(opened.dataset, digests={"x": "1"}))
        other_timing = other_data.inference(*plan.inferences()[0])[1].identity

    assert manifest.trainings == tuple(opened.identity(case) for case in plan.cases())
    assert manifest.inferences == tuple(timings)
    assert len({*timings, other_timing}) == len(plan.inferences()) + 1


def test_inference_that_kills_its_process_is_kept_as_failed(
    run: Run, said: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(tmp_path, "fatal_net.py").write_text(FATAL)
    monkeypatch.syspath_prepend(tmp_path)

    run = replace(run, model_digests={**run.model_digests, "fatal_net:make": "1" * 64})

    record = run_inference(run, "fatal_net:make", run.plan.devices[0], 4)

    assert "fatal_net:make on cpu, batch 4: its process was ended by SIGKILL, possibly out of memory" in said.getvalue()
    assert record.status == "failed"


FATAL = """
import os, signal
from torch import nn

class Fatal(nn.Module):
    def forward(self, images):
        os.kill(os.getpid(), signal.SIGKILL)

def make(shape, classes):
    return Fatal()
"""


def test_a_device_whose_nodes_are_gone_costs_lines_and_not_the_run(
    opening: Opening, said: io.StringIO, sample_folder: Path
) -> None:
    class Gone(Cluster):
        def call(self, device: Device, *_: object, **__: object) -> NoReturn:
            raise SetupError(f"no node with {device.word}", expected="one", remedy="start it")

    plan = plan_for(sample_folder)
    with opening(plan, plan.cases(), cluster=Gone(nodes=[])) as opened:
        measure_peak_of(opened, plan.devices[0])
        run_inferences(opened)

    assert "fashioncnn fails on cpu: No node with cpu" in said.getvalue()
    assert "The peak of cpu was not measured: No node with cpu" in said.getvalue()
    assert "resnet18 on cpu, batch 256, not timed: No node with cpu" in said.getvalue()


def plan_for(sample_folder: Path, **options: str) -> Plan:
    return make_plan(
        RunOptions.read({"recipe": str(sample_folder / "tiny.toml"), "devices": "cpu", "execution": "plain", **options})
    )


@pytest.mark.parametrize(
    ("gain", "trained", "state"),
    [(0.02, 3, "WORTH IT"), (0.0055, 5, "CANNOT TELL")],
)
def test_seeds_are_added_until_the_verdict_is_decided(
    opening: Opening,
    gain: float,
    trained: int,
    state: str,
    said: io.StringIO,
    sample_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The trainings here are synthetic records whose true gain is known; the rest of the run is real."""
    measured: list[tuple[str, int]] = []

    def pretend(job: Job, _: Dataset, **__: object) -> TrainingRecord:
        case = job.case
        accuracy = 0.91 + (gain if case.model == "resnet18" else 0.0) + 0.001 * (case.seed % 3 - 1)
        seconds = (700.0 if case.model == "resnet18" else 100.0) + case.seed
        measured.append((case.model, case.seed))
        record = make_training(case.model, seed=case.seed, accuracy=accuracy, train_seconds=seconds, recipe=case.recipe)
        return record.model_copy(update={"identity": job.provenance.identity, "looks": job.provenance.looks})

    monkeypatch.setattr(engine_module, "measure_in_process", pretend)
    plan = plan_for(sample_folder, until_decided="5")
    with opening(plan, plan.cases()) as opened:
        run_trainings(opened)
        verdict = decide_by(opened.records, plan.thresholds)

    assert plan.looks == (3, 5)
    assert len(measured) == 2 * trained
    assert f"So far, {trained} of 5 seeds on cpu: {state}. " in said.getvalue()
    assert "Expected: " in said.getvalue()
    assert "; checks, inference timing and the report take extra time\n" in said.getvalue()
    assert " at most for 10 trainings" in said.getvalue()
    assert verdict is not None
    assert verdict.state == state
    assert verdict.devices[0].confidence == pytest.approx(1 - 0.05 * (3 if trained == 3 else 2) / 5)


def keep_earlier(out: Path, case: Case, sample: Dataset, looks: tuple[int, ...] = ()) -> None:
    """Write the record that an earlier run has left of a case."""
    record = make_training(case.model, seed=case.seed)
    identity = identify(case, model_digest(case.model), sample)
    write_record(out / "records", record.model_copy(update={"identity": identity, "looks": looks}))


def test_seeds_of_an_earlier_run_that_others_are_added_to_count_as_looked_at(
    opening: Opening, sample: Dataset, sample_folder: Path, tmp_path: Path
) -> None:
    plan = plan_for(sample_folder, until_decided="3", seeds="7,8")
    for case in plan.cases():
        keep_earlier(tmp_path, case, sample)
    with opening(plan, plan.cases()) as opened:
        run_trainings(opened)

    assert plan.seeds == (7, 8, 0)
    assert {each.looks for each in opened.records if isinstance(each, TrainingRecord)} == {(3,)}


def test_an_option_that_the_engine_does_not_have_is_refused(sample_folder: Path) -> None:
    plan = plan_for(sample_folder)

    with pytest.raises(InputError, match=r"--address here:1 without --engine ray\. Expected both or neither"):
        open_engine("local", "here:1", plan, "pytest").__enter__()
    with pytest.raises(InputError, match="--self-check cannot be combined with --engine ray"):
        open_engine("ray", None, replace(plan, self_check=True), "pytest").__enter__()


def test_a_run_until_decided_is_not_prolonged_beyond_its_last_look(
    opening: Opening, sample: Dataset, sample_folder: Path, tmp_path: Path
) -> None:
    plan = plan_for(sample_folder, until_decided="9")
    keep_earlier(tmp_path, plan.cases()[0], sample, looks=(3, 5))

    with pytest.raises(
        InputError, match=r"with seed 0 is of an earlier run until decided, with at most 5 seeds\. .*--out"
    ):
        opening(plan, plan.cases()).__enter__()


class FakeCluster:
    """A cluster whose one node tells of everything, and is gone before inference."""

    def slots(self, _: object) -> int:
        return 1

    def environment(self, _: Device) -> Environment:
        return make_environment()

    def call(self, _: Device, function: Callable[..., object], *arguments: object, **named: object) -> object:
        if function is measure_inference:
            raise SetupError("No node is left", expected="one", remedy="start one")
        return function(*arguments, **named)

    def measure(self, jobs: list[Job], _: Dataset, *, limit_seconds: float | None) -> Iterator[tuple[Job, object]]:
        assert limit_seconds is None
        for job in jobs:
            assert job.checkpoint is not None
            yield job, Node(id="a", address="here", cpus=1, gpus=0, devices=(job.case.device,))
            yield job, Tick(epoch=1, step=1, steps=2, loss=0.5, train_seconds=1.0, validation_accuracy=0.9)
            yield job, b"a checkpoint"
            assert job.checkpoint.read_bytes() == b"a checkpoint"
            yield job, f"{job.case.name}: a line"
            record = make_training(job.case.model, seed=job.case.seed)
            yield job, record.model_copy(update={"identity": job.provenance.identity})


def test_what_a_cluster_tells_is_shown_and_kept(
    opening: Opening, said: io.StringIO, sample_folder: Path, tmp_path: Path
) -> None:
    plan = plan_for(sample_folder)
    with opening(plan, plan.cases(), cluster=FakeCluster()) as opened:
        run_trainings(opened)
        run_inferences(opened)

    assert "[1/2] fashioncnn on cpu, seed 0: 50\N{NO-BREAK SPACE}%, epoch 1/1" in said.getvalue()
    assert "resnet18 on cpu, seed 0: a line\n" in said.getvalue()
    assert "fashioncnn on cpu, batch 1, not timed: No node is left. Expected one. Start one" in said.getvalue()
    assert len(read_records([tmp_path / "records"])) == len(opened.records) == 2
    assert not (tmp_path / "checkpoints").exists()


def test_a_record_that_cannot_be_written_costs_a_line_and_is_written_when_there_is_space_again(
    run: Run, said: io.StringIO, tmp_path: Path
) -> None:
    records = tmp_path / "out" / "records"
    records.write_text("in the way")

    keep_record(run, make_training())
    records.unlink()
    unwritten = len(run.unwritten)
    finish_run(replace(run, formats=("json",)))

    assert re.search(r"Record file .* cannot be written \(.*\)\. Expected free disk space", said.getvalue())
    assert (unwritten, run.unwritten) == (1, [])
    assert len(read_records([records])) == 1
