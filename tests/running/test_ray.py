"""Over a real Ray cluster cases come to what they come to here, whatever becomes of a node."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cases import collect, job_of, measure
from commands import call

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import list_devices
from fashionbench.recipe.fields import Recipe
from fashionbench.records.reading import read_records
from fashionbench.records.record import InferenceRecord, TrainingRecord
from fashionbench.running.cluster import Cluster, open_cluster
from fashionbench.running.nodes import Node
from fashionbench.running.process.case import Job
from fashionbench.training.loop import Tick

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster as RayCluster

NODE: dict[str, Any] = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 100 * 1024**2}
SLOW = Recipe(name="slow", epochs=12, batch_size=50, is_result=False)

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Ray's test cluster does not run on Windows"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def nodes() -> Iterator["RayCluster"]:
    """Start a Ray cluster of one node on this machine: real processes, real sockets."""
    make_cluster = pytest.importorskip("ray.cluster_utils", reason="Ray is an extra").Cluster
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}  # as the docs advise
    started: RayCluster = make_cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    yield started
    started.shutdown()  # type: ignore[no-untyped-call] # Ray gives it no types


@pytest.fixture(scope="module")
def cluster(nodes: "RayCluster") -> Iterator[Cluster]:
    """Connect to the cluster, with a second node."""
    nodes.add_node(**NODE)
    with open_cluster(nodes.address, ("fashioncnn",), "pytest") as opened:
        yield opened


def outcome(record: TrainingRecord) -> tuple[object, ...]:
    assert record.result is not None, record.reason
    result = record.result
    return result.step_losses, result.validation_losses, result.test_predictions, result.test_confidences


# it connects on its own, so it stands before the tests that share one connection and a second node
def test_a_run_over_a_cluster_writes_its_report_and_measures_nothing_twice(
    nodes: "RayCluster", sample_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = ("run", "--recipe", sample_folder / "tiny.toml", "--data", sample_folder, "--out", tmp_path)
    models = ("--models", "fashioncnn,dummy")

    assert call(*command, "--models", "dummy", "--devices", "cpu", "--seeds", "1") == 0
    capfd.readouterr()
    over_a_cluster = ("--engine", "ray", "--address", nodes.address, "--devices", "cpu,cuda:1", "--until-decided", "3")
    status = call(*command, *models, *over_a_cluster)

    said = capfd.readouterr().out
    assert status == 0
    assert said.count("Node: ") == 1
    assert "Device: cuda:1, absent: not found on any node of the cluster" in said
    assert "Kept: 1 of 9 trainings of earlier runs" in said
    assert said.count("(kept from an earlier run)") == 1
    assert "So far, 2 of 3 seeds on cpu: " in said
    records = read_records([tmp_path / "records"])
    trained = [each for each in records if isinstance(each, TrainingRecord) and each.result is not None]
    assert len({(each.model, each.seed) for each in trained}) == len(trained) == 6
    assert {each.looks for each in trained} == {(3,)}
    assert {each.device_name for each in trained} == {list_devices()[0].name}
    assert all(each.peak is not None for each in trained)
    assert sum(isinstance(each, InferenceRecord) for each in records) == 4
    assert not (tmp_path / "checkpoints").exists()
    assert (tmp_path / "report.html").exists()


def test_with_a_node_killed_every_case_finishes_to_the_same_bits(
    nodes: "RayCluster", cluster: Cluster, sample: Dataset, tmp_path: Path
) -> None:
    jobs = [job_of(seed, tmp_path, sample, SLOW) for seed in range(2)]
    where: dict[int, list[str]] = {seed: [] for seed in range(2)}
    workers = {each.node_id: each for each in nodes.worker_nodes}
    killed: list[str] = []

    def kill_one(job: Job, message: object) -> None:
        if isinstance(message, Node):
            where[job.case.seed].append(message.id)
        if isinstance(message, bytes) and not killed and where[job.case.seed][-1] in workers:
            killed.append(where[job.case.seed][-1])
            nodes.remove_node(workers[killed[0]], allow_graceful=False)

    assert len(cluster.nodes) == 2
    records = collect(cluster, sample, jobs, kill_one)

    assert killed
    assert killed[0] not in {node.id for node in cluster.nodes}
    assert sorted(records) == [0, 1]
    assert {seed: outcome(record) for seed, record in records.items()} == {
        each.case.seed: outcome(measure(each.case, sample)) for each in jobs
    }
    again = [seed for seed, ids in where.items() if len(ids) > 1]
    assert again
    assert all(records[seed].result.resumed == 1 for seed in again)  # type: ignore[union-attr] # outcome() saw to it
    assert all(len(where[seed]) == 1 for seed in range(2) if seed not in again)


def test_an_interrupt_leaves_no_training_and_no_folder_behind(
    cluster: Cluster, sample: Dataset, tmp_path: Path
) -> None:
    def interrupt(_: Job, message: object) -> None:
        if isinstance(message, Tick):
            raise KeyboardInterrupt

    before = {*Path(tempfile.gettempdir()).glob("fashionbench-*")}
    with pytest.raises(KeyboardInterrupt):
        collect(cluster, sample, [job_of(0, tmp_path, sample, SLOW.model_copy(update={"epochs": 9_999}))], interrupt)

    for _ in range(200):
        left = {*Path(tempfile.gettempdir()).glob("fashionbench-*")} - before
        if not left:
            break
        time.sleep(0.1)
    assert not left
