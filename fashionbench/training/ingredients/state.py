"""A training's whole state, as bytes and back; another training's is refused before it is taken over."""

import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fashionbench.devices.runtime import random_state, set_random_state, synchronize
from fashionbench.models.randomness import load_generators, save_generators
from fashionbench.opening import require_no_larger
from fashionbench.records.record import StepMethod

__all__ = ["State"]

MOVING: Final = frozenset({"last_epoch", "_step_count", "_last_lr", "lr", "betas"})
"""What a schedule changes from step to step, in its own state and in the optimizer's."""

ADAMS: Final = frozenset({"step", "exp_avg", "exp_avg_sq"})
"""What Adam and AdamW keep of each weight."""

SGDS: Final = frozenset({"momentum_buffer"})
"""What SGD keeps of each weight, if it has a momentum."""


@dataclass(slots=True, kw_only=True, eq=False)
class State:
    """All that decides how a training continues, and what it has produced so far."""

    model: nn.Module
    optimizer: Optimizer
    schedule: LRScheduler
    generator: torch.Generator
    """Decides the order of images."""
    epochs: int
    """Of the whole training."""
    steps: int
    """Of an epoch."""
    method: StepMethod | None = None
    """How its steps are computed on an accelerator."""
    epoch_began: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.uint8))
    """The generator's state before it drew the order of the epoch at hand."""
    epoch: int = 0
    """Epochs done."""
    step_losses: list[Tensor] = field(default_factory=list)
    """Of the epoch at hand, scalars on the device."""
    losses: list[Tensor] = field(default_factory=list)
    """Of each epoch done, (steps,), on the CPU."""
    epoch_seconds: list[float] = field(default_factory=list)
    validations: list[tuple[float, float]] = field(default_factory=list)
    """Loss and accuracy (a fraction) after each epoch."""
    validation_seconds: float = 0.0
    seconds: float = 0.0
    """On the training clock."""
    paused_seconds: float = 0.0
    """How long the process stood still, off the clock."""
    others_cpu_share: list[float | None] = field(default_factory=list)
    """Of each epoch done."""
    resumed: int = 0

    def end_epoch(self, losses: Tensor) -> None:
        """Begin the next epoch; ``losses`` are those of the one that ended, (steps,), on the CPU."""
        self.losses.append(losses)
        self.step_losses = []
        self.epoch += 1

    def dump(self) -> bytes:
        """Return the state with that of the process's own generators, as torch saves it."""
        stream = io.BytesIO()
        torch.save(self._content(), stream)
        return stream.getvalue()

    def _content(self) -> dict[str, Any]:
        device = next(self.model.parameters()).device
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generator": self.epoch_began if len(self.epoch_began) else self.generator.get_state(),
            "method": self.method,
            "cpu_generator": torch.get_rng_state(),
            "other_generators": save_generators(),
            "device_generator": random_state(device),
            "epoch": self.epoch,
            "step_losses": torch.stack(self.step_losses).cpu() if self.step_losses else torch.empty(0),
            "losses": self.losses,
            "epoch_seconds": self.epoch_seconds,
            "validations": self.validations,
            "validation_seconds": self.validation_seconds,
            "seconds": self.seconds,
            "paused_seconds": self.paused_seconds,
            "others_cpu_share": self.others_cpu_share,
            "resumed": self.resumed,
        }

    def load(self, content: bytes) -> None:
        """Take over a state; nothing but tensors and plain values is unpickled.

        Raises:
            Exception: The content is not what ``dump`` gave, for a training of this kind.

        """
        device = next(self.model.parameters()).device
        require_no_larger(io.BytesIO(content), len(content))
        saved = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        for fault in chain(_faults(saved, self), _differences(saved, self._content(), self)):
            raise ValueError(fault)
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.schedule.load_state_dict(saved["schedule"])
        self.generator.set_state(saved["generator"])
        torch.set_rng_state(saved["cpu_generator"])
        load_generators(saved["other_generators"])
        set_random_state(device, saved["device_generator"])
        self.epoch = saved["epoch"]
        self.step_losses = [*saved["step_losses"].to(device)]
        self.losses = saved["losses"]
        self.epoch_seconds = saved["epoch_seconds"]
        self.validations = [(loss, accuracy) for loss, accuracy in saved["validations"]]
        self.validation_seconds = saved["validation_seconds"]
        self.seconds = saved["seconds"]
        self.paused_seconds = saved["paused_seconds"]
        self.others_cpu_share = saved["others_cpu_share"]
        self.resumed = saved["resumed"] + 1
        synchronize(device)  # the copies to the device are no training


