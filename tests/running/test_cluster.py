"""A cluster spreads cases over its nodes and copes with those that fail; tests/ray_stand_in.py stands for Ray."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from cases import collect, job_of
from ray_stand_in import RayError, RayTaskError, StandIn

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import Device, list_devices
from fashionbench.errors import InputError, SetupError
from fashionbench.options.parsing import EVERY_DEVICE
from fashionbench.recipe.fields import Recipe
from fashionbench.running.cluster import Cluster, open_cluster
from fashionbench.running.nodes import Node, describe_node
from fashionbench.running.process.server import start_fork_server

MODELS = ("fashioncnn",)

T = TypeVar("T")


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Ray's stand-in, where the code under test imports Ray."""
    start_fork_server()  # with this process's number of threads
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # a node takes it out of its environment, which is this one
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    stand_in = StandIn()
    for name, module in stand_in.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    return stand_in


@pytest.fixture
def cluster(ray: StandIn) -> Iterator[Cluster]:
    assert ray.nodes()
    with open_cluster(None, MODELS, "pytest") as opened:
        yield opened


def test_a_case_that_loses_its_process_again_and_again_counts_as_failed(
    ray: StandIn, cluster: Cluster, sample: Dataset, tmp_path: Path
) -> None:
    ray.lost = lambda: RayError("The worker died unexpectedly.")
    lost: list[str] = []

    records = collect(
        cluster,
        sample,
        [job_of(0, tmp_path, sample)],
        lambda _, message: lost.append(message) if isinstance(message, str) else None,
    )

    assert records[0].status == "failed"
    assert records[0].reason == "its process was lost on a (RayError The worker died unexpectedly.)"
    assert len(lost) == 2
    assert "it resumes from its newest checkpoint" in lost[0]
    assert cluster.nodes


def test_what_a_case_or_a_call_refuses_is_raised_here(cluster: Cluster, sample: Dataset, tmp_path: Path) -> None:
    greedy = job_of(0, tmp_path, sample, Recipe(name="greedy", train_images=401))

    with pytest.raises(InputError, match=r"train_images 401 of 400 images"):
        collect(cluster, sample, [greedy])
    with pytest.raises(InputError, match="Unknown model 'nothing'"):
        cluster.call(greedy.case.device, describe_node, ["nothing"], "pytest")


def test_without_a_node_for_its_device_a_case_fails_and_others_go_on(
    cluster: Cluster, sample: Dataset, tmp_path: Path
) -> None:
    elsewhere = Device(word="cuda", name="Some GPU")

    records = collect(cluster, sample, [job_of(0, tmp_path, sample, device=elsewhere), job_of(1, tmp_path, sample)])

    assert records[0].status == "failed"
    assert records[0].reason.startswith("No node with cuda (Some GPU) is left in the cluster. Expected")
    assert records[1].status == "finished"
    with pytest.raises(SetupError, match="No node with cuda"):
        cluster.call(elsewhere, os.getpid)


def with_other_code(answer: tuple[object, object, dict[str, str]]) -> tuple[object, object, dict[str, str]]:
    devices, environments, software = answer
    return devices, environments, {**software, "fashionbench": "newer"}


def without_the_model(_: object) -> object:
    raise InputError("unknown model 'nothing'", expected="a model", remedy="install it")


def test_nodes_with_other_code_or_without_the_models_are_left_out(ray: StandIn) -> None:
    ray.described = [("a", 1, 0), ("b", 4, 1), ("c", 4, 1)]
    ray.answers = {"b": with_other_code, "c": without_the_model}

    with open_cluster(None, MODELS, "pytest") as cluster:
        lines = [*cluster.described()]

    assert [node.id for node in cluster.nodes] == ["a"]
    assert lines[1] == "Left out: b: another fashionbench than here"
    assert lines[2].startswith("Left out: c: RayTaskError InputError: Unknown model 'nothing'.")
    assert ("b", {"max_retries": 0, "num_cpus": 4, "num_gpus": 1}) in ray.asked


def test_a_users_module_is_not_imported_here(ray: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ray.nodes()
    (tmp_path / "own_of_a_cluster.py").write_text("def make(shape, classes): ...\n")
    (tmp_path / "leaves_a_cluster.py").write_text("import os\nos._exit(7)\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    with open_cluster(None, ("own_of_a_cluster:make",), "pytest") as opened:
        assert len(opened.nodes) == 1
    with pytest.raises(InputError, match=r"source of model .leaves_a_cluster:make. cannot be read \(.* status 7\)"):
        open_cluster(None, ("leaves_a_cluster:make",), "pytest").__enter__()

    assert not {"own_of_a_cluster", "leaves_a_cluster"} & {*sys.modules}


def test_without_a_node_that_can_measure_nothing_begins(ray: StandIn) -> None:
    ray.described = [("a", 1, 0), ("b", 1, 0)]
    ray.answers = {"a": with_other_code}
    ray.silent = {"b"}

    with pytest.raises(
        SetupError, match=r"No node of the cluster can measure \(a: another fashionbench than here; b: no"
    ):
        open_cluster(None, MODELS, "pytest").__enter__()


def test_a_node_whose_disk_is_full_costs_its_cases_only_a_line(
    ray: StandIn, cluster: Cluster, sample: Dataset, tmp_path: Path
) -> None:
    ray.lost = lambda: RayTaskError(OSError("No space left on device"))

    records = collect(cluster, sample, [job_of(0, tmp_path, sample)])

    assert records[0].status == "failed"
    assert "(OSError No space left on device)" in records[0].reason


@pytest.mark.parametrize("address", ["127.0.0.1:1", "head", "head:port", ":"])
@pytest.mark.usefixtures("ray")
def test_an_address_where_no_cluster_answers_is_told_in_one_line(address: str) -> None:
    with pytest.raises(
        SetupError, match=rf"No Ray cluster answers at {address} \(.*\)\. .*\. Start one with ray start"
    ):
        open_cluster(address, MODELS, "pytest").__enter__()


def test_without_an_address_it_is_this_machines_cluster_that_is_asked(ray: StandIn) -> None:
    ray.refused = ConnectionError("nobody here")

    with pytest.raises(SetupError, match=r"No Ray cluster answers at this machine \(nobody here\)"):
        open_cluster(None, MODELS, "pytest").__enter__()

    assert ray.connected_to == [None]


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


def test_a_call_goes_to_the_next_node_where_one_is_gone(ray: StandIn, cluster: Cluster) -> None:
    (device,) = list_devices()
    gone = Node(id="gone", address="gone", cpus=1, gpus=0, devices=(device,))
    ray.dead = {"gone"}
    cluster.nodes.insert(0, gone)

    assert cluster.call(device, os.getpid) != os.getpid()
    assert gone not in cluster.nodes
    with pytest.raises(SetupError, match=r"No node with cpu \(.*\) is left in the cluster; lost on gone: "):
        Cluster(nodes=[gone]).call(device, os.getpid)


def identity(value: T) -> T:
    return value


def test_what_a_node_returns_has_its_own_environment(
    ray: StandIn, cluster: Cluster, sample: Dataset, tmp_path: Path
) -> None:
    job = job_of(0, tmp_path, sample)
    (node,) = cluster.nodes
    own = node.environment(job.case.device).model_copy(update={"command": "of this node"})
    cluster.nodes[:] = [replace(node, environments=(own,))]

    returned = cluster.call(job.case.device, identity, job.provenance)

    assert ray.asked
    assert returned == replace(job.provenance, environment=own)


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
    jobs = [job_of(seed, tmp_path, sample, device=device) for seed, device in enumerate((gpu, cpu, gpu, gpu))]

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
