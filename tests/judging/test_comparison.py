"""Changes between two runs have confidence intervals. Runs with different settings are never compared silently."""

from collections.abc import Sequence

import pytest
from synthetic import make_inference, make_study, make_training

from fashionbench import units
from fashionbench.errors import InputError
from fashionbench.judging.comparison import Comparison, compare, failed_conditions
from fashionbench.judging.rule import DEFAULT_THRESHOLDS
from fashionbench.options.gate import Gate
from fashionbench.recipe.fields import RECIPES, Recipe
from fashionbench.records.record import InferenceRecord, TrainingRecord
from fashionbench.report.comparison import compare_view
from fashionbench.report.render import render_html

Records = Sequence[TrainingRecord | InferenceRecord]
SLOWER = 1.3


def compared(old: Records, new: Records) -> Comparison:
    return compare(old, new, DEFAULT_THRESHOLDS)


def runs_of(
    seconds: float, *, accuracy: float = 0.91, seeds: int = 3, recipe: Recipe = RECIPES["study"]
) -> list[TrainingRecord]:
    return [
        make_training(seed=seed, accuracy=accuracy, train_seconds=seconds * (1 + 0.01 * (seed % 2)), recipe=recipe)
        for seed in range(seeds)
    ]


def test_a_run_against_itself_has_not_changed() -> None:
    found = compared(make_study(3), make_study(3))

    assert found.old_state == found.new_state
    assert [change.time.estimate for change in found.changes] == [1.0, 1.0]
    assert all(change.accuracy is not None and change.accuracy.estimate == 0 for change in found.changes)
    assert all(change.unlike == () for change in found.changes)
    assert failed_conditions(found, Gate(slower=0.0, worse=0.0, verdict=True)) == ()


def test_a_slower_run_breaks_the_gate_only_if_the_whole_interval_is_beyond_the_limit() -> None:
    found = compared(runs_of(100), runs_of(100 * SLOWER))

    (change,) = found.changes
    assert change.time.estimate == pytest.approx(SLOWER)
    assert change.new_minutes == pytest.approx(change.old_minutes * SLOWER)
    (sentence,) = failed_conditions(found, Gate(slower=0.1))
    assert sentence.startswith(
        "FashionCNN on cpu is slower by more than 10.0\N{NO-BREAK SPACE}%, at 95 % confidence: 1.30 (1.30"
    )
    assert failed_conditions(found, Gate(slower=0.3)) == ()


def test_the_changes_follow_from_the_numbers_as_they_are_shown() -> None:
    time, accuracy = compare_view(compared(make_study(3), make_study(3, gain=0.01, spread=0.001)), ()).summary

    for _, _, _, before, now, change in (tuple(cell.text for cell in row) for row in accuracy.rows):
        assert change.startswith(units.signed(round(float(now) - float(before), 9), 2))
    for _, _, _, before, now, change in (tuple(cell.text for cell in row) for row in time.rows):
        assert change.startswith(units.fixed(round(float(now) / float(before), 9), 2))


def test_failed_conditions_are_announced_apart_from_the_verdict() -> None:
    view = compare_view(compared(make_study(3), make_study(3, gain=0.02)), ("slower", "worse"))

    assert (view.banner, view.card.state, view.card.tone) == ("2 failed conditions", "WORTH IT", "yes")


def test_a_worse_run_breaks_the_gate() -> None:
    found = compared(runs_of(100, accuracy=0.92), runs_of(100, accuracy=0.90))

    (sentence,) = failed_conditions(found, Gate(worse=0.005))
    assert "is less accurate by more than 0.5\N{NO-BREAK SPACE}pp, at 95 % confidence: −2.00 (" in sentence
    assert failed_conditions(found, Gate(worse=0.05)) == ()


def test_another_verdict_breaks_the_gate() -> None:
    found = compared(make_study(3, gain=0.015), make_study(3, gain=-0.01))

    assert failed_conditions(found, Gate(verdict=True)) == ("The verdict changed from WORTH IT to NOT WORTH IT",)


def test_accuracies_of_different_recipes_are_not_compared() -> None:
    other = Recipe(name="study", epochs=10, learning_rate=0.01)

    found = compared(runs_of(100), runs_of(100, recipe=other))

    (change,) = found.changes
    assert change.accuracy is None
    assert [name for name, _, _ in change.unlike] == ["recipe"]
    assert failed_conditions(found, Gate(worse=0.5)) == (
        "FashionCNN on cpu: the accuracies are not comparable, because the recipe or the data differ",
    )


