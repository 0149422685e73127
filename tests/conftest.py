"""Fixtures that several test folders share."""

from pathlib import Path

import pytest
from hypothesis import settings

from fashionbench.measure.data import Dataset, find_dataset

settings.register_profile("fuzz", max_examples=20_000, deadline=5_000)
settings.register_profile("usual", max_examples=100, deadline=5_000)
settings.load_profile("usual")

SAMPLE = Path(__file__).parent / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-gold", action="store_true", help="write tests/gold anew from what the page is now")


@pytest.fixture(scope="session")
def sample_folder() -> Path:
    """The folder of the small real sample and its recipe."""
    return SAMPLE


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The small real sample: 400 training and 200 test images."""
    return find_dataset(
        SAMPLE, environ={}, cache=tmp_path_factory.mktemp("cache"), announce=lambda _: None, allow_sample=True
    )