def _faults(saved: Mapping[str, Any], state: State) -> Iterator[str]:
    """Yield what shows that a saved state is not one of this training, some steps on; PyTorch compares the weights."""
    epoch, step_losses, losses = saved["epoch"], saved["step_losses"], saved["losses"]
    validated = [loss for loss, _ in saved["validations"]]
    each_epoch = {len(saved[name]) for name in ("losses", "epoch_seconds", "validations", "others_cpu_share")}
    if not (type(epoch) is int and 0 <= epoch < state.epochs and each_epoch == {epoch}):
        yield "its epochs do not fit together"
    if any(each.dtype != torch.float32 or each.ndim != 1 for each in (step_losses, *losses)):
        yield "its losses are of another kind"
    if not all(bool(each.isfinite().all()) for each in losses) or not all(map(math.isfinite, validated)):
        yield "its losses are not finite"
    if len(step_losses) > state.steps or {*map(len, losses)} - {state.steps}:
        yield "its epochs have another number of steps"
    if saved["schedule"]["last_epoch"] != epoch * state.steps + len(step_losses):
        yield "its schedule is at another step"
    numbers = [
        *(*saved["epoch_seconds"], saved["seconds"], saved["validation_seconds"], saved["paused_seconds"]),
        *(accuracy for _, accuracy in saved["validations"]),
        *(share for share in saved["others_cpu_share"] if share is not None),
    ]
    if not all(type(each) is float and 0 <= each < math.inf for each in numbers):
        yield "its numbers are out of range"
    if type(saved["resumed"]) is not int or any(type(loss) is not float for loss in validated):
        yield "its numbers are of another kind"


def _differences(saved: Mapping[str, Any], now: Mapping[str, Any], state: State) -> Iterator[str]:
    """Yield in what a saved state has another form than that of the training as it is now."""
    moments = saved["optimizer"]["state"]
    weights = [saved["model"][name] for name, _ in state.model.named_parameters()]
    if saved["method"] != now["method"]:
        yield f"its steps were computed in another way: {saved['method']}"
    if (saved["device_generator"] is None) != (now["device_generator"] is None):
        yield "its device is of another kind"
    if not _is_like(saved["schedule"], now["schedule"]):
        yield "its schedule is another"
    groups = saved["optimizer"]["param_groups"]
    if not _is_like(groups, now["optimizer"]["param_groups"]):
        yield "its optimizer is another"
    elif not all(0 <= float(each) < 1 for group in groups for each in group.get("betas", ())):
        yield "its optimizer averages with weights outside 0 to 1"
    if not _fits(moments, state.optimizer, saved["schedule"]["last_epoch"]):
        yield "its optimizer has other weights"
    kinds = ((saved["model"][name], each) for name, each in now["model"].items() if isinstance(each, Tensor))
    if any(found.dtype != each.dtype for found, each in kinds):  # PyTorch would convert them
        yield "its weights are of another kind"
    if not all(bool(each.isfinite().all()) for each in weights):
        yield "its weights are not finite"
    if any(bool(each.isnan().any()) for kept in moments.values() for each in kept.values()):
        yield "its moments are not numbers"


def _is_like(found: object, expected: object, *, moves: bool = False) -> bool:
    """Return whether plain values have the same parts, and are equal but for the numbers that move."""
    if type(found) is not type(expected):
        return False
    if isinstance(found, dict) and isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            _is_like(found[key], expected[key], moves=moves or key in MOVING) for key in found
        )
    if isinstance(found, list | tuple) and isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(
            _is_like(one, other, moves=moves) for one, other in zip(found, expected, strict=True)
        )
    if isinstance(found, Tensor) and isinstance(expected, Tensor):  # a rate that an accelerator reads
        return (
            found.layout == expected.layout
            and found.shape == expected.shape
            and (bool(found.isfinite().all()) if moves else found.equal(expected.cpu()))
        )
    if moves and isinstance(found, int | float):
        return math.isfinite(found)
    return bool(found == expected)


def _fits(moments: Mapping[int, Mapping[str, Tensor]], optimizer: Optimizer, steps: int) -> bool:
    """Return whether what an optimizer keeps of its weights has their shapes, after so many steps."""
    weights = [each for group in optimizer.param_groups for each in group["params"]]
    wanted = SGDS if isinstance(optimizer, SGD) else ADAMS
    return all(
        kept.keys() == wanted
        and all(each.is_floating_point() for each in kept.values())
        and all(
            each.layout == torch.strided and each.shape == (() if name == "step" else weights[place].shape)
            for name, each in kept.items()
        )
        and ("step" not in kept or 1 <= float(kept["step"]) <= steps)
        for place, kept in moments.items()
    )
