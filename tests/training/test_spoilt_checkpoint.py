"""A checkpoint that cannot be used is passed over for the one before; nothing in it is run."""

import hashlib
import io
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch_readers import half_trained, new_state, saved
from toy_training import StopAt, keeper, network, never, run

from fashionbench.training.checkpoint import Checkpoints, Stopped
from fashionbench.training.ingredients.state import State


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a stopped training, with the one before."""
    path = tmp_path_factory.mktemp("stopped") / "case.pt"
    with pytest.raises(Stopped):
        run(network(), keeper(path, StopAt(9), seconds=0))
    return path


@pytest.fixture
def path(stopped: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    for each in stopped.parent.iterdir():
        shutil.copy(each, tmp_path)
    return tmp_path / stopped.name


@pytest.fixture(scope="module")
def expected() -> Tensor:
    """The losses of the training that was not stopped."""
    return run(network()).step_losses


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:-1], lambda content: content[:40] + b"x" + content[41:]],
    ids=["truncated", "flipped"],
)
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(
    path: Path, expected: Tensor, damage: Callable[[bytes], bytes]
) -> None:
    told: list[str] = []
    path.write_bytes(damage(path.read_bytes()))

    curves = run(network(), Checkpoints(path, stop=never, warn=told.append))

    assert told == ["A checkpoint is damaged (its SHA-256 differs) and is passed over"]
    assert curves.resumed == 1
    assert torch.equal(curves.step_losses, expected)


def saved_as(content: dict[str, Any] | bytes) -> bytes:
    """Return a checkpoint's file with a right digest."""
    if isinstance(content, dict):
        stream = io.BytesIO()
        torch.save(content, stream)
        content = stream.getvalue()
    return hashlib.sha256(content).digest() + content


