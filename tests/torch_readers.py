"""Readers of checkpoints and weights, which are files of unknown origin, too."""

import hashlib
import io
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

import torch
from hostile import Reader, changed, changes, mutate, zipped
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim.lr_scheduler import StepLR

from fashionbench.errors import InputError
from fashionbench.models.sources.weights import fit_weights
from fashionbench.training.checkpoint import Checkpoints
from fashionbench.training.ingredients.state import State

EPOCHS, STEPS = 3, 4


def saved(content: object) -> bytes:
    """Return what torch.save writes."""
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def new_state() -> State:
    """Return a small training before its first step."""
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    return State(
        model=model,
        optimizer=optimizer,
        schedule=StepLR(optimizer, STEPS),
        generator=torch.Generator().manual_seed(0),
        epochs=EPOCHS,
        steps=STEPS,
    )


def go_on(state: State, steps: int) -> None:
    """Train, as the training loop does."""
    for _ in range(steps):
        loss = state.model(torch.ones(2, 3)).square().sum()
        state.optimizer.zero_grad()
        loss.backward()
        state.optimizer.step()
        state.schedule.step()
        state.step_losses.append(loss.detach())
        if len(state.step_losses) == STEPS:
            state.epoch_seconds.append(0.5)
            state.others_cpu_share.append(None)
            state.validations.append((1.0, 0.5))
            state.end_epoch(torch.stack(state.step_losses))


def sealed(content: bytes) -> bytes:
    """Return a checkpoint's file with a right digest."""
    return hashlib.sha256(content).digest() + content


def half_trained() -> bytes:
    """Return the checkpoint of a training in its second epoch."""
    state = new_state()
    go_on(state, STEPS + 2)
    return sealed(state.dump())


def change_tensors(part: Any) -> list[Any]:
    """Return what may stand in the place of a part of a checkpoint."""
    if not isinstance(part, Tensor):
        return [*changes(part), torch.zeros(3)]
    wider = part[..., None]
    return [
        *changes(None),
        *(
            part[:0] if part.ndim else wider,
            wider,
            torch.cat([wider.flatten()] * 2),
            part.double(),
            part.to(torch.int8),
        ),
        *(torch.full(part.shape, value) for value in (float("nan"), float("inf"), -1.0)),
        *(part.to_sparse() if part.ndim else part, part.expand(7, *part.shape), part.to(torch.complex64)),
    ]


def spoil_checkpoint(random: Random, whole: bytes) -> bytes:
    """Change a place of a checkpoint, or damage its archive, and seal it again."""
    if random.random() < 1 / 2:
        return sealed(mutate(random, whole[32:]))
    content = torch.load(io.BytesIO(whole[32:]), weights_only=True)
    return sealed(saved(changed(random, content, change_tensors)))


def read_checkpoint(path: Path) -> None:
    """Restore a training, and go on with it to its end; the right checkpoint before is not there."""
    said: list[str] = []
    state = new_state()
    torch.manual_seed(0)
    expected = state.dump()
    if Checkpoints(path, stop=lambda: False, warn=said.append).restore(state):
        go_on(state, (EPOCHS - state.epoch) * STEPS - len(state.step_losses))
        if len(losses := torch.cat(state.losses)) != EPOCHS * STEPS:
            raise AssertionError("the restored training has another end")
        if not losses.isfinite().all():  # as from large weights, which may be right
            raise InputError("a loss is not finite", expected="a finite loss", remedy="as the training loop says")
        return
    if len(said) != 1 or not said[0].startswith("A checkpoint "):
        raise AssertionError(f"a checkpoint is passed over without one line: {said}")
    if state.dump() != expected:
        raise AssertionError("a checkpoint that is passed over leaves something behind")
    raise InputError(said[0], expected="a checkpoint of this training", remedy="nothing: it is passed over")


def read_weights(path: Path) -> None:
    """Compare a file of weights with a network."""
    fit_weights(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), path, classes=2)


WEIGHTS = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).state_dict()
READERS = MappingProxyType(
    {
        "checkpoint": Reader(
            name="case.pt",
            whole=(half_trained(),),
            read=read_checkpoint,
            inputs=6_000,
            spoil=spoil_checkpoint,
            bombs=lambda: (sealed(zipped(f"archive/data/{place}" for place in range(4))),),
        ),
        "weights": Reader(
            name="net.pth",
            whole=(saved(WEIGHTS), saved({"state_dict": WEIGHTS})),
            read=read_weights,
            inputs=6_000,
            bombs=lambda: (zipped(f"archive/data/{place}" for place in range(4)),),
        ),
        "safetensors": Reader(name="net.safetensors", whole=(save(WEIGHTS),), read=read_weights, inputs=6_000),
    }
)
