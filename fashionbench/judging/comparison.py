"""Two runs compared: what became slower or less accurate, whether the verdict changed, what was measured unlike."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fashionbench import units
from fashionbench.catalogue import model_label
from fashionbench.errors import InputError
from fashionbench.judging.intervals import Interval, gain_interval, slowdown_interval
from fashionbench.judging.rule import Thresholds
from fashionbench.judging.verdict import decide_by
from fashionbench.records.grouping import in_order, machine
from fashionbench.records.record import InferenceRecord, TrainingRecord, TrainingResult

__all__ = ["Change", "Comparison", "Gate", "compare", "gain_text", "parse_gate", "ratio_text"]

Records = Sequence[TrainingRecord | InferenceRecord]

Key = tuple[str, str]
"""Model and the device's word."""

FORBIDS_ACCURACY: Final = ("recipe", "data")
"""Where these differ, accuracies are not set against each other."""

FORBIDS_TIME: Final = ("device", "CPU", "threads")
"""Where these differ, no gate says that a training became slower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One model on one device, then and now."""

    model: str
    device: str
    seeds: tuple[int, ...]
    """Those of both runs."""
    old_minutes: float
    """Geometric mean over these seeds."""
    new_minutes: float
    time: Interval
    """New over old training time."""
    old_accuracy: float
    new_accuracy: float
    accuracy: Interval | None
    """New minus old, a fraction; None where the recipe or the data differ."""
    unlike: tuple[tuple[str, str, str], ...]
    """What was, was then, is now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All that changed."""

    changes: tuple[Change, ...]
    missing: tuple[str, ...]
    """What only one of the runs has."""
    old_state: str
    new_state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What is not to happen; fractions."""

    slower: float | None = None
    worse: float | None = None
    verdict: bool = False

    def broken_by(self, comparison: Comparison) -> tuple[str, ...]:
        """Return a sentence for each thing that surely happened, or that cannot be judged."""
        found = []
        for each in comparison.changes:
            name = f"{model_label(each.model)} on {each.device}"
            if self.slower is not None and any(what in FORBIDS_TIME for what, _, _ in each.unlike):
                found.append(f"{name}: time cannot be judged, the machines differ")
            elif self.slower is not None and each.time.low > 1 + self.slower:
                found.append(
                    f"{name} is surely slower by more than {units.percent(self.slower)}: {ratio_text(each.time)}"
                )
            if self.worse is not None and each.accuracy is None:
                found.append(f"{name}: accuracy cannot be judged, the recipe or the data differ")
            elif self.worse is not None and each.accuracy is not None and each.accuracy.high < -self.worse:
                found.append(f"{name} is surely worse by more than {units.pp(self.worse)}: {gain_text(each.accuracy)}")
        if self.verdict and comparison.old_state != comparison.new_state:
            found.append(f"the verdict changed from {comparison.old_state} to {comparison.new_state}")
        if not comparison.changes:
            found.append("nothing can be judged: the runs have no training of the same model, device and seed")
        return tuple(found)


def parse_gate(text: str) -> Gate:
    """Read ``slower=10%``, ``worse=0.5pp`` and ``verdict``, of which any may be joined by commas or bars.

    Raises:
        InputError: Anything else.

    """
    found: dict[str, float | bool] = {}
    for part in re.split(r"[,|]", text):
        if part.strip() == "verdict":
            found["verdict"] = True
        elif match := re.fullmatch(r"(slower)=(\d+(?:\.\d+)?)%|(worse)=(\d+(?:\.\d+)?)pp", part.strip()):
            found[match[1] or match[3]] = float(match[2] or match[4]) / 100
        else:
            raise InputError(
                f"--fail-if {part.strip()[:60]!r}",
                expected="slower=10%, worse=0.5pp or verdict, joined by commas",
                remedy="mend the value of --fail-if",
            )
    return Gate(**found)  # type: ignore[arg-type]  # each value's type follows from its name above


def compare(old: Records, new: Records, thresholds: Thresholds) -> Comparison:
    """Set the trainings of two runs against each other, by model and device, at the seeds that both have.

    Args:
        old: The records of the run before.
        new: Those of the run now.
        thresholds: Of both verdicts.

    Raises:
        InputError: A run has several recipes, or several kinds of a device.

    """
    then, now = _finished(old), _finished(new)
    changes = []
    missing = [f"{model_label(model)} on {device}" for model, device in sorted(then.keys() ^ now.keys())]
    for key in (each for each in then if each in now):
        seeds = tuple(sorted(then[key].keys() & now[key].keys()))
        if seeds:
            changes.append(_change(key, seeds, then[key], now[key]))
        else:
            missing.append(f"a common seed of {model_label(key[0])} on {key[1]}")
    verdicts = [decide_by(each, thresholds) for each in (old, new)]
    old_state, new_state = (verdict.state if verdict else "NO VERDICT" for verdict in verdicts)
    return Comparison(changes=tuple(changes), missing=tuple(missing), old_state=old_state, new_state=new_state)


def _finished(records: Records) -> dict[Key, dict[int, TrainingRecord]]:
    """Return a run's finished trainings by seed, the newest where one was measured again."""
    found: dict[Key, dict[int, TrainingRecord]] = {}
    for each in in_order(records):
        if isinstance(each, TrainingRecord) and each.result is not None:
            others = found.setdefault((each.model, each.device), {})
            for other in others.values():
                if machine(other) != machine(each):
                    raise InputError(
                        f"{each.model} on {each.device} in more than one way in one run "
                        f"({other.recipe.name} on {other.device_name}, {each.recipe.name} on {each.device_name})",
                        expected="one recipe and one kind of each device in a run",
                        remedy="compare them one by one",
                    )
            others[each.seed] = each
    return found


