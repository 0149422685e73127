"""The gain in balanced accuracy counts all classes alike, and so do its interval and everything that shows it."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from simulation import cover_balanced, simulate_unlike
from sklearn.metrics import balanced_accuracy_score
from synthetic import make_training

from fashionbench.catalogue import STUDY_MODELS
from fashionbench.judging.comparison import compare, failed_conditions
from fashionbench.judging.rule import DEFAULT_THRESHOLDS
from fashionbench.judging.statistics.gains import (
    accuracy_interval,
    detectable_gain,
    gain_interval,
    gain_probabilities,
    mean_score,
    probability_of_winning,
    seeds_needed,
    true_classes,
)
from fashionbench.judging.verdict import decide
from fashionbench.options.gate import Gate
from fashionbench.records.record import TrainingRecord

SIZES = [200, 60, 12]


def study(seeds: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]]:
    generator = np.random.default_rng(seeds)
    classes = np.repeat(np.arange(3), SIZES)
    big, small = (generator.random((seeds, len(classes))) < 0.9 - 0.2 * (classes == 2) for _ in range(2))
    return big, small, classes


def test_the_score_is_the_mean_recall_of_the_classes_as_scikit_learn_computes_it() -> None:
    big, small, classes = study(3)

    expected = [balanced_accuracy_score(classes, np.where(right, classes, (classes + 1) % 3)) for right in big]

    assert mean_score(big, classes) == pytest.approx(np.mean(expected))
    assert gain_interval(big, small, classes=classes).estimate == pytest.approx(
        mean_score(big, classes) - mean_score(small, classes)
    )


def test_the_interval_of_one_seed_is_that_of_a_stratified_sample() -> None:
    big, small, classes = study(1)
    parts = [(big[0] * 1.0 - small[0])[classes == each].var(ddof=1) / SIZES[each] / 9 for each in range(3)]
    freedom = sum(parts) ** 2 / sum(part**2 / (size - 1) for part, size in zip(parts, SIZES, strict=True))

    interval = gain_interval(big, small, classes=classes)

    half = stats.t.ppf(0.975, freedom) * np.sqrt(sum(parts))
    assert interval.high - interval.estimate == pytest.approx(half)
    assert "paired over 272 test images, stratified by class" in interval.method


def test_the_interval_of_several_seeds_counts_their_spread_and_the_chance_in_it_once() -> None:
    big, small, classes = study(4)
    seed_parts = [
        np.var([np.mean([row[classes == each].mean() for each in range(3)]) for row in side], ddof=1) / 4
        for side in (big, small)
    ]
    image_part = 0.0
    for each in range(3):
        one, other = big[:, classes == each], small[:, classes == each]
        chance = (one.var(axis=0, ddof=1).mean() + other.var(axis=0, ddof=1).mean()) / 4
        image_part += ((one.mean(axis=0) - other.mean(axis=0)).var(ddof=1) - chance) / SIZES[each] / 9

    interval = gain_interval(big, small, classes=classes)

    freedom = float(interval.method.rpartition(", ")[2].partition(" ")[0])
    half = stats.t.ppf(0.975, freedom) * np.sqrt(sum(seed_parts) + max(0.0, image_part))
    assert interval.high - interval.estimate == pytest.approx(half, rel=0.01)


def test_classes_of_one_size_have_the_gain_in_accuracy() -> None:
    big, small = (side[:, :180] for side in study(3)[:2])
    classes = np.arange(180) % 3

    balanced, plain = gain_interval(big, small, classes=classes), gain_interval(big, small)

    assert balanced.estimate == pytest.approx(plain.estimate)
    assert balanced.high == pytest.approx(plain.high, abs=0.005)


def test_one_image_of_the_smallest_class_is_what_equal_models_may_differ_by() -> None:
    big, _, classes = study(3)

    interval = gain_interval(big[:1], big[:1], classes=classes)

    assert interval.high == pytest.approx(stats.t.ppf(0.975, 11) / 12 / 3)
    assert gain_interval(big[:, :201], big[:, :201], classes=classes[:201]).high > 0.5  # a class with one image


def test_what_a_run_finds_and_how_many_seeds_it_needs_follow_from_this_interval() -> None:
    big, small, classes = study(3)
    found = gain_interval(big, small, classes=classes)
    half = found.high - found.estimate

    assert detectable_gain(big, small, classes=classes) > half
    assert seeds_needed(big, small, half * 0.9, classes=classes) in range(4, 20)
    assert seeds_needed(big[:1], small[:1], 1e-6, classes=classes) is None


def test_the_probabilities_are_those_of_its_distribution() -> None:
    big, small, classes = study(3)
    interval = gain_interval(big, small, classes=classes)

    found = gain_probabilities(big, small, interval.low, classes)

    assert found.at_least_margin == pytest.approx(0.975)
    assert probability_of_winning(big, small, classes) + probability_of_winning(small, big, classes) == pytest.approx(1)


def test_a_model_alone_has_its_balanced_accuracy_with_an_interval_of_the_same_kind() -> None:
    results = [each.result for seed in range(3) if (each := make_training(seed=seed)).result is not None]

    found = accuracy_interval(results, "balanced")
    one = accuracy_interval(results[:1], "balanced")

    assert found.estimate == pytest.approx(np.mean([each.scores.macro_recall for each in results]))
    assert one.estimate == pytest.approx(results[0].scores.macro_recall)
    assert "stratified by class" in one.method
    assert true_classes(results, "accuracy") is None


def unlike(gain: float = -0.01, seconds: float = 900.0) -> list[TrainingRecord]:
    return [
        make_training(model, seed=seed, accuracy=accuracy, train_seconds=time, is_unlike=True)
        for seed in range(3)
        for model, accuracy, time in (("fashioncnn", 0.91, 180.0), ("resnet18", 0.91 + gain, seconds))
    ]


def balanced(record: TrainingRecord) -> float:
    assert record.result is not None
    return record.result.scores.macro_recall


def test_a_verdict_compares_the_mean_recalls_and_says_so() -> None:
    records = unlike()

    verdict = decide(records, score="balanced")

    assert verdict is not None
    assert verdict.thresholds.score == "balanced"
    assert '"score":"balanced"' in verdict.model_dump_json()
    judged = verdict.devices[0]
    small, big = (np.mean([balanced(each) for each in records if each.model == name]) for name in STUDY_MODELS)
    assert (judged.small_accuracy, judged.big_accuracy) == pytest.approx((small, big))
    assert judged.gain.estimate == pytest.approx(big - small)
    assert [each.accuracy.estimate for each in verdict.models] == pytest.approx([small, big])
    assert all("stratified by class" in each.method for each in (judged.gain, verdict.models[0].accuracy))


@pytest.mark.parametrize(
    ("gain", "seconds", "words"),
    [
        (0.05, 900.0, "It is significantly more accurate than FashionCNN by balanced accuracy."),
        (-0.05, 900.0, "and is significantly less accurate by balanced accuracy (−"),
        (-0.05, 90.0, "the rule does not weigh lost balanced accuracy against time"),
        (0.05, 900.0, "its balanced accuracy gain lies above the default margin"),
    ],
)
def test_its_sentences_name_balanced_accuracy(gain: float, seconds: float, words: str) -> None:
    verdict = decide(unlike(gain, seconds), score="balanced")

    assert verdict is not None
    said = [verdict.sentence, verdict.where_only_accuracy_counts.sentence, *verdict.would_change]
    assert any(words in sentence for sentence in said), said


def test_two_runs_are_compared_by_balanced_accuracy_too() -> None:
    thresholds = DEFAULT_THRESHOLDS.model_copy(update={"score": "balanced"})
    before = [make_training(seed=seed, accuracy=0.95, is_unlike=True) for seed in range(3)]
    after = [make_training(seed=seed, accuracy=0.75, is_unlike=True) for seed in range(3)]

    found = compare(before, after, thresholds)

    (change,) = found.changes
    assert change.old_accuracy == pytest.approx(np.mean([balanced(each) for each in before]))
    assert change.new_accuracy == pytest.approx(np.mean([balanced(each) for each in after]))
    assert change.accuracy is not None
    assert change.accuracy.estimate == pytest.approx(change.new_accuracy - change.old_accuracy)
    (sentence,) = failed_conditions(found, Gate(worse=0.005))
    assert "is less accurate by more than 0.5\N{NO-BREAK SPACE}pp of balanced accuracy, at 95 % confidence" in sentence


@pytest.mark.parametrize("seeds", [3, 5])
def test_its_intervals_have_their_coverage(seeds: int) -> None:
    covered, _, _ = cover_balanced(np.random.default_rng(seeds), seeds, [400, 200, 80, 40, 16], 0.5, 250)

    assert 0.91 <= covered <= 0.99


def test_the_rare_class_counts_as_much_as_the_frequent_one() -> None:
    big, small, classes = simulate_unlike(np.random.default_rng(0), 3, [4_000, 2_000, 800, 400, 160], 2.0)

    assert gain_interval(big, small, classes=classes).estimate > 3 * gain_interval(big, small).estimate
