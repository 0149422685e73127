"""What changed between two runs is told with its interval; what is unlike is flagged and never silently compared."""

from collections.abc import Sequence

import pytest
from synthetic import make_inference, make_study, make_training

from fashionbench.errors import InputError
from fashionbench.judging.comparison import Comparison, Gate, compare, parse_gate
from fashionbench.judging.rule import DEFAULT_THRESHOLDS
from fashionbench.recipe import RECIPES, Recipe
from fashionbench.records.record import InferenceRecord, TrainingRecord
from fashionbench.report.comparison import compare_view
from fashionbench.report.render import render_html

Records = Sequence[TrainingRecord | InferenceRecord]
SLOWER = 1.3


def set_against(old: Records, new: Records) -> Comparison:
    return compare(old, new, DEFAULT_THRESHOLDS)


def runs_of(
    seconds: float, *, accuracy: float = 0.91, seeds: int = 3, recipe: Recipe = RECIPES["study"]
) -> list[TrainingRecord]:
    return [
        make_training(seed=seed, accuracy=accuracy, train_seconds=seconds * (1 + 0.01 * (seed % 2)), recipe=recipe)
        for seed in range(seeds)
    ]


def test_a_run_against_itself_has_not_changed() -> None:
    found = set_against(make_study(3), make_study(3))

    assert found.old_state == found.new_state
    assert [change.time.estimate for change in found.changes] == [1.0, 1.0]
    assert all(change.accuracy is not None and change.accuracy.estimate == 0 for change in found.changes)
    assert all(change.unlike == () for change in found.changes)
    assert Gate(slower=0.0, worse=0.0, verdict=True).broken_by(found) == ()


def test_a_slower_run_breaks_the_gate_only_where_it_is_surely_slower_by_more() -> None:
    found = set_against(runs_of(100), runs_of(100 * SLOWER))

    (change,) = found.changes
    assert change.time.estimate == pytest.approx(SLOWER)
    assert change.new_minutes == pytest.approx(change.old_minutes * SLOWER)
    (sentence,) = Gate(slower=0.1).broken_by(found)
    assert sentence.startswith("FashionCNN on cpu is surely slower by more than 10.0")
    assert Gate(slower=0.3).broken_by(found) == ()


def test_a_worse_run_breaks_the_gate() -> None:
    found = set_against(runs_of(100, accuracy=0.92), runs_of(100, accuracy=0.90))

    (sentence,) = Gate(worse=0.005).broken_by(found)
    assert "surely worse by more than" in sentence
    assert Gate(worse=0.05).broken_by(found) == ()


def test_another_verdict_breaks_the_gate() -> None:
    found = set_against(make_study(3, gain=0.015), make_study(3, gain=-0.01))

    assert Gate(verdict=True).broken_by(found) == ("the verdict changed from WORTH IT to NOT WORTH IT",)


def test_unlike_recipes_are_flagged_and_their_accuracies_not_compared() -> None:
    other = Recipe(name="study", epochs=10, learning_rate=0.01)

    found = set_against(runs_of(100), runs_of(100, recipe=other))

    (change,) = found.changes
    assert change.accuracy is None
    assert [name for name, _, _ in change.unlike] == ["recipe"]
    assert Gate(worse=0.5).broken_by(found) == (
        "FashionCNN on cpu: accuracy cannot be judged, the recipe or the data differ",
    )


def test_other_versions_are_flagged_and_compared() -> None:
    new = [
        each.model_copy(
            update={"environment": each.environment.model_copy(update={"versions": {"torch": "3.0"}, "threads": 8})}
        )
        for each in runs_of(100)
    ]

    found = set_against(runs_of(100), new)
    (change,) = found.changes

    assert change.unlike == (("torch", "2.14.1", "3.0"), ("threads", "2", "8"))
    assert change.accuracy is not None
    assert Gate(slower=0.1).broken_by(found) == ("FashionCNN on cpu: time cannot be judged, the machines differ",)


def test_a_run_of_several_recipes_is_not_compared_as_one() -> None:
    mixed = [*runs_of(100), *runs_of(50, recipe=Recipe(name="swift"))]

    with pytest.raises(InputError, match=r"Fashioncnn on cpu in more than one way in one run \(study on .*, swift on"):
        set_against(runs_of(100), mixed)


def test_of_a_training_measured_again_the_newest_counts() -> None:
    again = [each.model_copy(update={"measured_at": "2999-01-01T00:00:00Z"}) for each in runs_of(50)]

    (change,) = set_against(runs_of(100), [*again, *runs_of(100)]).changes

    assert change.time.estimate == pytest.approx(0.5)


def test_what_only_one_run_has_is_named() -> None:
    found = set_against(
        [*runs_of(100), make_training("resnet18", seed=0)], [*runs_of(100, seeds=1), make_training("resnet18", seed=7)]
    )
    none = set_against([make_inference()], [*runs_of(100)])

    assert found.missing == ("a common seed of ResNet18 on cpu",)
    assert [change.seeds for change in found.changes] == [(0,)]
    assert none.missing == ("FashionCNN on cpu",)
    assert Gate(slower=0.1).broken_by(none) == (
        "nothing can be judged: the runs have no training of the same model, device and seed",
    )


def test_the_page_shows_every_change_and_what_was_not_to_happen() -> None:
    found = set_against(runs_of(100), runs_of(130, recipe=Recipe(name="other")))

    html = render_html(compare_view(found, ["<b>slower</b>"]))

    assert "&lt;b&gt;slower&lt;/b&gt;" in html
    assert "Failed conditions" in html
    assert "1.30 (1.30 to 1.30)" in html
    assert "other (" in html


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("slower=10%", Gate(slower=0.1)),
        ("worse=0.5pp", Gate(worse=0.005)),
        ("verdict", Gate(verdict=True)),
        ("slower=5%|worse=1pp, verdict", Gate(slower=0.05, worse=0.01, verdict=True)),
    ],
)
def test_a_gate_is_read(text: str, gate: Gate) -> None:
    assert parse_gate(text) == gate


@pytest.mark.parametrize("text", ["", "slower", "slower=10", "worse=1%", "slower=-1%", "faster=1%"])
def test_a_gate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"--fail-if .*\. Expected slower=10%, worse=0.5pp or verdict"):
        parse_gate(text)
