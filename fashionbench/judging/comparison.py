"""Two runs compared: what became slower or less accurate, whether the verdict changed, and which settings differ."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from fashionbench import units
from fashionbench.catalogue import model_label
from fashionbench.errors import InputError
from fashionbench.judging.findings import Verdict
from fashionbench.judging.rule import Thresholds
from fashionbench.judging.statistics.gains import gain_interval, mean_score, true_classes
from fashionbench.judging.statistics.intervals import Estimate, Interval, correct_predictions
from fashionbench.judging.statistics.times import mean_minutes, others_share, training_slowdown
from fashionbench.judging.verdict import decide_by
from fashionbench.judging.wording import describe_others
from fashionbench.options.gate import Gate
from fashionbench.options.option import Score
from fashionbench.records.grouping import at_largest_budget, finished_trainings, machine, select
from fashionbench.records.record import DISTURBING_SHARE, InferenceRecord, TrainingRecord

__all__ = ["NOTHING", "Change", "Comparison", "compare", "failed_conditions", "gain_text", "ratio_text"]

Records = Sequence[TrainingRecord | InferenceRecord]

Key = tuple[str, str]
"""Model and device word."""

NOTHING: Final = "Nothing is comparable: the runs have no training of the same model, device and seed"

ACCURACY_SETTINGS: Final = ("recipe", "data")
"""If one of these settings differs, accuracies are not comparable."""

TIME_SETTINGS: Final = ("device", "CPU", "threads")
"""If one of these settings differs, times are not comparable, and the gate for time fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One model on one device, in the old and the new run."""

    model: str
    device: str
    seeds: tuple[int, ...]
    """Those that both runs have."""
    old_minutes: float
    """Geometric mean over these seeds, as in the new run."""
    new_minutes: float
    time: Interval | Estimate
    """New over old training time."""
    others_cpu_share: float | None
    """The largest fraction of the CPUs that other processes used during one training; None if it is not known."""
    old_accuracy: float
    new_accuracy: float
    accuracy: Interval | None
    """New minus old, a fraction; None if the recipe or the data differ."""
    unlike: tuple[tuple[str, str, str], ...]
    """Settings that differ: name, old value, new value."""

    def differs_in(self, settings: Sequence[str]) -> bool:
        """Say whether one of some settings differs."""
        return any(name in settings for name, _, _ in self.unlike)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything that changed between two runs."""

    changes: tuple[Change, ...]
    missing: tuple[str, ...]
    """A sentence for each model on a device that cannot be compared, because only one of the runs has it."""
    left_out: tuple[str, ...]
    """A sentence for each reason for which records of one of the runs do not count."""
    score_name: str
    """What readers call the score that is compared."""
    old_state: str
    """The verdict of the earlier run, with its two models if the later verdict is on others."""
    new_state: str

    @property
    def state(self) -> str:
        """The state of the later verdict alone."""
        return self.new_state.partition(" (")[0]


def compare(old: Records, new: Records, thresholds: Thresholds) -> Comparison:
    """Compare the trainings of two runs, by model and device, over the seeds that both have.

    Args:
        old: The records of the earlier run.
        new: The records of the later run.
        thresholds: The thresholds of both verdicts.

    Raises:
        InputError: One run has several recipes, or several machines of one device word.

    """
    selections = [select(each) for each in (old, new)]
    before, after = (_finished(at_largest_budget(each.records)) for each in selections)
    changes = []
    missing = [
        f"Only one of the runs has {model_label(model)} on {device}."
        for model, device in sorted(before.keys() ^ after.keys())
    ]
    for key in (each for each in before if each in after):
        seeds = tuple(sorted(before[key].keys() & after[key].keys()))
        if seeds:
            pair = [[side[key][seed] for seed in seeds] for side in (before, after)]
            changes.append(_compare_trainings(key, thresholds.score, *pair))
        else:
            missing.append(f"The runs have no common seed of {model_label(key[0])} on {key[1]}.")
    verdicts = [decide_by(each.records, thresholds) for each in selections]
    pairs = {(verdict.small, verdict.big) for verdict in verdicts if verdict}
    old_state, new_state = (_state(verdict, with_models=len(pairs) > 1) for verdict in verdicts)
    left_out = tuple(
        f"{which} run: {sentence}"
        for which, each in zip(("Earlier", "Later"), selections, strict=True)
        for sentence in each.left_out
    )
    return Comparison(
        changes=tuple(changes),
        missing=tuple(missing),
        left_out=left_out,
        score_name=thresholds.score_name,
        old_state=old_state,
        new_state=new_state,
    )


def _state(verdict: Verdict | None, *, with_models: bool) -> str:
    if verdict is None:
        return "NO VERDICT"
    models = f" ({model_label(verdict.big)} against {model_label(verdict.small)})" if with_models else ""
    return f"{verdict.state}{models}"


