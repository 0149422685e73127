"""A training's whole state, saved so that a killed training resumes to the same bits."""

import hashlib
import io
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from pickle import PickleError
from typing import Final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fashionbench.devices.runtime import random_state, set_random_state, synchronize
from fashionbench.errors import describe_error
from fashionbench.models.randomness import load_generators, save_generators
from fashionbench.opening import read_regular
from fashionbench.records.files import write_atomically
from fashionbench.records.record import StepMethod

__all__ = ["SECONDS_BETWEEN_CHECKPOINTS", "Checkpoints", "State", "Stopped", "keep_checkpoint", "remove_checkpoints"]

SECONDS_BETWEEN_CHECKPOINTS: Final = 60.0

MOST_BYTES: Final = 2**36
"""Of a checkpoint: weights and moments of over five billion parameters."""

_DIGEST_BYTES: Final = hashlib.sha256().digest_size

_UNUSABLE: Final = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, PickleError, RuntimeError),
    *(TypeError, ValueError),
)
"""What PyTorch raises for a checkpoint of another kind of training, whose digest may be right."""


class Stopped(BaseException):
    """The training was asked to stop, and its state is saved. Like an interrupt, it is no error."""


@dataclass(slots=True, kw_only=True, eq=False)
class State:
    """All that decides how a training continues, and what it has produced so far."""

    model: nn.Module
    optimizer: Optimizer
    schedule: LRScheduler
    generator: torch.Generator
    """Decides the order of images."""
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
        device = next(self.model.parameters()).device
        content = {
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
        stream = io.BytesIO()
        torch.save(content, stream)
        return stream.getvalue()

    def load(self, content: bytes) -> None:
        """Take over a state; nothing but tensors and plain values is unpickled.

        Raises:
            Exception: The content is not what ``dump`` gave, for a training of this kind.

        """
        device = next(self.model.parameters()).device
        saved = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        epochs = [len(saved[name]) for name in ("losses", "epoch_seconds", "validations", "others_cpu_share")]
        if {saved["epoch"]} != {*epochs}:
            raise ValueError("its epochs do not fit together")
        if saved["method"] != self.method:
            raise ValueError(f"its steps were computed in another way: {saved['method']}")
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


class Checkpoints:
    """The checkpoints of one case: the newest and the one before, each behind its SHA-256.

    Args:
        path: The newest; the one before has the suffix ``.before``.
        stop: Says whether the training is to be saved and stopped at once.
        seconds_between: How often to save.
        warn: Called with one line when a checkpoint cannot be written or read; the training continues.

    """

    def __init__(
        self,
        path: Path,
        *,
        stop: Callable[[], bool],
        seconds_between: float = SECONDS_BETWEEN_CHECKPOINTS,
        warn: Callable[[str], None],
    ) -> None:
        self._path = path
        self._stop, self._seconds_between, self._warn = stop, seconds_between, warn
        self._saved = time.perf_counter()

    def due(self) -> bool:
        """Return whether to save now."""
        return self._stop() or time.perf_counter() - self._saved >= self._seconds_between

    def save(self, state: State) -> None:
        """Save, keeping the checkpoint before.

        Raises:
            Stopped: That was wished for.

        """
        content = state.dump()
        keep_checkpoint(self._path, hashlib.sha256(content).digest() + content, self._warn)
        self._saved = time.perf_counter()
        if self._stop():
            raise Stopped

    def restore(self, state: State) -> bool:
        """Restore a state from the newest checkpoint that can be used; return False where there is none."""
        clean: bytes | None = None
        for path in _generations(self._path):
            try:
                content = read_regular(path, MOST_BYTES)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._warn(f"A checkpoint cannot be read ({error.strerror}) and is passed over")
                continue
            if hashlib.sha256(content[_DIGEST_BYTES:]).digest() != content[:_DIGEST_BYTES]:
                self._warn("A checkpoint is damaged (its SHA-256 differs) and is passed over")
                continue
            clean = clean or state.dump()  # one that fits in part must leave nothing behind
            try:
                state.load(content[_DIGEST_BYTES:])
            except _UNUSABLE as error:
                self._warn(f"A checkpoint cannot be used ({describe_error(error)}) and is passed over")
                continue
            return True
        if clean is not None:
            state.load(clean)
            state.resumed = 0
        return False


def keep_checkpoint(path: Path, content: bytes, warn: Callable[[str], None]) -> None:
    """Write a checkpoint's file, keeping the one before; ``warn`` is called where that fails."""
    newest, before = _generations(path)
    try:
        if newest.exists():
            newest.replace(before)
        write_atomically(newest, content)
    except OSError as error:
        warn(f"A checkpoint could not be written ({error.strerror}); the training continues without it")


def remove_checkpoints(path: Path) -> None:
    """Remove a case's checkpoints, and their folder with the last of them."""
    for each in _generations(path):
        each.unlink(missing_ok=True)
    with suppress(OSError):  # others are in it, or it is not there
        path.parent.rmdir()


def _generations(path: Path) -> tuple[Path, Path]:
    return path, path.with_name(f"{path.name}.before")