def test_runs_with_different_versions_are_compared_and_the_versions_listed() -> None:
    new = [
        each.model_copy(
            update={"environment": each.environment.model_copy(update={"versions": {"torch": "3.0"}, "threads": 8})}
        )
        for each in runs_of(100)
    ]

    found = compared(runs_of(100), new)
    (change,) = found.changes

    assert change.unlike == (("torch", "2.14.1", "3.0"), ("threads", "2", "8"))
    assert change.accuracy is not None
    assert failed_conditions(found, Gate(slower=0.1)) == (
        "FashionCNN on cpu: the times are not comparable, because the machines differ",
    )


def test_a_run_of_several_recipes_is_not_compared_as_one() -> None:
    mixed = [*runs_of(100), *runs_of(50, recipe=Recipe(name="swift"))]

    with pytest.raises(InputError, match=r"Two settings for FashionCNN on cpu in one run \(study on .*, swift on"):
        compared(runs_of(100), mixed)


def test_the_newest_record_of_a_repeated_training_counts() -> None:
    again = [each.model_copy(update={"measured_at": "2999-01-01T00:00:00Z"}) for each in runs_of(50)]

    (change,) = compared(runs_of(100), [*again, *runs_of(100)]).changes

    assert change.time.estimate == pytest.approx(0.5)


def test_what_only_one_run_has_is_listed() -> None:
    found = compared(
        [*runs_of(100), make_training("resnet18", seed=0)], [*runs_of(100, seeds=1), make_training("resnet18", seed=7)]
    )
    none = compared([make_inference()], [*runs_of(100)])

    assert found.missing == ("The runs have no common seed of ResNet18 on cpu.",)
    assert [change.seeds for change in found.changes] == [(0,)]
    assert none.missing == ("Only one of the runs has FashionCNN on cpu.",)
    assert failed_conditions(none, Gate(slower=0.1)) == (
        "Nothing is comparable: the runs have no training of the same model, device and seed",
    )
    page = compare_view(none, ())
    assert page.card.sentence.startswith("Nothing is comparable")
    assert not page.summary


def test_verdicts_on_other_models_are_told_with_their_models() -> None:
    mine = "mynets:Net"
    before = [*runs_of(100, seeds=2), *(make_training("resnet18", seed=seed) for seed in range(2))]
    after = [*runs_of(100, seeds=2), *(make_training(mine, seed=seed) for seed in range(2))]

    found = compared(before, after)

    assert found.old_state.endswith(" (ResNet18 against FashionCNN)")
    assert {"mynets:Net", "FashionCNN"} <= {*found.new_state.replace("(", " ").replace(")", " ").split()}
    assert f"The verdict was {found.old_state} and is now {found.new_state}." == compare_view(found, ()).card.sentence
    assert "mynets:Net" in render_html(compare_view(found, ()))


def test_the_page_shows_every_change_and_every_broken_condition() -> None:
    found = compared(runs_of(100), runs_of(130, recipe=Recipe(name="other")))

    html = render_html(compare_view(found, ["<b>slower</b>"]))

    assert "&lt;b&gt;slower&lt;/b&gt;" in html
    assert "Failed conditions" in html
    assert "1.30 (1.30 to 1.30)" in html
    assert "other (" in html


def test_times_without_an_interval_or_of_a_busy_machine_fail_the_gate_for_time() -> None:
    once = RECIPES["study"].model_copy(update={"epochs": 1})
    busy = [
        each.model_copy(update={"result": each.result.model_copy(update={"others_cpu_share": (0.3,) * 10})})
        for each in runs_of(100)
        if each.result
    ]

    short = compared(runs_of(100, seeds=1, recipe=once), runs_of(100, seeds=1, recipe=once))

    assert failed_conditions(short, Gate(slower=0.1)) == (
        "FashionCNN on cpu: the times are not comparable, because there are too few seeds or epochs for an interval",
    )
    assert "1.00 (no interval)" in render_html(compare_view(short, ()))
    (sentence,) = failed_conditions(compared(runs_of(100), busy), Gate(slower=0.1))
    assert sentence.replace("\N{NO-BREAK SPACE}", " ") == (
        "FashionCNN on cpu: the times are not reliable, because other processes used 30 % of the CPUs during a training"
    )
