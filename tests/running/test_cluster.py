"""Over a real Ray cluster of three nodes cases come to what they come to here, whatever becomes of a node."""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
import ray
from cases import provenance_of
from ray.cluster_utils import Cluster as RayCluster

from fashionbench import cli
from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import Device, list_devices
from fashionbench.errors import InputError, SetupError
from fashionbench.parsing import EVERY_DEVICE
from fashionbench.recipe import Recipe
from fashionbench.records.record import InferenceRecord, TrainingRecord
from fashionbench.records.store import read_records
from fashionbench.report import page as page_module
from fashionbench.running import cluster as cluster_module
from fashionbench.running import nodes as worker_module
from fashionbench.running import preflight as preflight_module
from fashionbench.running.cluster import Cluster, open_cluster
from fashionbench.running.nodes import Node, describe_node, find_nodes
from fashionbench.running.process import Job
from fashionbench.training import inference as inference_module
from fashionbench.training.case import Case
from fashionbench.training.loop import Supervision, Tick
from fashionbench.training.measure import measure_training

TINY = Recipe(name="tiny", epochs=2, batch_size=50, is_result=False)
SLOW = Recipe(name="slow", epochs=25, batch_size=50, is_result=False)
MODELS = ("fashioncnn",)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Ray's test cluster does not run on Windows")


@pytest.fixture(scope="module")
def opened(nodes: RayCluster) -> Iterator[Cluster]:
    with open_cluster(nodes.address, MODELS, "pytest") as opened:
        yield opened


@pytest.fixture
def cluster(opened: Cluster) -> Cluster:
    alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}  # type: ignore[no-untyped-call] # Ray gives it no types
    return Cluster(nodes=[node for node in opened.nodes if node.id in alive])


def make_job(seed: int, folder: Path, sample: Dataset, recipe: Recipe = TINY, device: Device | None = None) -> Job:
    case = Case(model="fashioncnn", device=device or list_devices()[0], recipe=recipe, seed=seed)
    return Job(
        case=case,
        provenance=provenance_of(case, sample),
        checkpoint=folder / f"{seed}.pt",
        seconds_between_checkpoints=0.2,
    )


def measure_here(job: Job, sample: Dataset) -> TrainingRecord:
    return measure_training(job.case, sample, job.provenance, Supervision())


def collect(
    cluster: Cluster, sample: Dataset, jobs: list[Job], meanwhile: Callable[[Job, object], object] = lambda *_: None
) -> dict[int, TrainingRecord]:
    """Keep checkpoints as a run does, and return the records by seed."""
    records = {}
    with closing(cluster.measure(jobs, sample, limit_seconds=None)) as messages:
        for job, message in messages:
            if isinstance(message, bytes):
                assert job.checkpoint is not None
                job.checkpoint.write_bytes(message)
            if isinstance(message, TrainingRecord):
                assert job.case.seed not in records
                records[job.case.seed] = message
            meanwhile(job, message)
    return records


def outcome(record: TrainingRecord) -> tuple[object, ...]:
    assert record.result is not None, record.reason
    result = record.result
    return result.step_losses, result.validation_losses, result.test_predictions, result.test_confidences


# it connects on its own, so it stands before the tests that share one connection


