"""Every classifier of torchvision is built for the task's channels, size and classes, without auxiliary heads."""

import sys

import pytest
import torch
from torch import nn

from fashionbench.data.dataset import Task
from fashionbench.errors import InputError, SetupError
from fashionbench.models.registry import build_model, find_builder, source_of
from fashionbench.models.sources.libraries import classifier_names, find_classifier

SMALL = (
    "efficientnet_b0",
    "mnasnet0_5",
    "regnet_y_400mf",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "vit_b_32",
    "resnet18",
)


@pytest.mark.parametrize("name", SMALL)
def test_a_classifier_maps_the_tasks_images_to_the_tasks_classes(name: str) -> None:
    model = build_model(f"torchvision:{name}", Task(shape=(1, 32, 32), classes=7), seed=0)

    assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize(("name", "size"), [("googlenet", 32), ("inception_v3", 75)])
def test_a_classifier_with_auxiliary_heads_is_built_without_them(name: str, size: int) -> None:
    with torch.device("meta"):
        model = find_builder(f"torchvision:{name}")((1, size, size), 7)

        logits = model.train()(torch.zeros(2, 1, size, size))

    assert logits.shape == (2, 7)
    assert not any("aux" in name.lower() for name, _ in model.named_parameters())


@pytest.mark.parametrize(("name", "size"), [("vit_b_16", 64), ("maxvit_t", 224)])
def test_a_classifier_of_a_fixed_size_is_told_the_size(name: str, size: int) -> None:
    with torch.device("meta"):
        model = find_builder(f"torchvision:{name}")((3, size, size), 7)

        assert model(torch.zeros(2, 3, size, size)).shape == (2, 7)


def test_all_of_torchvisions_classifiers_are_offered_and_nothing_else() -> None:
    names = classifier_names()

    assert len(names) >= 80
    assert not any("quantized" in name or "rcnn" in name for name in names)


@pytest.mark.parametrize("name", ["torchvision:resnet81", "torchvision:fasterrcnn_resnet50_fpn", "torchvision:"])
def test_an_unknown_classifier_is_refused_with_names_alike(name: str) -> None:
    with pytest.raises(InputError, match=rf"Unknown model '{name}'\. Expected a classifier of torchvision, such as "):
        find_classifier(name)


def test_another_name_is_of_no_library() -> None:
    assert find_classifier("resnet18") is None


def test_a_missing_timm_is_told_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)

    with pytest.raises(
        SetupError, match=r'The library timm is not installed\. .* Run: python -m pip install "fashionbench\[timm\]"'
    ):
        find_classifier("timm:resnet18")


@pytest.mark.parametrize(("name", "first"), [("resnet10t", 1), ("vit_tiny_patch16_224", 1)])
def test_classifiers_of_timm_are_built_untrained_for_the_task(name: str, first: int) -> None:
    pytest.importorskip("timm", reason="the extra timm is not installed")
    model = build_model(f"timm:{name}", Task(shape=(first, 32, 32), classes=7), seed=0)

    assert model(torch.zeros(2, first, 32, 32)).shape == (2, 7)
    assert next(part for part in model.modules() if isinstance(part, nn.Conv2d)).in_channels == first
    assert source_of(f"timm:{name}")


def test_nothing_is_fetched_from_a_hub() -> None:
    pytest.importorskip("timm", reason="the extra timm is not installed")

    with pytest.raises(InputError, match="Unknown model 'timm:hf-hub:timm/resnet18'"):
        find_classifier("timm:hf-hub:timm/resnet18")
