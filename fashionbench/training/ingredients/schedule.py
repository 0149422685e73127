"""The schedule of the learning rate: PyTorch's own schedulers, stepped after every batch."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    SequentialLR,
    StepLR,
)

from fashionbench.recipe.fields import Hyperparameters

__all__ = ["make_schedule"]


def make_schedule(optimizer: Optimizer, how: Hyperparameters, steps: int) -> LRScheduler:
    """Return the schedule of a training; it counts steps, not epochs.

    Args:
        optimizer: Whose rate it changes. ``one-cycle`` also cycles the betas of Adam; SGD keeps its momentum.
        how: The recipe for this model.
        steps: Of an epoch.

    """
    total = how.epochs * steps
    if how.schedule == "one-cycle":
        rising = 0.3 if how.warmup_fraction is None else how.warmup_fraction
        if rising * total == 1:
            rising *= 1 + 1e-9  # PyTorch divides by the length of the first phase less one step
        return OneCycleLR(
            optimizer, how.learning_rate, total_steps=total, pct_start=rising, cycle_momentum=how.cycles_betas
        )
    warmup = round((how.warmup_fraction or 0) * total)
    first = [LinearLR(optimizer, 1 / warmup, total_iters=warmup)] if warmup else []
    match how.schedule:
        case "step":
            main: LRScheduler = StepLR(optimizer, how.step_epochs * steps, how.gamma)
        case "cosine":
            main = CosineAnnealingLR(optimizer, max(1, total - warmup))
        case "constant":
            main = ConstantLR(optimizer, factor=1.0)
    return SequentialLR(optimizer, [*first, main], [warmup]) if first else main
