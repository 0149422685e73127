"""Every model that has a name is built by it, with the study's layers and the caller's shape and classes."""

import sys
from pathlib import Path

import pytest
import torch

from fashionbench.catalogue import CATALOGUE, STUDY_MODELS, is_baseline
from fashionbench.data.dataset import Task
from fashionbench.errors import InputError
from fashionbench.models.baselines import BASELINES, Baseline
from fashionbench.models.networks import FashionCNN
from fashionbench.models.registry import MODELS, build_model, source_of


def test_the_catalogue_and_the_builders_name_the_same_models() -> None:
    assert {*CATALOGUE} == {*MODELS, *BASELINES}
    assert {name for name in CATALOGUE if is_baseline(name)} == {*BASELINES}
    assert {*STUDY_MODELS} <= {*MODELS}


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_named_model_is_built_as_what_the_catalogue_says(name: str) -> None:
    model = build_model(name, Task(shape=(1, 28, 28), classes=10), seed=0)

    assert isinstance(model, Baseline) == CATALOGUE[name].is_baseline


@pytest.mark.parametrize(("name", "parameters"), [("fashioncnn", 1_475_338), ("resnet18", 11_175_370)])
def test_parameter_count_is_the_published_one(name: str, parameters: int) -> None:
    model = build_model(name, Task(shape=(1, 28, 28), classes=10), seed=0)

    count = sum(parameter.numel() for parameter in model.parameters())

    assert count == parameters


@pytest.mark.parametrize("name", MODELS)
def test_a_network_accepts_the_callers_channels_and_classes(name: str) -> None:
    model = build_model(name, Task(shape=(3, 28, 28), classes=7), seed=0)

    logits = model(torch.zeros(2, 3, 28, 28))

    assert logits.shape == (2, 7)


def test_fashioncnn_shrinks_the_image_as_the_study_lists() -> None:
    model = FashionCNN()

    first = model.layer1(torch.zeros(2, 1, 28, 28))
    second = model.layer2(first)

    assert first.shape == (2, 32, 14, 14)
    assert second.shape == (2, 64, 6, 6)


def test_same_seed_gives_same_weights_and_leaves_torchs_generator_alone() -> None:
    state = torch.get_rng_state()

    first = build_model("fashioncnn", Task(shape=(1, 28, 28), classes=10), seed=3)
    second = build_model("fashioncnn", Task(shape=(1, 28, 28), classes=10), seed=3)
    other = build_model("fashioncnn", Task(shape=(1, 28, 28), classes=10), seed=4)

    assert torch.equal(first.state_dict()["fc1.weight"], second.state_dict()["fc1.weight"])
    assert not torch.equal(first.state_dict()["fc1.weight"], other.state_dict()["fc1.weight"])
    assert torch.equal(torch.get_rng_state(), state)


def test_an_unknown_model_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(InputError, match=r"Unknown model 'resnet19'\. Expected one of fashioncnn, resnet18, dummy, "):
        build_model("resnet19", Task(shape=(1, 28, 28), classes=10), seed=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_torchvisions_classifiers_accept_the_callers_channels_and_classes(channels: int) -> None:
    model = build_model("torchvision:mobilenet_v3_small", Task(shape=(channels, 32, 32), classes=7), seed=0).eval()

    assert model(torch.zeros(2, channels, 32, 32)).shape == (2, 7)
    assert next(model.parameters()).shape == (16, channels, 3, 3)


@pytest.mark.parametrize(("builder", "files"), [("partial(Linear, 3)", 1), ("make_net", 1), ("functional.relu", 2)])
def test_a_models_code_is_its_modules_file_and_that_of_its_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: str, files: int
) -> None:
    head = "from functools import partial\nfrom torch.nn import Linear, functional\ndef make_net(*_): ...\n"
    source = tmp_path / "somenets.py"
    source.write_text(f"{head}own = {builder}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    found = source_of("somenets:own")
    del sys.modules["somenets"]

    assert found.startswith(source.read_bytes())
    assert (len(found) > 2 * len(source.read_bytes())) == (files > 1)
