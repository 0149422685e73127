"""The content of the chapters: notes, captions and tables."""

import re
from collections.abc import Sequence

import pytest
from synthetic import make_study, make_training

from fashionbench import units
from fashionbench.catalogue import OLDER_RELEASE, STUDY_MODELS
from fashionbench.judging.verdict import decide
from fashionbench.recipe.fields import RECIPES
from fashionbench.records.record import InferenceRecord, SelfCheck, TrainingRecord, Trial
from fashionbench.report.chapters import classes, cost, images, learning, method, models
from fashionbench.report.context import Context, make_context
from fashionbench.report.front.notes import list_notes
from fashionbench.report.view import Block, CaptionedFigure, DeviceSubsection, Prose, Table

Records = Sequence[TrainingRecord | InferenceRecord]


def context_of(records: Records) -> Context:
    return make_context(records, decide(records))


def captions(blocks: Sequence[Block]) -> list[str]:
    parts = [inner for block in blocks for inner in (block.blocks if isinstance(block, DeviceSubsection) else (block,))]
    return [block.caption for block in parts if isinstance(block, CaptionedFigure)]


@pytest.mark.parametrize(
    ("typed", "advised"),
    [
        ("nox -s bench", "nox -s bench -- --seeds 3"),
        ("python -m nox -s bench -- --recipe smoke", "python -m nox -s bench -- --recipe smoke --seeds 3"),
        (
            "fashionbench run --seeds 7 --models fashioncnn,nets:Net --out photos",
            "fashionbench run --models fashioncnn,nets:Net --out photos --seeds 3",
        ),
        ("pytest bench/ --benchmark-json=b.json --seeds=1", "pytest bench/ --benchmark-json=b.json --seeds 3"),
    ],
)
def test_one_training_of_each_model_gives_a_note_with_the_command_that_was_typed(typed: str, advised: str) -> None:
    records = [
        each.model_copy(update={"environment": each.environment.model_copy(update={"command": typed})})
        for each in make_study(1)
    ]

    notes = list_notes(context_of(records))

    assert [note.command for note in notes] == [advised]


def test_three_seeds_from_a_clean_commit_give_no_note() -> None:
    assert list_notes(context_of(make_study(3))) == ()


def _altered(**environment: object) -> TrainingRecord:
    record = make_training("resnet18", seed=5)
    return record.model_copy(update={"environment": record.environment.model_copy(update=environment)})


@pytest.mark.parametrize(
    ("extra", "warning"),
    [
        (_altered(commit_clean=False), "uncommitted changes"),
        (_altered(versions={"torch": "2.9.0"}), "several versions of torch (2.14.1, 2.9.0)"),
        (make_training("resnet18", seed=5, accuracy=0.80), "80.00\N{NO-BREAK SPACE}%"),
        (make_training("resnet18", seed=5, status="failed", reason="no memory"), "1 of 11 cases failed"),
    ],
)
def test_what_makes_a_number_unreliable_gives_a_note(extra: TrainingRecord, warning: str) -> None:
    notes = list_notes(context_of([*make_study(3), extra]))

    assert any(warning in note.text for note in notes)


def test_the_older_release_of_the_data_gives_a_note() -> None:
    older = make_training().data.model_copy(update={"release": OLDER_RELEASE})
    records = [make_training(model).model_copy(update={"data": older}) for model in ("fashioncnn", "resnet18")]

    notes = list_notes(context_of(records))

    assert any("older draw" in note.text for note in notes)


def test_what_disturbed_the_minutes_is_noted() -> None:
    record = make_training()
    assert record.result is not None
    disturbances = {
        "others_cpu_share": (0.01, None, 0.48, *[0.0] * 6, 0.06),
        "paused_seconds": 20.4,
        "resumed": 1,
    }
    disturbed = record.model_copy(update={"result": record.result.model_copy(update=disturbances)})

    notes = list_notes(context_of([disturbed, make_training("resnet18")]))

    texts = [note.text.replace("\N{NO-BREAK SPACE}", " ") for note in notes]
    assert any(
        "used up to 48 % of the CPUs (FashionCNN, seed 0), and over 5 % in 2 epochs of 1 of 2 trainings" in text
        for text in texts
    )
    assert any("1 of 2 trainings stood still for 20 seconds in all" in text for text in texts)
    assert any("1 of 2 trainings were interrupted and resumed" in text for text in texts)


def test_a_network_that_ends_in_a_softmax_is_noted() -> None:
    record = make_training()
    assert record.model_info is not None
    odd = record.model_info.model_copy(update={"gives_probabilities": True})

    noted = list_notes(context_of([record.model_copy(update={"model_info": odd}), make_training("resnet18")]))

    assert [note.text for note in noted if "probabilities" in note.text] == [
        (
            "The outputs of FashionCNN are probabilities, but the loss expects logits, so it trains worse than it "
            "could. Remove its last softmax or sigmoid."
        )
    ]


def test_a_quiet_undisturbed_training_has_no_note_on_its_minutes() -> None:
    record = make_training()
    assert record.result is not None
    quiet = record.result.model_copy(update={"others_cpu_share": (0.04, None, 0.0)})

    notes = list_notes(context_of([record.model_copy(update={"result": quiet})]))

    assert not any("processes" in note.text for note in notes)


def test_models_that_share_no_seed_are_shown_without_a_verdict() -> None:
    records = [make_training("fashioncnn", seed=0), make_training("resnet18", seed=1)]

    (caption,) = captions(cost.accuracy_against_time(context_of(records)))

    assert caption.endswith("did not finish with the same seed on this device, so the gain has no confidence interval.")