@pytest.mark.slow
def test_a_run_over_a_cluster_writes_its_report_and_measures_nothing_twice(
    nodes: RayCluster,
    sample_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(page_module, "render_pdf", lambda *_: b"%PDF")  # some seconds; tests/bench makes real ones
    monkeypatch.setattr(inference_module, "SECONDS_PER_INFERENCE", 0.0)
    monkeypatch.setattr(preflight_module, "SECONDS_PER_ESTIMATE", 0.0)
    address = nodes.address
    options = ("--recipe", str(sample_folder / "tiny.toml"), "--data", str(sample_folder), "--devices", "cpu,cuda:1")
    command = ["run", "--engine", "ray", "--address", address, *options, "--out", str(tmp_path)]

    def call(*more: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["fashionbench", *command, *more])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return int(left.value.code or 0), capfd.readouterr().out

    status, said = call("--seeds", "2")
    again, said_again = call("--until-decided", "4")

    assert (status, again) == (0, 0)
    assert said.count("Node: ") == 3
    assert "Device: cuda:1, absent: not found on any node of the cluster" in said
    assert "So far, 2 of 2 seeds on cpu: " in said
    assert "Kept: 4 of 16 trainings of earlier runs" in said_again
    assert said_again.count("(kept from an earlier run)") == 4
    records = read_records([tmp_path / "records"])
    trained = [each for each in records if isinstance(each, TrainingRecord) and each.result is not None]
    assert len({(each.model, each.seed) for each in trained}) == len(trained) >= 6
    assert {each.looks for each in trained} == {(3, 4)}
    assert {each.device_name for each in trained} == {list_devices()[0].name}
    assert all(each.peak is not None for each in trained)
    assert sum(isinstance(each, InferenceRecord) for each in records) == 4
    assert not (tmp_path / "checkpoints").exists()
    assert (tmp_path / "report.html").exists()


@pytest.mark.slow
def test_with_a_node_killed_every_case_finishes_to_the_same_bits(
    nodes: RayCluster, cluster: Cluster, sample: Dataset, tmp_path: Path
) -> None:
    jobs = [make_job(seed, tmp_path, sample, SLOW) for seed in range(4)]
    where: dict[int, list[str]] = {seed: [] for seed in range(4)}
    workers = {each.node_id: each for each in nodes.worker_nodes}
    killed: list[str] = []

    def kill_one(job: Job, message: object) -> None:
        if isinstance(message, Node):
            where[job.case.seed].append(message.id)
        if isinstance(message, bytes) and not killed and where[job.case.seed][-1] in workers:
            killed.append(where[job.case.seed][-1])
            nodes.remove_node(workers[killed[0]], allow_graceful=False)

    assert len(cluster.nodes) == 3
    records = collect(cluster, sample, jobs, kill_one)

    assert killed
    assert killed[0] not in {node.id for node in cluster.nodes}
    assert sorted(records) == [0, 1, 2, 3]
    assert {seed: outcome(record) for seed, record in records.items()} == {
        each.case.seed: outcome(measure_here(each, sample)) for each in jobs
    }
    again = [seed for seed, ids in where.items() if len(ids) > 1]
    assert again
    assert all(records[seed].result.resumed == 1 for seed in again)  # type: ignore[union-attr] # outcome() saw to it
    assert all(len(where[seed]) == 1 for seed in range(4) if seed not in again)


@pytest.mark.slow
def test_a_case_that_loses_its_process_again_and_again_counts_as_failed(
    cluster: Cluster, sample: Dataset, tmp_path: Path
) -> None:
    lost: list[str] = []

    def kill(_: Job, message: object) -> None:
        if isinstance(message, str):
            lost.append(message)
        if isinstance(message, Tick):
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    if "ray::train_on_node" in " ".join(process.cmdline()):
                        process.kill()

    records = collect(cluster, sample, [make_job(0, tmp_path, sample, SLOW)], kill)

    assert records[0].status == "failed"
    assert records[0].reason.startswith("its process was lost on ")
    assert len(lost) == 2
    assert "it resumes from its newest checkpoint" in lost[0]
    assert cluster.nodes


@pytest.mark.slow
def test_what_a_case_or_a_call_refuses_is_raised_here(cluster: Cluster, sample: Dataset, tmp_path: Path) -> None:
    greedy = make_job(0, tmp_path, sample, Recipe(name="greedy", train_images=401))

    with pytest.raises(InputError, match=r"train_images 401 of 400 images"):
        collect(cluster, sample, [greedy])
    with pytest.raises(InputError, match="Unknown model 'nothing'"):
        cluster.call(greedy.case.device, describe_node, ["nothing"], "pytest")


@pytest.mark.slow
def test_without_a_node_for_its_device_a_case_fails_and_others_go_on(
    cluster: Cluster, sample: Dataset, tmp_path: Path
) -> None:
    elsewhere = Device(word="cuda", name="Some GPU")

    records = collect(cluster, sample, [make_job(0, tmp_path, sample, device=elsewhere), make_job(1, tmp_path, sample)])

    assert records[0].status == "failed"
    assert records[0].reason.startswith("No node with cuda (Some GPU) is left in the cluster. Expected")
    assert records[1].status == "finished"
    with pytest.raises(SetupError, match="No node with cuda"):
        cluster.call(elsewhere, os.getpid)


@pytest.mark.slow
def test_nodes_with_other_code_are_left_out_and_without_any_node_nothing_begins(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "code_digest", lambda: "newer here")
    assert cluster.nodes

    with pytest.raises(SetupError, match=r"No node of the cluster can measure \(.*: another fashionbench than here"):
        find_nodes(MODELS, "pytest")
    monkeypatch.setattr(worker_module, "describe_node", _describe_nothing)
    with pytest.raises(SetupError, match=r"No node of the cluster can measure \(.*Unknown model 'nothing'"):
        find_nodes(["nothing"], "pytest")


def _describe_nothing(models: list[str], command: str) -> tuple[object, ...]:
    return describe_node(models if os.environ.get("RAY_JOB_ID") else [], command)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "head", "head:port", ":"])
def test_an_address_where_no_cluster_answers_is_told_in_one_line(address: str) -> None:
    with pytest.raises(
        SetupError, match=rf"No Ray cluster answers at {address} \(.*\)\. .*\. Start one with ray start"
    ):
        open_cluster(address, MODELS, "pytest").__enter__()


def test_without_an_address_it_is_this_machines_cluster_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: object) -> None:
        raise ConnectionError(f"address {options['address']}")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.init", refuse)

    with pytest.raises(SetupError, match=r"No Ray cluster answers at this machine \(address None\)"):
        open_cluster(None, MODELS, "pytest").__enter__()


def test_a_cluster_tells_of_each_node_in_a_line() -> None:
    node = Node(id="a", address="10.0.0.1", cpus=1, gpus=0, devices=(Device(word="cpu", name="One"),))

    lines = [*Cluster(nodes=[node], left_out=("10.0.0.2: another torch than here",)).described()]

    assert lines == ["Node: 10.0.0.1, cpu (One)", "Left out: 10.0.0.2: another torch than here"]