def _finished(records: Records) -> dict[Key, dict[int, TrainingRecord]]:
    """Return a run's selected trainings by seed."""
    found: dict[Key, dict[int, TrainingRecord]] = {}
    for each in finished_trainings(records):
        by_seed = found.setdefault((each.model, each.device), {})
        for other in by_seed.values():
            if machine(other) != machine(each):
                raise InputError(
                    f"two settings for {model_label(each.model)} on {each.device} in one run "
                    f"({other.recipe.name} on {other.device_name}, {each.recipe.name} on {each.device_name})",
                    expected="one recipe and one machine for each device in a run",
                    remedy="put the records of each into a folder of their own, and compare these folders",
                )
        by_seed[each.seed] = each
    return found


def _compare_trainings(
    key: Key, score: Score, before: Sequence[TrainingRecord], after: Sequence[TrainingRecord]
) -> Change:
    """Compare one model's trainings on one device, paired by seed."""
    old, new = ([each.result for each in side if each.result is not None] for side in (before, after))
    old_settings, new_settings = (_settings(side[0]) for side in (before, after))
    unlike = tuple(
        (name, value, new_settings[name]) for name, value in old_settings.items() if value != new_settings[name]
    )
    comparable = not any(name in ACCURACY_SETTINGS for name, _, _ in unlike)
    old_correct, new_correct = map(correct_predictions, (old, new))
    classes = true_classes(new, score)
    return Change(
        model=key[0],
        device=key[1],
        seeds=tuple(each.seed for each in before),
        old_minutes=mean_minutes(old),
        new_minutes=mean_minutes(new),
        time=training_slowdown(new, old),
        others_cpu_share=others_share([*old, *new]),
        old_accuracy=mean_score(old_correct, true_classes(old, score)),
        new_accuracy=mean_score(new_correct, classes),
        accuracy=gain_interval(new_correct, old_correct, classes=classes) if comparable else None,
        unlike=unlike,
    )


def _settings(record: TrainingRecord) -> dict[str, str]:
    """Return the settings that must be the same for two trainings to be comparable, and some that explain a change."""
    labels = record.result.test_labels.data if record.result else ""
    return {
        "torch": record.environment.versions.get("torch", units.MISSING),
        "device": record.device_name,
        "recipe": f"{record.recipe.name} ({_checksum(record.recipe.model_dump_json())})",
        "data": f"{record.data.name}, {record.data.release}, {units.count(record.data.train_images)} images to train "
        f"({_checksum(labels)})",
        "execution": f"{record.execution}, {record.precision}",
        "threads": units.count(record.environment.threads),
        "CPU": record.environment.cpu,
        "commit": (record.environment.commit or units.MISSING)[:12],
    }


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def failed_conditions(comparison: Comparison, gate: Gate) -> tuple[str, ...]:
    """Return a sentence for each change beyond its limit at 95 % confidence, or that is not comparable."""
    failed: list[str] = []
    of = "" if comparison.score_name == "accuracy" else f" of {comparison.score_name}"
    for each in comparison.changes:
        name = f"{model_label(each.model)} on {each.device}"
        if gate.slower is not None:
            failed.extend(name + found for found in _check_time(each, gate.slower))
        if gate.worse is not None and each.accuracy is None:
            failed.append(f"{name}: the accuracies are not comparable, because the recipe or the data differ")
        elif gate.worse is not None and each.accuracy is not None and each.accuracy.high < -gate.worse:
            limit = units.pp(gate.worse).removeprefix("+")
            failed.append(
                f"{name} is less accurate by more than {limit}{of}, at 95 % confidence: {gain_text(each.accuracy)}"
            )
    if gate.verdict and comparison.old_state != comparison.new_state:
        failed.append(f"The verdict changed from {comparison.old_state} to {comparison.new_state}")
    if not comparison.changes:
        failed.append(NOTHING)
    return tuple(failed)


def _check_time(change: Change, limit: float) -> Iterator[str]:
    """Yield, as the rest of a sentence, why training times are not comparable, or that they are too long."""
    if change.differs_in(TIME_SETTINGS):
        yield ": the times are not comparable, because the machines differ"
    elif change.others_cpu_share is not None and change.others_cpu_share > DISTURBING_SHARE:
        yield f": the times are not reliable, because {describe_others(change.others_cpu_share)} during a training"
    elif not isinstance(change.time, Interval):
        yield ": the times are not comparable, because there are too few seeds or epochs for an interval"
    elif change.time.low > 1 + limit:
        yield f" is slower by more than {units.percent(limit)}, at 95 % confidence: {ratio_text(change.time)}"


def ratio_text(measured: Interval | Estimate) -> str:
    """Return a ratio with its interval, if it has one: ``1.02 (0.98 to 1.06)``."""
    ratio = units.ratio(measured.estimate, 2)
    limits = units.interval_ratio(measured.low, measured.high, 2) if isinstance(measured, Interval) else "no interval"
    return units.with_interval(ratio, limits)


def gain_text(interval: Interval) -> str:
    """Return a difference in percentage points with its interval: ``+0.10 (-0.20 to +0.40)``."""
    return units.with_interval(units.pp(interval.estimate, 2), units.interval_pp(interval.low, interval.high, 2))
