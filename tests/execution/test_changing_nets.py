"""A net that may do otherwise after some passes is trained as plain trains it, wherever it keeps count."""

import os
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import MethodType, ModuleType
from typing import ClassVar
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from fashionbench.execution.fast import find_objection, speed_up
from fashionbench.execution.step import make_optimizer, train_step
from fashionbench.models.analysis.dataflow import is_steady
from fashionbench.models.randomness import seeded_generators

SHAPE = (1, 8, 8)
LATE = 8
COUNT = [0]


class Late(nn.Module):
    """A net whose ``late`` maps are used once its count of passes is above ``LATE``."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.block = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.deep, self.drop, self.head = nn.Conv2d(16, 16, 3, 2, 1), nn.Dropout(0.0), nn.Linear(16, 10)
        self.layers: list[nn.Module] = [self.drop, self.head]
        self.seen = 0

    def count(self) -> int:
        self.seen += self.training
        return self.seen

    def late(self, maps: Tensor) -> Tensor:
        return maps * (1 + self.deep.weight.square().sum())

    def forward(self, images: Tensor) -> Tensor:
        maps = self.drop(self.deep(self.block(images)))
        logits: Tensor = self.head((self.late(maps) if self.count() > LATE else maps).mean((2, 3)))
        return logits


class Noisy(Late):
    """Draws for its maps, in the order of their axes in memory."""

    def late(self, maps: Tensor) -> Tensor:
        return maps + torch.randn_like(maps)


class Viewing(Late):
    """Takes a kernel as it lies in memory."""

    def late(self, maps: Tensor) -> Tensor:
        return maps + self.deep.weight.view(-1)[:16, None, None]


class Marking(Late):
    """Reads an attribute that it has given a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.head.scale = torch.tensor(3.0)

    def late(self, maps: Tensor) -> Tensor:
        return maps * getattr(self.head, "scale", 1.0)


class Referring(Late):
    """Changes a layer that it also refers to elsewhere than among its modules."""

    def late(self, maps: Tensor) -> Tensor:
        self.layers[0].p = 0.5  # type: ignore[assignment] # of a dropout
        return maps


class Replacing(Late):
    """Gives a layer another ``forward``, which keeps count by itself."""

    def __init__(self) -> None:
        super().__init__()
        vars(self.head)["seen"] = 0
        self.head.forward = MethodType(self.scale_later, self.head)  # type: ignore[method-assign] # as some do

    @staticmethod
    def scale_later(layer: nn.Linear, rows: Tensor) -> Tensor:
        vars(layer)["seen"] += layer.training
        return functional.linear(rows, layer.weight, layer.bias) * (2 if vars(layer)["seen"] > LATE else 1)

    def count(self) -> int:
        return 0


class GlobalCount(Late):
    """Keeps count in a global variable."""

    def __init__(self) -> None:
        super().__init__()
        COUNT[0] = 0

    def count(self) -> int:
        COUNT[0] += self.training
        return COUNT[0]


class ClassCount(Late):
    """Keeps count in its class."""

    passes: ClassVar = 0

    def __init__(self) -> None:
        super().__init__()
        ClassCount.passes = 0

    def count(self) -> int:
        ClassCount.passes += self.training
        return ClassCount.passes


def close_over_a_count() -> Late:
    passes = 0

    class Closing(Late):
        def count(self) -> int:
            nonlocal passes
            passes += self.training
            return passes

    return Closing()


class Slotted(Late):
    """Keeps count in a slot."""

    __slots__ = ("passes",)
    passes: int

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "passes", 0)

    def count(self) -> int:
        object.__setattr__(self, "passes", self.passes + self.training)
        return self.passes


class AttributeCount(Late):
    """Keeps count in an attribute of a function."""

    def __init__(self) -> None:
        super().__init__()
        vars(tick)["passes"] = 0

    def count(self) -> int:
        vars(tick)["passes"] += self.training
        return int(vars(tick)["passes"])


class EnvironmentCount(Late):
    """Keeps count in the environment."""

    def __init__(self) -> None:
        super().__init__()
        os.environ["PASSES"] = "0"

    def count(self) -> int:
        os.environ["PASSES"] = str(int(os.environ["PASSES"]) + self.training)
        return int(os.environ["PASSES"])


class GradientCount(Noisy):
    """Counts only where there will be gradients."""

    def count(self) -> int:
        self.seen += self.training and torch.is_grad_enabled()
        return self.seen


class BackwardCount(Late):
    """Counts backward passes."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        if getattr(logits, "requires_grad", False) is True:
            logits.register_hook(self.note)
        return logits

    def note(self, _: Tensor) -> None:
        self.seen += 1

    def count(self) -> int:
        return self.seen


class ClassAsking(Late):
    """Weighs its layers of one exact class."""

    def late(self, maps: Tensor) -> Tensor:
        return maps * sum(each.weight.square().sum() for each in self.modules() if type(each) is nn.Linear)


class SizeAsking(Noisy):
    """Adds noise to large batches."""

    def late(self, maps: Tensor) -> Tensor:
        return super().late(maps) if maps.shape[0] > LATE else maps

    def count(self) -> int:
        return LATE + 1


class DataCount(Late):
    """Keeps count in a buffer, behind torch's back."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("passes", torch.zeros(1))

    def count(self) -> int:
        self.get_buffer("passes").data += self.training
        return int(self.get_buffer("passes"))


