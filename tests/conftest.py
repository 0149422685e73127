"""Fixtures that several test folders share, and how their tests share processes."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch reads it: other cores are for other tests

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from fashionbench.data.dataset import Dataset

settings.register_profile("usual", max_examples=100, deadline=5_000)
settings.load_profile("usual")

for _name in ("SIGINT", "SIGHUP"):  # a job behind & or nohup ignores them, and so would every process that tests start
    if signal.getsignal(_number := getattr(signal, _name, signal.SIGTERM)) == signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _name == "SIGINT" else signal.SIG_DFL)

SAMPLE = Path(__file__).parent / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-gold", action="store_true", help="write tests/gold and the committed reports again")


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