def whole(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(io.BytesIO(path.read_bytes()[32:]), weights_only=True)
    return content


def changed_schedule(content: dict[str, Any], **fields: object) -> dict[str, Any]:
    return content | {"schedule": content["schedule"] | fields}


def changed_moments(
    content: dict[str, Any], change: Callable[[dict[str, Tensor]], dict[str, Tensor]]
) -> dict[str, Any]:
    optimizer = content["optimizer"]
    return content | {"optimizer": optimizer | {"state": {key: change(of) for key, of in optimizer["state"].items()}}}


def changed_betas(content: dict[str, Any], *betas: float) -> dict[str, Any]:
    optimizer = content["optimizer"]
    groups = [group | {"betas": betas} for group in optimizer["param_groups"]]
    return content | {"optimizer": optimizer | {"param_groups": groups}}


def unpickled_by(content: dict[str, Any], instructions: bytes) -> bytes:
    """Return an archive of torch's with other instructions for what it contains."""
    written, changed = io.BytesIO(), io.BytesIO()
    torch.save(content, written)
    with zipfile.ZipFile(written) as archive, zipfile.ZipFile(changed, "w") as other:
        for name in archive.namelist():
            other.writestr(name, instructions if name.endswith("data.pkl") else archive.read(name))
    return changed.getvalue()


def beyond(generators: dict[str, Any]) -> dict[str, Any]:
    """Return states by which NumPy would read beyond its generator's memory."""
    name, key, _, *rest = generators["numpy"]
    return generators | {"numpy": (name, key, 10**6, *rest)}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"no archive",
        lambda content: unpickled_by(content, b"\x80\x02K\x05Q."),  # a storage of the name 5
        lambda _: {},
        lambda content: content | {"epoch": 7},
        lambda content: content | {"optimizer": {"state": {}, "param_groups": []}},
        lambda content: content | {"schedule": 5},
        lambda content: content | {"cpu_generator": torch.zeros(3)},
        lambda content: content | {"seconds": {}, "other_generators": None},
        lambda content: content | {"seconds": float("nan")},
        lambda content: content | {"resumed": "often"},
        lambda content: content | {"step_losses": torch.zeros(9)},
        lambda content: content | {"step_losses": content["step_losses"].double()},
        lambda content: content | {"device_generator": torch.arange(3)},
        lambda content: content | {"model": {name: each * float("inf") for name, each in content["model"].items()}},
        lambda content: content | {"model": {name: each.double() for name, each in content["model"].items()}},
        lambda content: changed_schedule(content, last_epoch=1),
        lambda content: changed_schedule(content, gamma=0.5),
        lambda content: changed_betas(content, 0.9, 1.5),
        lambda content: changed_betas(content, -0.9, 0.999),
        lambda content: changed_moments(content, lambda moments: {**moments, "exp_avg": torch.zeros(3)}),
        lambda content: changed_moments(
            content, lambda moments: {**moments, "exp_avg": moments["exp_avg"].to_sparse()}
        ),
        lambda content: changed_moments(content, lambda moments: {"step": moments["step"]}),
        lambda content: changed_moments(content, lambda moments: {**moments, "step": torch.tensor(float("nan"))}),
        lambda content: changed_moments(content, lambda moments: {**moments, "step": torch.tensor(-1.0)}),
        lambda content: content | {"other_generators": beyond(content["other_generators"])},
    ],
    ids=[
        *("no archive", "storage", "empty", "epochs", "optimizer", "schedule", "generator", "other generators"),
        *("seconds", "resumed", "steps", "kind of losses", "device"),
        *("weights", "weights in double", "place", "gamma", "a beta above one", "a negative beta"),
        *(
            "shape of moments",
            "sparse moments",
            "missing moments",
            "not a number",
            "step before the first",
            "place of numpy's generator",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Validating sparse tensor")  # torch's own, while it reads one
@pytest.mark.parametrize("has_before", [True, False])
def test_a_sealed_checkpoint_that_cannot_be_used_is_passed_over_and_leaves_nothing_behind(
    path: Path, expected: Tensor, spoil: Callable[[dict[str, Any]], dict[str, Any] | bytes], *, has_before: bool
) -> None:
    told: list[str] = []
    path.write_bytes(saved_as(spoil(whole(path))))
    if not has_before:
        path.with_name("case.pt.before").unlink()

    curves = run(network(), Checkpoints(path, stop=never, warn=told.append))

    assert len(told) == 1
    assert told[0].startswith("A checkpoint cannot be used (")
    assert curves.resumed == has_before
    assert torch.equal(curves.step_losses, expected)


def test_without_a_whole_checkpoint_a_training_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "case.pt"
    told: list[str] = []
    path.write_bytes(b"")
    path.with_name("case.pt.before").mkdir()

    curves = run(network(), Checkpoints(path, stop=never, warn=told.append))

    assert curves.resumed == 0
    assert len(told) > 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_pipe_in_place_of_a_checkpoint_is_passed_over_and_not_waited_for(tmp_path: Path) -> None:
    told: list[str] = []
    os.mkfifo(tmp_path / "case.pt")

    curves = run(network(), Checkpoints(tmp_path / "case.pt", stop=never, warn=told.append))

    assert curves.resumed == 0
    assert told == ["A checkpoint cannot be read (not a regular file) and is passed over"]


def test_nothing_of_pythons_is_unpickled(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return (tmp_path / "ran").touch, ()

    torch.save({"model": Hostile()}, tmp_path / "hostile")
    state = State(
        model=network().model,
        optimizer=torch.optim.Adam([nn.Parameter(torch.zeros(1))]),
        schedule=None,  # type: ignore[arg-type]  # never reached
        generator=torch.Generator(),
        epochs=1,
        steps=1,
    )

    with pytest.raises(Exception, match="Weights only load failed"):
        state.load((tmp_path / "hostile").read_bytes())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("change", [{"losses": [torch.full((4,), torch.inf)]}, {"validations": [(float("nan"), 0.5)]}])
def test_losses_of_finished_epochs_must_be_finite(change: dict[str, Any]) -> None:
    content = torch.load(io.BytesIO(half_trained()[32:]), weights_only=True)

    new_state().load(saved(content))
    with pytest.raises(ValueError, match="its losses are not finite"):
        new_state().load(saved(content | change))
