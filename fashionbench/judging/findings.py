"""The values that a verdict consists of; ``verdict.json`` contains them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from fashionbench.judging.budgets import BudgetVerdict
from fashionbench.judging.rule import RULE_VERSION, Evidence, OpenPart, State, Thresholds, weigh, weigh_at_budget
from fashionbench.judging.statistics.differences import PairedOutcomes
from fashionbench.judging.statistics.intervals import CONFIDENCE, Estimate, GainProbabilities, Interval
from fashionbench.judging.statistics.targets import TimeToTarget

__all__ = ["Claim", "DeviceVerdict", "ModelResult", "Outcome", "Recommendation", "Verdict"]

Outcome = Literal["reproduced", "not reproduced", "cannot tell"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Claim(_Frozen):
    """One claim of the study, and whether the measurement reproduces it."""

    statement: str
    outcome: Outcome
    evidence: str


class Recommendation(_Frozen):
    """Which model to choose; None: no clear winner."""

    model: str | None
    sentence: str


class DeviceVerdict(_Frozen):
    """The verdict on one device."""

    device: str
    """The label that distinguishes it from the other devices."""
    device_word: str
    """As in ``--devices``: cpu, cuda, cuda:1, mps, xpu."""
    device_name: str
    budget_minutes: float | None = None
    """The minutes that both models were given; their times do not count then. None: they had no budget."""
    seeds: tuple[int, ...]
    """Those with which both models finished."""
    test_images: int
    looks: tuple[int, ...] = ()
    """Numbers of seeds at which an interim analysis was planned; empty if the number of seeds was fixed."""
    confidence: float = CONFIDENCE
    """Confidence of gain and slowdown in this analysis alone; ``thresholds`` has that of all planned analyses."""
    small_minutes: float
    """Geometric mean over the seeds."""
    big_minutes: float
    small_accuracy: float
    """Mean over the seeds, a fraction."""
    big_accuracy: float
    gain: Interval
    """Big minus small accuracy, a fraction."""
    slowdown: Interval | Estimate
    """Big over small training time."""
    extra_minutes: Interval | Estimate
    """Big minus small training time."""
    others_cpu_share: float | None
    """The largest fraction of the CPUs that other processes used during one training; None if it is not known."""
    times_are_reliable: bool
    """Whether that fraction is so small that the verdict may depend on the training times."""
    probabilities: GainProbabilities
    """Of the true gain, by the margin, from the distribution of the gain's interval."""
    probability_of_winning: float
    """That one more training of the big model scores higher on these test images than one of the small."""
    detectable_gain: float
    """The true gain that such a run finds to be above zero in four of five cases, a fraction."""
    outcomes: PairedOutcomes
    mcnemar_p: tuple[float, ...]
    """McNemar's exact test for each seed."""
    price_limit: float | None
    """The acceptable price of a percentage point on this device, in minutes of training; None: no limit."""
    price_minutes_per_pp: Interval | None
    """Extra minutes of training per percentage point gained; None unless the gain is significantly above zero, and the
    big model takes more time, which is known."""
    state: State
    open: tuple[OpenPart, ...]
    """What must be known better for a CANNOT TELL to be decided."""
    provisional: bool
    """One seed only."""
    seeds_needed: int | None
    """How many seeds would decide a CANNOT TELL; None if the gain is not what is open, or if no number would."""
    sentence: str

    def evidence(self) -> Evidence:
        """Return what the rule judges."""
        seeds = len(self.seeds)
        if self.budget_minutes is not None:
            return weigh_at_budget(self.gain, seeds)
        return weigh(self.gain, self.slowdown, self.extra_minutes, seeds, is_reliable=self.times_are_reliable)


class ModelResult(_Frozen):
    """What one model reached on one device, over all its seeds."""

    device: str
    """The label of the device, as in ``DeviceVerdict``."""
    model: str
    seeds: tuple[int, ...]
    minutes: float
    """Geometric mean over the seeds."""
    accuracy: Interval
    """Mean over the seeds, a fraction."""
    macro_f1: float
    """Mean over the seeds, a fraction."""
    parameters: int | None
    reachable_parameters: int | None
    """Parameters that are multiplied with data."""
    training_flops: int | None
    """Floating-point operations for one image, forward and backward."""
    peak_host_bytes: int
    """The largest over the seeds."""
    peak_device_bytes: int | None
    """The same for memory on the accelerator; None on cpu."""


class Verdict(_Frozen):
    """The answer over all devices; ``verdict.json`` contains it."""

    rule_version: int = RULE_VERSION
    small: str
    big: str
    is_result: bool
    """False for a recipe that only checks an installation."""
    thresholds: Thresholds
    devices: tuple[DeviceVerdict, ...]
    state: State
    provisional: bool
    agreement: str
    """Whether the verdict is the same on every device."""
    sentence: str
    where_cost_matters: Recommendation
    where_only_accuracy_counts: Recommendation
    would_change: tuple[str, ...]
    models: tuple[ModelResult, ...] = ()
    """Every model on every device, the one with fewest parameters first."""
    targets: tuple[TimeToTarget, ...] = ()
    """The time to the target of both models on every device."""
    budgets: tuple[BudgetVerdict, ...] = ()
    """Both models at every budget, of a run with budgets; the rest of the verdict is of the largest."""
    claims: tuple[Claim, ...] = ()
    """The study's claims; empty for other models or data."""
