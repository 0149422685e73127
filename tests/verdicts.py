"""Synthetic records as tests judge and show them."""

from collections.abc import Sequence

from synthetic import make_training

from fashionbench.judging.verdict import Verdict, decide
from fashionbench.options.option import Score
from fashionbench.recipe.fields import RECIPES
from fashionbench.records.record import InferenceRecord, TrainingRecord
from fashionbench.report.page import CHAPTERS, make_view
from fashionbench.report.view import View

Records = Sequence[TrainingRecord | InferenceRecord]


def judged(
    records: Records, margin_pp: float = 0.5, price_minutes_per_pp: float | None = None, *, score: Score = "accuracy"
) -> Verdict:
    """Return the verdict on records that have one."""
    verdict = decide(records, score=score, margin_pp=margin_pp, price_minutes_per_pp=price_minutes_per_pp)
    assert verdict is not None
    return verdict


def view_of(records: Records, *keys: str) -> View:
    """Return the page of some records; with keys, only these chapters, because figures take seconds to draw."""
    chapters = [each for each in CHAPTERS if each.key in keys] if keys else CHAPTERS
    return make_view(records, decide(records), chapters=chapters)


def smoke() -> list[TrainingRecord]:
    """Return a training of each study model that only checks an installation."""
    recipe = RECIPES["smoke"]
    return [make_training(model, recipe=recipe, images=1_000) for model in ("fashioncnn", "resnet18")]
