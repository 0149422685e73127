"""The modes in which a network runs. Its code can ask which one it is in, and do otherwise in another."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

import torch

__all__ = ["MODES", "SCORING", "TIMING", "TRAINING", "Mode"]

ACCELERATORS: Final = ("cuda", "mps", "xpu")
"""Code that will run there asks for their autocast, although it is analysed on the CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """What a network is told of a pass."""

    training: bool
    gradients: Callable[[], AbstractContextManager[object]]
    autocast: bool = False
    """Whether it is told that bfloat16 is used; on an accelerator it is told only, for nothing is computed there."""

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be in this mode, but for the network's own flag."""
        with ExitStack() as stack:
            stack.enter_context(self.gradients())
            if self.autocast:
                stack.enter_context(torch.autocast("cpu", torch.bfloat16))
                here = torch.accelerator.current_accelerator()
                for each in {*ACCELERATORS, *([] if here is None else [here.type])}:
                    stack.callback(torch.set_autocast_enabled, each, torch.is_autocast_enabled(each))
                    torch.set_autocast_enabled(each, enabled=True)
            yield


TRAINING: Final = Mode(training=True, gradients=torch.enable_grad)
SCORING: Final = Mode(training=False, gradients=torch.no_grad)
"""As ``training/scoring.py`` does."""
TIMING: Final = Mode(training=False, gradients=torch.inference_mode)
"""As ``training/inference.py`` does."""
MODES: Final = (
    *(TRAINING, Mode(training=True, gradients=torch.enable_grad, autocast=True)),
    *(SCORING, TIMING, Mode(training=False, gradients=torch.inference_mode, autocast=True)),
)