def _change(
    key: Key, seeds: tuple[int, ...], then: dict[int, TrainingRecord], now: dict[int, TrainingRecord]
) -> Change:
    before, after = ([side[seed].result for seed in seeds] for side in (then, now))
    old, new = ([result for result in side if result is not None] for side in (before, after))
    facts = [_facts(side[seeds[0]]) for side in (then, now)]
    unlike = tuple((name, facts[0][name], facts[1][name]) for name in facts[0] if facts[0][name] != facts[1][name])
    alike = not any(name in FORBIDS_ACCURACY for name, _, _ in unlike)
    old_minutes, new_minutes = (
        float(np.exp(np.mean([np.log(each.train_seconds / 60) for each in side]))) for side in (old, new)
    )
    return Change(
        model=key[0],
        device=key[1],
        seeds=seeds,
        old_minutes=old_minutes,
        new_minutes=new_minutes,
        time=slowdown_interval(
            [each.train_seconds for each in new],
            [each.train_seconds for each in old],
            [second for each in new for second in each.epoch_seconds],
            [second for each in old for second in each.epoch_seconds],
        ),
        old_accuracy=float(np.mean([each.scores.accuracy for each in old])),
        new_accuracy=float(np.mean([each.scores.accuracy for each in new])),
        accuracy=gain_interval(_correct(new), _correct(old)) if alike else None,
        unlike=unlike,
    )


def _correct(results: Sequence[TrainingResult]) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.stack([np.asarray(each.test_predictions.array() == each.test_labels.array()) for each in results])


def _facts(record: TrainingRecord) -> dict[str, str]:
    """Return what decides whether two trainings are alike."""
    labels = record.result.test_labels.data if record.result else ""
    return {
        "torch": record.environment.versions.get("torch", units.MISSING),
        "device": record.device_name,
        "recipe": f"{record.recipe.name} ({_mark(record.recipe.model_dump_json())})",
        "data": f"{record.data.name}, {record.data.release} ({_mark(labels)})",
        "execution": f"{record.execution}, {record.precision}",
        "threads": units.count(record.environment.threads),
        "CPU": record.environment.cpu,
        "commit": (record.environment.commit or units.MISSING)[:12],
    }


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def ratio_text(interval: Interval) -> str:
    """Return a ratio with its interval: ``1.02 (0.98 to 1.06)``."""
    return units.with_interval(units.ratio(interval.estimate, 2), units.interval_ratio(interval.low, interval.high, 2))


def gain_text(interval: Interval) -> str:
    """Return a difference in percentage points with its interval: ``+0.10 (-0.20 to +0.40)``."""
    return units.with_interval(units.pp(interval.estimate, 2), units.interval_pp(interval.low, interval.high, 2))