class NormCount(Late):
    """Has its norm keep count."""

    def count(self) -> int:
        return int(self.block[1].get_buffer("num_batches_tracked"))


class WeightWatch(Late):
    """Waits until its weights have moved."""

    def __init__(self) -> None:
        super().__init__()
        self.first = self.head.bias.detach().clone()

    def count(self) -> int:
        return round(float((self.state_dict()["head.bias"] - self.first).abs().max()) * 1000)


def tick() -> Iterator[int]:
    passes = 0
    while True:
        yield passes
        passes += 1


class Tracker:
    """Counts behind a lock, which cannot be pickled."""

    def __init__(self) -> None:
        self.lock, self.passes = threading.Lock(), 0

    def step(self) -> int:
        with self.lock:
            self.passes += 1
        return self.passes


class Callback:
    """Counts in a global variable that only its own code names."""

    def __call__(self) -> int:
        PASSES.append(None)
        return len(PASSES)


TICKS, TRACKER, LOCAL = {"now": tick()}, Tracker(), threading.local()
PASSES: list[None] = []
CONFIG, CALLBACK, STEP = ModuleType("own"), Callback(), ContextVar("step", default=0)


class GeneratorCount(Late):
    """Keeps count in a generator."""

    def __init__(self) -> None:
        super().__init__()
        TICKS["now"] = tick()

    def count(self) -> int:
        return next(TICKS["now"])


class LockedCount(Late):
    """Keeps count in an object with a lock."""

    def __init__(self) -> None:
        super().__init__()
        TRACKER.passes = 0

    def count(self) -> int:
        return TRACKER.step()


class ThreadCount(Late):
    """Keeps count for its thread."""

    def __init__(self) -> None:
        super().__init__()
        LOCAL.passes = 0

    def count(self) -> int:
        LOCAL.passes += self.training
        return int(LOCAL.passes)


class ContextCount(Late):
    """Keeps count for its context."""

    def __init__(self) -> None:
        super().__init__()
        STEP.set(0)

    def count(self) -> int:
        STEP.set(STEP.get() + self.training)
        return STEP.get()


class ModuleCount(Late):
    """Keeps count in another module of the user's."""

    def __init__(self) -> None:
        super().__init__()
        CONFIG.__dict__["passes"] = 0

    def count(self) -> int:
        CONFIG.passes += self.training  # type: ignore[attr-defined] # set above
        return int(CONFIG.passes)


class CallbackCount(Late):
    """Calls what keeps count, from within a comprehension."""

    def __init__(self) -> None:
        super().__init__()
        PASSES.clear()

    def count(self) -> int:
        return max(CALLBACK() for _ in range(1))


KINDS = [
    *(Late, Noisy, Viewing, Marking, Referring, Replacing, GlobalCount, ClassCount, close_over_a_count, Slotted),
    *(
        DataCount,
        NormCount,
        WeightWatch,
        GeneratorCount,
        LockedCount,
        ThreadCount,
        ContextCount,
        ModuleCount,
        CallbackCount,
    ),
    *(AttributeCount, EnvironmentCount, GradientCount, BackwardCount, ClassAsking),
]


@pytest.mark.parametrize("build", [*KINDS, SizeAsking], ids=lambda build: build.__name__)
@patch.dict(os.environ)
def test_a_net_that_counts_its_passes_trains_as_plain_trains_it(build: Callable[[], Late]) -> None:
    suits = not find_objection(build(), SHAPE)
    generator = torch.Generator().manual_seed(1)
    batches = torch.rand(2 * LATE, 10, *SHAPE, generator=generator)
    losses = []

    for fast in (False, True):
        built = build()
        model = speed_up(built, SHAPE, suits=suits) if fast else built
        optimizer = make_optimizer(model, 1e-3, "fast" if fast else "plain")
        for step, images in enumerate(batches):
            with seeded_generators(step):
                losses.append(train_step(model.train(), optimizer, images, torch.arange(10)))

    plain, found = torch.stack(losses).chunk(2)
    assert torch.allclose(plain, found, rtol=1e-3)


@pytest.mark.parametrize("build", KINDS, ids=lambda build: build.__name__)
@patch.dict(os.environ)
def test_a_count_is_found_wherever_it_is_kept(build: Callable[[], Late]) -> None:
    assert not is_steady(build(), SHAPE)


def test_norms_that_keep_their_statistics_are_steady() -> None:
    assert is_steady(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout()), SHAPE)
    assert not is_steady(nn.Sequential(nn.Linear(3, 3)), SHAPE)  # takes no such images
