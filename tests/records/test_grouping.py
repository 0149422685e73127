"""Records that belong together are selected in one place; what is left out is named."""

from pathlib import Path

import pytest
from synthetic import make_inference, make_study, make_training

from fashionbench.errors import InputError
from fashionbench.judging.comparison import compare
from fashionbench.judging.rule import DEFAULT_THRESHOLDS
from fashionbench.judging.verdict import decide
from fashionbench.recipe.fields import RECIPES
from fashionbench.records.grouping import select
from fashionbench.records.record import InferenceRecord, TrainingRecord
from fashionbench.report.context import make_context
from fashionbench.report.page import write_report

PAIR = (("fashioncnn", 0.916, 240), ("resnet18", 0.926, 900))
NEW = [make_training(model, seed=seed, accuracy=a, train_seconds=t) for model, a, t in PAIR for seed in range(3)]


def older(record: TrainingRecord, **changes: object) -> TrainingRecord:
    """Return the same case as another code measured it some days before."""
    environment = record.environment.model_copy(update={"commit": "f" * 40})
    changes = {"environment": environment, "measured_at": "2026-11-20T12:00:00Z"} | changes
    return record.model_copy(update={"identity": record.identity[::-1], **changes})


OLD = [
    older(make_training(model, seed=seed, accuracy=a - 0.05, train_seconds=2 * t))
    for model, a, t in PAIR
    for seed in range(5)
]


def test_old_codes_records_are_not_averaged_with_new_ones(tmp_path: Path) -> None:
    verdict = decide([*NEW, *OLD])
    context = make_context([*NEW, *OLD], verdict)
    text = write_report([*NEW, *OLD], tmp_path, formats=["md"]).paths[0].read_text(encoding="utf-8")

    assert verdict == decide(NEW)
    assert sorted(each.identity for each in context.trainings) == sorted(each.identity for each in NEW)
    assert context.left_out == ("10 records of older code (commit ffffffff, torch 2.14.1) are left out.",)
    assert context.left_out[0] in text
    assert compare([*NEW, *OLD], [*NEW, *OLD], DEFAULT_THRESHOLDS).left_out == (
        f"Earlier run: {context.left_out[0]}",
        f"Later run: {context.left_out[0]}",
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "1 record of cases that were measured again is left out."),
        ({"code_sha256": "1" * 64}, "1 record of older code (commit 01234567, torch 2.14.1) is left out."),
        ({"model_sha256": "1" * 64}, "1 record of an older source of fashioncnn is left out."),
        (
            {"status": "failed", "result": None, "measured_at": "2026-12-01"},
            "1 record of cases that were measured again",
        ),
    ],
)
def test_the_newest_finished_record_of_a_case_counts(changes: dict[str, object], sentence: str) -> None:
    newest = NEW[0].model_copy(update={"code_sha256": "2" * 64, "model_sha256": "2" * 64})
    earlier = newest.model_copy(update={"measured_at": "2026-11-20T12:00:00Z"} | changes)

    selection = select([newest, earlier])

    assert selection.records == (newest,)
    assert len(selection.left_out) == 1
    assert selection.left_out[0].startswith(sentence)


def test_records_of_other_machines_data_and_recipes_keep_their_own_code() -> None:
    other_data = NEW[1].data.model_copy(update={"name": "MNIST"})
    records: list[TrainingRecord | InferenceRecord] = [
        NEW[0],
        older(make_training(device="cuda")),
        older(NEW[1], data=other_data),
        older(make_training(recipe=RECIPES["swift"])),
        make_inference(),
    ]

    selection = select(records)

    assert len(selection.records) == len(records)
    assert selection.left_out == ()
    assert select(selection.records) == selection


def test_trials_of_a_tuning_are_left_out_and_make_no_report_of_their_own() -> None:
    digests = {**NEW[0].data.digests, "scored on": "the validation images of seed 0"}
    trials = [older(each, data=each.data.model_copy(update={"digests": digests})) for each in NEW]

    found = select([*NEW, *trials])

    assert sorted(each.identity for each in found.records if each.identity) == sorted(each.identity for each in NEW)
    assert found.left_out == ("6 records of a tuning, scored on validation images, are left out.",)
    with pytest.raises(InputError, match="Records of a tuning alone"):
        select(trials)


def test_an_installation_check_is_left_out_of_a_report_with_results() -> None:
    check = [make_training(model, images=1_000, recipe=RECIPES["smoke"]) for model in ("fashioncnn", "resnet18")]
    absent = make_training(device="cuda", status="absent", reason="not found")

    assert select([*check, *make_study(1)]).left_out == (
        "2 records of an installation check (recipe smoke) are left out.",
    )
    assert decide([*check, *make_study(1)]) == decide(make_study(1))
    assert len(select([*check, absent]).records) == 3
