"""A tuning: the same search for every model, on images that are not the test images, and a recipe that says so."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import call
from pydantic import ValidationError
from synthetic import make_training

from fashionbench.data.dataset import Dataset, draw_split, hide_test_images
from fashionbench.errors import InputError
from fashionbench.judging.verdict import decide
from fashionbench.options.commands import TUNE_OPTIONS
from fashionbench.recipe.fields import RECIPES, Recipe
from fashionbench.recipe.file import load_recipe
from fashionbench.recipe.tuning import ModelTuning
from fashionbench.records.grouping import select
from fashionbench.records.reading import read_records
from fashionbench.records.record import TrainingRecord, Trial
from fashionbench.report.page import CHAPTERS, make_view
from fashionbench.report.render import render_html
from fashionbench.running.plan import RunOptions, make_plan
from fashionbench.tuning.choice import choose, tuned_recipe, write_toml
from fashionbench.tuning.space import (
    DEFAULT_SPACE,
    Range,
    Space,
    describe_point,
    describe_space,
    draw_points,
    load_space,
    vary,
)
from fashionbench.tuning.trials import plan_trials

SPACE: Space = {"learning_rate": Range(low=0.001, high=0.1, scale="log"), "batch_size": (32, 64)}


def trial(accuracy: float, seconds: float, recipe: Recipe, model: str = "fashioncnn") -> TrainingRecord:
    record = make_training(model, accuracy=accuracy, train_seconds=seconds, recipe=recipe)
    assert record.result is not None
    validated = (*record.result.validation_accuracies[:-1], accuracy)
    return record.model_copy(update={"result": record.result.model_copy(update={"validation_accuracies": validated})})


def failed(recipe: Recipe) -> TrainingRecord:
    record = make_training("fashioncnn", recipe=recipe)
    return record.model_copy(update={"result": None, "status": "failed", "reason": "out of memory"})


def test_points_lie_within_the_space_evenly_in_the_logarithm() -> None:
    points = draw_points(SPACE, 512)

    rates = np.log10([float(str(point["learning_rate"])) for point in points])
    assert rates.min() >= -3
    assert rates.max() <= -1
    assert np.histogram(rates, bins=4, range=(-3, -1))[0].tolist() == pytest.approx([128] * 4, abs=4)
    assert np.mean([point["batch_size"] == 32 for point in points]) == pytest.approx(0.5, abs=0.01)


def test_more_trials_keep_the_earlier_ones() -> None:
    assert draw_points(DEFAULT_SPACE, 16)[:8] == draw_points(DEFAULT_SPACE, 8)


def test_every_model_gets_the_same_points_and_its_own_table_does_not_hide_them() -> None:
    plan = make_plan(RunOptions.read({"recipe": "swift", "devices": "cpu"}))

    planned = plan_trials(plan, SPACE, {"fashioncnn": 3, "resnet18": 2})

    tried: dict[str, list[tuple[object, object]]] = {}
    for case in planned.cases():
        how = case.recipe.for_model(case.model)
        tried.setdefault(case.model, []).append((how.learning_rate, how.batch_size))
        assert how.epochs == RECIPES["swift"].for_model(case.model).epochs
    assert (tried["fashioncnn"][0], tried["resnet18"][0]) == ((0.006, 128), (0.01, 256))  # the recipe as it is
    assert len(tried["fashioncnn"]) == 3
    assert tried["resnet18"][1:] == tried["fashioncnn"][1:2]


def test_the_first_trial_has_the_steps_that_were_tried_for_the_estimate() -> None:
    plan = make_plan(RunOptions.read({"recipe": "swift", "devices": "cpu"}))
    tried = Trial(chosen="contiguous", step_seconds={"contiguous": 0.001}, rejected={})
    plan = replace(plan, trials={("fashioncnn", plan.devices[0], "swift"): tried})

    planned = plan_trials(plan, SPACE, {"fashioncnn": 2, "resnet18": 2})

    assert [case.trial for case in planned.cases()] == [tried, None, None, None]


def test_a_trial_is_given_the_validation_images_and_no_test_image(sample: Dataset) -> None:
    never_read = replace(sample, test_images=sample.test_images[:0], test_labels=sample.test_labels[:0])
    recipe = Recipe(name="any")

    hidden = hide_test_images(never_read, recipe.model_copy(update={"test_images": None}), 0)

    split = draw_split(sample, recipe, 0)
    assert torch.equal(hidden.test_images, split.validation_images)
    assert torch.equal(hidden.test_labels, split.validation_labels)
    assert torch.equal(draw_split(hidden, recipe, 0).train_images, split.train_images)
    assert hidden.digests != sample.digests


@pytest.mark.parametrize(
    ("accuracies", "seconds", "chosen"),
    [
        ((0.90, 0.93, 0.92), (1, 9, 5), 1),  # 10,000 images: a standard error of 0.26 points
        ((0.90, 0.930, 0.929), (1, 9, 5), 2),
        ((0.90, 0.930, 0.929), (1, 5, 9), 1),
        ((0.90, 0.930, 0.929), (1, 6, 5), 1),  # 1.2 times as long: may be noise
        ((0.90, 0.930, 0.930), (1, 6, 5), 1),  # equally good: the earlier one, so that the recipe itself stays
        ((0.930, 0.929, 0.928), (9, 6, 5), 1),
    ],
)
def test_the_best_trial_is_chosen_and_among_near_ties_one_that_is_clearly_shorter(
    accuracies: Sequence[float], seconds: Sequence[float], chosen: int
) -> None:
    trials = [trial(*each, RECIPES["study"]) for each in zip(accuracies, seconds, strict=True)]

    assert choose(trials) is trials[chosen]
    assert choose([failed(RECIPES["study"])]) is None


def test_a_tuned_recipe_is_read_back_as_it_was_and_says_where_it_comes_from(tmp_path: Path) -> None:
    recipes = [vary(RECIPES["swift"], {"learning_rate": rate}, f"trial {rate}") for rate in (0.001, 0.01)]
    small = [trial(0.91, 60, recipes[0]), failed(recipes[1])]
    big = [trial(0.90, 300, recipes[0], "a: b"), trial(0.92, 300, recipes[1], "a: b")]

    recipe = tuned_recipe(RECIPES["swift"], ["learning_rate: 0.001 to 0.01, log"], {"fashioncnn": small, "a: b": big})
    (tmp_path / "tuned.toml").write_text(write_toml(recipe))

    assert load_recipe(str(tmp_path / "tuned.toml"), {"fashioncnn", "a: b"}) == recipe
    assert recipe.for_model("fashioncnn").learning_rate == 0.001
    assert recipe.for_model("a: b").learning_rate == 0.01
    assert recipe.tuning is not None
    assert [each.described(name) for name, each in recipe.tuning.models.items()] == [
        (
            "fashioncnn: 2 trials, 1 of them failed, 1.0 min of training, validation accuracy "
            "91.00\N{NO-BREAK SPACE}%; trial 1 was chosen"
        ),
        (
            "a: b: 2 trials, 10.0 min of training, validation accuracy "
            "90.00\N{NO-BREAK SPACE}% to 92.00\N{NO-BREAK SPACE}%; trial 2 was chosen"
        ),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("learning_rate = {low = 1, high = 0.5}", "low 1.0 is not below high 0.5"),
        ("learning_rate = {low = 0, high = 0.5, scale = 'log'}", "low 0.0 has no logarithm"),
        ("learning_rate = {low = 0.1, high = 50.0}", "less than or equal to 10"),
        ("colour = ['red', 'blue']", "has the unknown field 'colour'. Expected only the fields epochs, batch_size, "),
        ("precision = ['fp32', 'bf16']", "has the unknown field 'precision'"),
        ("batch_size = [32]", "list of values"),
        ("batch_size = [32", "is not valid TOML"),
    ],
)
def test_a_space_that_does_not_fit_a_recipe_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(content)

    with pytest.raises(InputError, match=message):
        load_space(tmp_path / "space.toml", RECIPES["study"])


def test_a_search_writes_a_recipe_and_goes_on_where_it_was(
    tmp_path: Path, sample_folder: Path, sample: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "space.toml").write_text("learning_rate = {low = 0.0001, high = 0.01, scale = 'log'}\n")
    options = (
        *("--recipe", sample_folder / "tiny.toml", "--data", sample_folder, "--devices", "cpu", "--models"),
        *("fashioncnn", "--space", tmp_path / "space.toml", "--precision", "bf16", "--out", tmp_path / "out"),
    )

    assert call("tune", *options, "--trials", "1") == 0
    assert call("tune", *options, "--trials", "2") == 0

    said = capsys.readouterr().out
    assert "Search space, the same for every model:\nlearning_rate: 0.0001 to 0.01, log\n" in said
    assert "(kept from an earlier run)" in said
    assert "on the validation images" in said
    assert "\nTrial 1: the recipe as it is\nTrial 2: learning_rate 0.00" in said
    assert "fashioncnn on cpu, trial 2 of 2: preparing" in said
    assert "seed 0" not in said
    assert "; checks and validation take extra time\n" in said
    tuned = tomllib.loads((tmp_path / "out" / "tuned.toml").read_text())
    assert tuned["precision"] == "bf16"  # that of the trials, not that of the recipe that was tuned
    assert len(tuned["tuning"]["models"]["fashioncnn"]["validation_accuracies"]) == 2
    records = read_records([tmp_path / "out" / "tuning"])
    assert {json.dumps(each.data.digests) for each in records if isinstance(each, TrainingRecord)}
    assert all("scored on" in each.data.digests for each in records if isinstance(each, TrainingRecord))
    with pytest.raises(InputError, match="Records of a tuning alone"):
        select(records)
    validated = draw_split(sample, load_recipe(str(sample_folder / "tiny.toml"), ["fashioncnn"]), 0).validation_labels
    scored = [each.result.test_labels for each in records if isinstance(each, TrainingRecord) and each.result]
    assert [each.array().tolist() for each in scored] == [validated.tolist()] * 2


def test_minutes_buy_the_cheaper_model_more_trials(
    tmp_path: Path, sample_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--recipe", sample_folder / "tiny.toml", "--data", sample_folder, "--devices", "cpu")

    status = call("tune", *options, "--models", "dummy,fashioncnn", "--minutes", "0.000001", "--out", tmp_path)

    said = capsys.readouterr().out
    assert status == 0
    assert "dummy: 1 trial, " in said
    assert "fashioncnn: 1 trial, " in said
    assert f"run --recipe {tmp_path / 'tuned.toml'} --models=dummy,fashioncnn --devices=cpu --data=" in said
    assert load_recipe(str(tmp_path / "tuned.toml"), ["fashioncnn"]).tuning is not None  # no table of a baseline
    assert {each.name for each in TUNE_OPTIONS} >= {"trials", "minutes", "space"}


def test_a_baseline_has_one_trial_as_no_field_changes_it(
    tmp_path: Path, sample_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--recipe", sample_folder / "tiny.toml", "--data", sample_folder, "--devices", "cpu")

    assert call("tune", *options, "--models", "dummy", "--trials", "8", "--out", tmp_path) == 0
    assert "dummy: 1 trial, " in capsys.readouterr().out


def test_a_recipe_of_any_name_is_tuned() -> None:
    longest = RECIPES["study"].model_copy(update={"name": "n" * 80})
    plan = replace(make_plan(RunOptions.read({"devices": "cpu"})), recipe=longest)

    names = {case.recipe.name for case in plan_trials(plan, SPACE, {"fashioncnn": 2, "resnet18": 2}).cases()}

    assert len(names) == 2
    assert all(each.startswith("n" * 60) for each in names)


def test_trials_with_momentum_that_has_no_effect_are_refused() -> None:
    plan = make_plan(RunOptions.read({"devices": "cpu"}))
    space: Space = {"optimizer": ("adam", "sgd"), "momentum": (0.9, 0.8)}

    with pytest.raises(InputError, match=r"[Tt]rial \d+ has momentum 0\.\d with the optimizer 'adam'"):
        plan_trials(plan, space, {"fashioncnn": 8, "resnet18": 8})


def test_minutes_without_end_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("tune", "--minutes", "1e308", "--devices", "cpu") == 2
    assert "Expected a number, more than 0 and up to 100,000, such as 30" in capsys.readouterr().err


def test_any_characters_are_read_back(tmp_path: Path) -> None:
    name = 'a\U0001f680"\\'
    recipe = tuned_recipe(RECIPES["study"], [name], {name: [trial(0.9, 1, RECIPES["swift"], name)]})
    (tmp_path / "tuned.toml").write_text(write_toml(recipe), encoding="utf-8")

    assert load_recipe(str(tmp_path / "tuned.toml")) == recipe


def test_a_chosen_trial_is_one_of_those_made() -> None:
    with pytest.raises(ValidationError, match="trial 3 was chosen of 2"):
        ModelTuning(chosen=3, minutes=1.0, failed=1, validation_accuracies=(0.9,))


def test_a_model_that_fails_before_its_trials_is_refused_in_one_line(
    tmp_path: Path, sample_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "failing_net.py").write_text("def make(shape, classes): raise ValueError('no')\n")
    monkeypatch.syspath_prepend(tmp_path)
    options = ("--recipe", sample_folder / "tiny.toml", "--data", sample_folder, "--devices", "cpu", "--minutes", "1")

    status = call("tune", *options, "--models", "failing_net:make", "--out", tmp_path)

    assert status == 2
    assert (
        "Model 'failing_net:make' fails on images of 1 x 28 x 28 (ValueError: no). Expected" in capsys.readouterr().err
    )


def test_the_default_space_is_the_one_in_the_docs(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tuning.md").read_text(encoding="utf-8")
    (tmp_path / "space.toml").write_text(page.partition("```toml\n")[2].partition("```")[0])

    assert load_space(tmp_path / "space.toml", RECIPES["study"]) == DEFAULT_SPACE


def test_the_report_shows_the_search_that_a_recipe_comes_from() -> None:
    tried = {model: [trial(0.91, 60, RECIPES["swift"], model)] for model in ("fashioncnn", "resnet18")}
    recipe = tuned_recipe(RECIPES["swift"], ["learning_rate: 0.001 to 0.01, log"], tried)
    records = [make_training(model, recipe=recipe) for model in tried]

    (chapter,) = [each for each in CHAPTERS if each.key == "method"]
    page = render_html(make_view(records, decide(records), chapters=[chapter]))

    assert (
        "tuned from the recipe swift, for every model over the same space (learning_rate: 0.001 to 0.01, log)" in page
    )
    assert (
        "ResNet18: 1 trial, 1.0 min of training, validation accuracy 91.00\N{NO-BREAK SPACE}%; trial 1 was chosen."
        in page
    )


def test_a_space_and_its_points_are_described_in_words() -> None:
    space: Space = {
        "augment": ({}, {"flip": True}, {"flip": True, "shift": 2}),
        "schedule": ("step", "cosine"),
        "learning_rate": Range(low=0.001, high=0.1, scale="log"),
    }

    assert describe_space(space) == (
        "augment: none, flip or flip + shift 2",
        "schedule: step or cosine",
        "learning_rate: 0.001 to 0.1, log",
    )
    assert (
        describe_point({"augment": {"flip": True}, "learning_rate": 0.00012}) == "augment flip, learning_rate 0.00012"
    )


def test_a_tuned_recipe_has_no_empty_table_and_no_noise_of_single_precision() -> None:
    noisy = trial(float(np.float32(0.12)), 0.3, vary(RECIPES["study"], {"learning_rate": 0.002}))

    recipe = tuned_recipe(RECIPES["study"], [], {"fashioncnn": [noisy]})

    written = write_toml(recipe)

    assert "validation_accuracies = [0.12]\n" in written
    assert "[model]" not in written
    assert "[tuning.models]" not in written
    assert recipe.tuning is not None
    assert recipe.tuning.models["fashioncnn"].described("a") == (
        "a: 1 trial, 0.3 s of training, validation accuracy 12.00\N{NO-BREAK SPACE}%; trial 1 was chosen"
    )
