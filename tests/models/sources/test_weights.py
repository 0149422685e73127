"""A file of weights is read without running code, fits a network but for its ends, or is refused in a line."""

import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from fashionbench.catalogue import model_label
from fashionbench.data.dataset import Task
from fashionbench.errors import InputError
from fashionbench.models.registry import build_model, describe_building, find_new, source_of
from fashionbench.models.sources.weights import find_head, fit_weights

NAME = "torchvision:mnasnet0_5"
TASK = Task(shape=(1, 32, 32), classes=10)


@pytest.fixture(scope="module")
def trained() -> dict[str, Tensor]:
    """Return the weights of a network for colours and five classes, with statistics as after some training."""
    model = build_model(NAME, Task(shape=(3, 32, 32), classes=5), seed=1)
    with torch.no_grad():
        model(torch.rand(8, 3, 32, 32))
    return model.state_dict()


@pytest.fixture
def file(tmp_path: Path, trained: dict[str, Tensor]) -> Path:
    torch.save(trained, tmp_path / "w.pth")
    return tmp_path / "w.pth"


def test_a_network_begins_with_the_files_weights_and_new_ends(file: Path, trained: dict[str, Tensor]) -> None:
    model = build_model(f"{NAME}@{file}", TASK, seed=0)

    new = find_new(f"{NAME}@{file}", model, 10)
    again = build_model(NAME, TASK, seed=0).state_dict()

    assert new == ("layers.0.weight", "classifier.1.weight", "classifier.1.bias")
    for name, value in model.state_dict().items():
        assert torch.equal(value, again[name] if name in new else trained[name]), name
    assert describe_building(f"{NAME}@{file}", TASK) == (
        f"{len(trained) - 3} of {len(trained)} tensors are from w.pth; {', '.join(new)} drawn under the seed"
    )


def test_ends_that_fit_are_taken_too(file: Path, trained: dict[str, Tensor]) -> None:
    model = build_model(f"{NAME}@{file}", Task(shape=(3, 32, 32), classes=5), seed=0)

    assert find_new(f"{NAME}@{file}", model, 5) == ()
    assert all(torch.equal(value, trained[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("wrapping", ["state_dict", "model", "module", "safetensors", "old"])
def test_the_usual_files_are_read(tmp_path: Path, trained: dict[str, Tensor], wrapping: str) -> None:
    path = tmp_path / ("w.safetensors" if wrapping == "safetensors" else "w.pt")
    contents: dict[str, Any] = {
        "state_dict": {"state_dict": trained, "epoch": 3},
        "model": {"model": trained, "optimizer": {"state": {}}},
        "module": {f"module.{name}": value for name, value in trained.items()},
        "old": {name: value for name, value in trained.items() if "num_batches" not in name},
    }
    if wrapping == "safetensors":
        save_file(trained, path)
    else:
        torch.save(contents[wrapping], path)

    found = build_model(f"{NAME}@{path}", TASK, seed=0).state_dict()

    assert torch.equal(found["layers.1.running_mean"], trained["layers.1.running_mean"])


def test_weights_of_another_network_are_refused_with_the_first_difference(file: Path) -> None:
    with pytest.raises(
        InputError, match=r"w\.pth do not fit the network: its conv1\.weight is 64 x 1 x 7 x 7, the file's "
    ):
        build_model(f"resnet18@{file}", TASK, seed=0)


def test_heads_that_only_helped_the_training_are_passed_over(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 3))
    torch.save({**model.state_dict(), "aux1.fc.weight": torch.zeros(1)}, tmp_path / "w.pth")

    assert {*fit_weights(model, tmp_path / "w.pth", 3).taken} == {"0.weight", "0.bias"}


class Program:
    """Runs code where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    ("content", "ending", "message"),
    [
        (b"", "pth", "cannot be read"),
        (b"GIF89a", "pth", "cannot be read"),
        (b"\x80\x02]q\x00.", "pt", "cannot be read"),
        (b"{}", "safetensors", "cannot be read"),
        ({"epoch": 3}, "pth", "contain no tensors by name"),
        ([1, 2], "pth", "contain no tensors by name"),
    ],
)
def test_what_is_no_file_of_weights_is_refused(tmp_path: Path, content: object, ending: str, message: str) -> None:
    path = tmp_path / f"w.{ending}"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)

    with pytest.raises(InputError, match=f"{re.escape(str(path))} {message}"):
        build_model(f"resnet18@{path}", TASK, seed=0)


def test_a_file_runs_no_code(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(pickle.dumps({"a": Program(tmp_path / "ran")}))

    with pytest.raises(InputError, match="cannot be read"):
        build_model(f"resnet18@{tmp_path}/w.pth", TASK, seed=0)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("name", "message"), [("w.pth", "are not there"), ("w.onnx", "are not of a known kind")])
def test_a_missing_file_is_refused_and_not_fetched(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"{message}\. Expected a file whose name .*nothing is downloaded"):
        build_model(f"resnet18@{tmp_path / name}", TASK, seed=0)


def test_a_baseline_has_no_weights(file: Path) -> None:
    with pytest.raises(InputError, match="Unknown model 'dummy'"):
        build_model(f"dummy@{file}", TASK, seed=0)


def test_the_files_digest_is_part_of_the_models_source(file: Path) -> None:
    before = source_of(f"{NAME}@{file}")

    torch.save({"a": torch.zeros(1)}, file)

    assert before.startswith(source_of(NAME))
    assert source_of(f"{NAME}@{file}") != before


def test_a_label_has_the_files_name_without_its_folder() -> None:
    assert model_label("torchvision:resnet50@/home/me/w.pth") == "resnet50@w.pth"
    assert model_label("resnet18@w.pth") == "ResNet18@w.pth"


def test_a_head_is_the_last_layer_with_an_output_for_each_class() -> None:
    model = nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 10), nn.Linear(10, 3))

    assert find_head(model, 10)[0] == "1"
    with pytest.raises(InputError, match="No layer of the network has 4 outputs"):
        find_head(model, 4)