def test_one_model_alone_is_shown_with_its_own_accuracy_and_time() -> None:
    (caption,) = captions(cost.accuracy_against_time(context_of([make_training()])))

    assert caption.replace(units.SPACE, " ") == "FashionCNN reaches 91.6 % in 4.0 min (95 % CI 91.0 to 92.1 %)."


def test_the_figure_of_a_further_device_states_the_finding_of_its_verdict() -> None:
    context = context_of(make_study(3, gain=0.03, devices=("cpu", "cuda")))

    found = captions(cost.accuracy_against_time(context))

    assert context.verdict is not None
    assert found == [context.verdict.devices[1].sentence]  # the first device's figure is on the first page


def test_significant_differences_between_classes_are_named() -> None:
    *_, last = captions(classes.scores_by_class(context_of(make_study(3, gain=0.05))))

    assert re.fullmatch(
        r"\d+ of the 30 differences by class are statistically significant after adjustment: .+ and others\.", last
    )
    assert len(re.findall(r"\(\+\d\.\d\spp\)", last)) == 4


def test_short_trainings_show_hundredths_of_a_minute() -> None:
    records = [make_training(model, train_seconds=20.0, seed=0) for model in ("fashioncnn", "resnet18")]

    (table,) = cost.make_summary(context_of(records))

    assert [row[1].text for row in table.rows] == ["0.33", "0.33"]


def test_a_model_of_unknown_size_has_dashes_for_numbers() -> None:
    records = [make_training().model_copy(update={"model_info": None})]

    (block,) = models.model_sizes(context_of(records))

    assert isinstance(block, Table)
    assert [each.text for each in block.rows[0]][1:] == ["–"] * 6 + ["100"]


def test_a_slow_model_that_reaches_the_others_accuracy_has_its_minutes_in_the_caption() -> None:
    *_, caption = captions(learning.learning_curves(context_of(make_study(2, gain=0.02, spread=0))))

    assert re.match(
        r"ResNet18’s mean curve needs \d+\ss to reach the validation accuracy of 91\.54\s% with which", caption
    )


def test_a_model_that_never_reaches_the_others_accuracy_has_that_in_the_caption() -> None:
    *_, caption = captions(learning.learning_curves(context_of(make_study(2, gain=-0.02, spread=0))))

    assert caption.startswith(
        "ResNet18’s mean curve never reaches the validation accuracy of 91.54\N{NO-BREAK SPACE}% with"
    )


def test_trainings_of_one_epoch_have_no_curves_of_single_dots() -> None:
    recipe = RECIPES["study"].model_copy(update={"epochs": 1})

    blocks = learning.learning_curves(context_of([make_training(each, recipe=recipe) for each in STUDY_MODELS]))

    (figure,) = (block for block in blocks if isinstance(block, CaptionedFigure))
    assert "so there is no curve of validation accuracy" in figure.explanation


def test_a_device_with_one_model_is_left_out_of_comparisons() -> None:
    context = context_of([make_training("resnet18", device="cuda"), *make_study(1)])

    assert len(captions(images.image_comparison(context))) == 1
    assert len(captions(classes.scores_by_class(context))) == 2 + 1


def test_each_model_is_shown_at_the_minutes_of_the_other() -> None:
    records = make_study(1, gain=0.02, spread=0)

    (table,) = (block for block in learning.learning_curves(context_of(records)) if isinstance(block, Table))

    # FashionCNN ends after 4 minutes; ResNet18's epochs take 1.9, so that two have ended by then, at 93.6 - 6 * 0.6 %
    assert re.fullmatch(r"after 2\d\d\ss \(FashionCNN\)", table.header[1])
    assert re.fullmatch(r"after 1,1\d\d\ss \(ResNet18\)", table.header[2])
    assert [[each.text for each in row[:3]] for row in table.rows] == [
        ["FashionCNN", "91.54", "not run"],
        ["ResNet18", "90.00", "93.54"],
    ]
    assert table.rows[0][3].text == "never"
    assert table.note is not None
    note = table.note.replace("\N{NO-BREAK SPACE}", " ")
    assert re.search(r"Time to target: 2\d\d s for FashionCNN and \d+ s for ResNet18 to a validation accuracy of", note)
    assert note.endswith(" 91.54 %, the lower of the models’ final accuracies.")
    assert table.caption == "Validation accuracy after equal training time, %"
    assert float(table.rows[1][3].text) == pytest.approx(60 * 19 * 4 / 10, rel=0.1)


def test_the_differences_of_a_self_check_are_in_the_chapter_on_the_clock() -> None:
    record = make_training(train_seconds=100.0)
    assert record.result is not None
    check = SelfCheck(train_seconds=103.0, differing_losses=2, differing_predictions=1)
    checked = record.model_copy(update={"result": record.result.model_copy(update={"self_check": check})})

    box, _ = method.training_clock(context_of([checked]))

    assert isinstance(box, Prose)
    assert box.facts["self_checks"].replace(units.SPACE, " ") == (
        "FashionCNN on cpu, seed 0, trained twice: 100.0 s and 103.0 s, 3.0 % apart; "
        "2 of 450 training losses and 1 of 10,000 predictions differ."
    )


def test_the_method_names_how_steps_were_computed_once_for_each_model_on_an_accelerator() -> None:
    trial = Trial(
        chosen="contiguous", step_seconds={"contiguous": 0.001}, rejected={"captured contiguous": "no graphs"}
    )
    records = [
        make_training(model, device="cuda", seed=seed).model_copy(
            update={"trial": trial if model == "resnet18" else None}
        )
        for seed in range(2)
        for model in ("fashioncnn", "resnet18")
    ]

    (block,) = method.method(context_of(records))

    assert isinstance(block, Prose)
    assert block.facts["steps"] == (
        "Steps of ResNet18 on cuda, chosen by a short trial: contiguous, 1.00 ms a step "
        "(captured contiguous cannot be used: no graphs)."
    )