def test_without_ray_the_command_that_brings_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(
        SetupError, match=r"Ray is not installed\. .*\. Run: python -m pip install \"fashionbench\[ray\]\""
    ):
        open_cluster(None, MODELS, "pytest").__enter__()


@pytest.mark.slow
def test_an_interrupt_leaves_no_training_and_no_folder_behind(
    cluster: Cluster, sample: Dataset, tmp_path: Path
) -> None:
    def interrupt(_: Job, message: object) -> None:
        if isinstance(message, Tick):
            raise KeyboardInterrupt

    before = {*Path(tempfile.gettempdir()).glob("fashionbench-*")}
    with pytest.raises(KeyboardInterrupt):
        collect(cluster, sample, [make_job(0, tmp_path, sample, SLOW.model_copy(update={"epochs": 9_999}))], interrupt)

    for _ in range(200):
        left = {*Path(tempfile.gettempdir()).glob("fashionbench-*")} - before
        if not left:
            break
        time.sleep(0.1)
    assert not left


@pytest.mark.slow
def test_a_call_goes_to_the_next_node_where_one_is_gone(cluster: Cluster) -> None:
    (device,) = list_devices()
    gone = Node(id="0" * 56, address="gone", cpus=1, gpus=0, devices=(device,))
    cluster.nodes.insert(0, gone)

    assert cluster.call(device, os.getpid) != os.getpid()
    assert gone not in cluster.nodes
    with pytest.raises(SetupError, match=r"No node with cpu \(.*\) is left in the cluster; lost on gone: "):
        Cluster(nodes=[gone]).call(device, os.getpid)


def test_a_node_gives_a_case_a_gpu_with_its_share_of_the_cpus_or_all_its_cpus() -> None:
    cpu, gpu, other = (Device(word=word, name=word) for word in ("cpu", "cuda", "cuda:1"))
    alike = Node(id="a", address="a", cpus=16, gpus=4, devices=(cpu, gpu))
    unlike = Node(id="b", address="b", cpus=8, gpus=2, devices=(cpu, gpu, other))
    apple = Node(id="c", address="c", cpus=8, gpus=0, devices=(cpu, Device(word="mps", name="M4 GPU")))

    assert (alike.slots(gpu), alike.share(gpu)) == (4, {"num_cpus": 4, "num_gpus": 1})
    assert (alike.slots(cpu), alike.share(cpu)) == (1, {"num_cpus": 16, "num_gpus": 0})
    assert (unlike.slots(other), unlike.share(other)) == (1, {"num_cpus": 8, "num_gpus": 2})
    assert (apple.slots(apple.devices[1]), apple.share(apple.devices[1])) == (1, {"num_cpus": 8, "num_gpus": 0})
    assert Cluster(nodes=[alike, unlike, apple]).slots([cpu, gpu]) == 6


def test_a_node_works_on_one_kind_of_device_at_a_time(sample: Dataset, tmp_path: Path) -> None:
    cpu, gpu = (Device(word=word, name=word) for word in ("cpu", "cuda"))
    node = Node(id="a", address="a", cpus=16, gpus=2, devices=(cpu, gpu))
    jobs = [make_job(seed, tmp_path, sample, device=device) for seed, device in enumerate((gpu, cpu, gpu, gpu))]

    begun = [*Cluster(nodes=[node])._assign(jobs, [])]  # noqa: SLF001 - no machine here has GPUs

    assert begun == [(jobs[0], node), (jobs[2], node)]


def test_devices_of_a_cluster_are_picked_by_word_and_unlike_hardware_stands_apart() -> None:
    one, other = Device(word="cpu", name="One"), Device(word="cpu", name="Other")
    nodes = [
        Node(id=str(place), address="", cpus=1, gpus=0, devices=(device,))
        for place, device in enumerate((one, other, one))
    ]
    cluster = Cluster(nodes=nodes)

    assert cluster.select(EVERY_DEVICE) == (one, other)
    assert [each.name for each in cluster.select(("cpu", "xpu"))] == ["One", "Other", ""]
    assert cluster.select(("mps",))[0].absence == "not found on any node of the cluster"


@pytest.mark.slow
def test_a_node_that_does_not_answer_or_whose_disk_is_full_costs_its_cases_only_a_line(
    nodes: RayCluster, cluster: Cluster, sample: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "train_on_node", _fail)
    records = collect(cluster, sample, [make_job(0, tmp_path, sample)])
    monkeypatch.setattr(worker_module, "SECONDS_TO_ANSWER", 0.0)

    assert records[0].status == "failed"
    assert "(OSError No space left on device)" in records[0].reason
    with pytest.raises(SetupError, match="no answer in 0 s, as if another job kept it busy"):
        find_nodes(MODELS, "pytest")
    assert nodes.address


def _fail(*_: object) -> Iterator[None]:
    yield from ()
    raise OSError("No space left on device")
