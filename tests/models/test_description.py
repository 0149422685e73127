"""A model's size and work are those counted by hand."""

import re
from pathlib import Path
from typing import Final

import pytest
import torch
from torch import nn
from torch.nn import functional

from fashionbench.data.dataset import Task
from fashionbench.errors import InputError
from fashionbench.models.baselines import Baseline
from fashionbench.models.description import describe, describe_network, find_fit, list_fits
from fashionbench.models.registry import network_names

TASK: Final = Task(shape=(1, 28, 28), classes=10)


def test_resnet18_reaches_38_percent_of_its_weights_at_28_pixels() -> None:
    info = describe("resnet18", TASK, nn.Identity())

    assert info.parameters == 11_175_370
    assert info.reachable_parameters == 4_228_554
    assert info.layers == 21
    assert info.useful_training_flops == pytest.approx(0.105e9, rel=0.02)  # counted by hand elsewhere


def test_fashioncnn_reaches_all_its_weights_and_its_work_is_the_sum_of_its_layers() -> None:
    info = describe("fashioncnn", TASK, nn.Identity())

    convolutions = 2 * (28 * 28 * 32 * 9 + 12 * 12 * 64 * 32 * 9)
    linear = 2 * (2304 * 600 + 600 * 120 + 120 * 10)
    assert info.reachable_parameters == info.parameters
    assert info.forward_flops == convolutions + linear
    meeting = 2 * (82 * 82 * 32 + 12 * 12 * 64 * 32 * 9)  # 28 outputs by 3 taps, two of them on padding
    assert info.useful_forward_flops == meeting + linear
    assert info.layers == 5
    outputs = 3 * 32 * 28 * 28 + 32 * 14 * 14 + 3 * 64 * 12 * 12 + 64 * 6 * 6 + 600 + 600 + 120 + 10
    assert info.activations == outputs


def test_useful_work_is_counted_tap_by_tap() -> None:
    convolution = nn.Conv2d(4, 6, (3, 2), stride=2, padding=(2, 1), dilation=2, groups=2)

    info = describe_network(nn.Sequential(convolution), (4, 5, 6))

    met = functional.conv2d(
        torch.ones(1, 4, 5, 6), torch.ones(6, 2, 3, 2), stride=2, padding=(2, 1), dilation=2, groups=2
    )
    assert info.useful_forward_flops == 2 * int(met.sum())


def test_a_network_is_listed_with_what_an_image_costs_or_why_it_does_not_fit() -> None:
    names = ["fashioncnn", "resnet18", "torchvision:alexnet"]

    lines = [*list_fits(names, [(1, 28, 28), (3, 64, 64)])]

    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert rows[0] == ["model", "layers", "parameters", "1x28x28", "3x64x64"]
    assert rows[2][:4] == ["fashioncnn", "5", "1,475,338", "8.7"]
    assert rows[3][:4] == ["resnet18", "21", "11,175,370", "66.0"]
    assert rows[4][:4] == ["torchvision:alexnet", "8", "57,044,810", "no (1)"]
    assert [len({len(line) for line in lines[:5]}), lines[5]] == [1, ""]
    assert lines[6:] == [
        "MFLOP of the forward pass of one image, by its shape, operations on zero padding included; 10 classes.",
        lines[-1],
    ]
    assert re.match(r"\(1\) RuntimeError: Given input size: .*Output size is too small", lines[-1])


@pytest.mark.parametrize("name", ["resnet18", "torchvision:alexnet", "torchvision:googlenet", "torchvision:vit_b_32"])
def test_the_table_in_the_docs_is_what_the_command_prints(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith(f"| {name} ")]

    listed = [*list_fits([name], [(1, size, size) for size in (28, 32, 64)])][2]

    expected, found = ([cell.strip().partition(" ")[0] for cell in line.split("|")] for line in (row, listed))
    assert found[1:7] == expected[1:7]


def test_a_list_is_of_torchvisions_classifiers_and_the_studys_unless_names_are_given() -> None:
    names = network_names()

    assert names[:2] == ["fashioncnn", "resnet18"]
    assert {"torchvision:googlenet", "torchvision:inception_v3"} <= {*names}


NETS = """
import torch
from torch import nn
def numbers(): return nn.Sequential(nn.Flatten(), nn.Linear(16, int(torch.ones(1).sum()) * 10))
def other(): return nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
def text():
    net = nn.Flatten()
    net.forward = lambda images: "x"
    return net
"""


@pytest.mark.parametrize(("net", "misfit"), [("numbers", ""), ("other", "gives (1, 3)"), ("text", "gives str")])
def test_a_users_network_is_listed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, net: str, misfit: str) -> None:
    (tmp_path / "listed_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path)

    fit = find_fit(f"listed_nets:{net}", Task(shape=(1, 4, 4), classes=10))

    assert (fit.misfit, fit.parameters) == (misfit, 0 if misfit else 170)


def test_a_baseline_is_not_listed() -> None:
    with pytest.raises(InputError, match="Model 'dummy' is a classical baseline"):
        find_fit("dummy", TASK)


def test_a_baselines_size_is_what_it_learned() -> None:
    baseline = Baseline("logreg")
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (30, 1, 4, 5), generator=generator, dtype=torch.uint8)

    before = describe("logreg", TASK, baseline)
    baseline.fit(images, torch.arange(30) % 3, 0)
    after = describe("logreg", TASK, baseline)

    assert before.parameters == 0
    assert after.parameters == after.reachable_parameters == 3 * 4 * 5 + 3
    assert (after.layers, after.training_flops) == (0, 0)
