"""Fixtures that several test folders share, and how their tests share processes."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch reads it: other cores are for other tests

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster as RayCluster

    from fashionbench.data.dataset import Dataset

settings.register_profile("fuzz", max_examples=20_000, deadline=5_000)
settings.register_profile("usual", max_examples=100, deadline=5_000)
settings.load_profile("usual")

SAMPLE = Path(__file__).parent / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-gold", action="store_true", help="write tests/gold from the current pages")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """With ``pytest -n``, give each file to one process: its Ray cluster, browser or benchmark run exists once."""
    if config.getoption("numprocesses", None) and config.option.dist == "no":
        config.option.dist = "loadfile"
        config.option.loadscopereorder = False  # as collected: bench and browser, which take longest, come first


@pytest.fixture(autouse=True)
def _two_threads(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.node.get_closest_marker("threads") is None:
        yield
        return
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def sample_folder() -> Path:
    """The folder of the small real sample and its recipe."""
    return SAMPLE


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> "Dataset":
    """The small real sample: 400 training and 200 test images."""
    from fashionbench.data.fashion_mnist import find_dataset

    return find_dataset(
        SAMPLE, environ={}, cache=tmp_path_factory.mktemp("cache"), announce=lambda _: None, allow_sample=True
    )


@pytest.fixture
def folder(tmp_path: Path, sample_folder: Path) -> Path:
    """A copy of the sample that a test may spoil."""
    copy = tmp_path / "data"
    copy.mkdir()
    for path in sample_folder.glob("*-ubyte"):
        shutil.copy(path, copy)
    return copy


@pytest.fixture(scope="session")
def nodes() -> Iterator["RayCluster"]:
    """Start a Ray cluster of three nodes on this machine: real processes, real sockets."""
    from ray.cluster_utils import Cluster as RayCluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - as Ray spells it, and the docs advise it
    memory = 100 * 1024**2
    head = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": memory, "include_dashboard": False}
    started = RayCluster(initialize_head=True, head_node_args=head)
    for gpus in (0, 1):  # Ray takes a GPU's number on trust
        started.add_node(num_cpus=1, num_gpus=gpus, object_store_memory=memory)
    yield started
    started.shutdown()  # type: ignore[no-untyped-call] # Ray gives it no types
