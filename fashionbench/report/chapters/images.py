"""The chapters on single images and on calibration."""

import base64
from io import BytesIO

import numpy as np
import pandas as pd
from matplotlib import image
from numpy.typing import NDArray

from fashionbench import units
from fashionbench.judging.differences import expected_calibration_error
from fashionbench.judging.verdict import Verdict
from fashionbench.records.record import Mistake, TrainingRecord, TrainingResult
from fashionbench.report.context import Context, draw, per_device, results_of
from fashionbench.report.figures import curves
from fashionbench.report.figures.style import shorten
from fashionbench.report.frames import ACCURACY, CONFIDENCE
from fashionbench.report.view import Block, Cell, Exhibit, Gallery, Picture, Shown

__all__ = ["by_confidence", "by_image"]

PICTURES = 6
"""Thumbnails in a row of the gallery."""


def by_image(context: Context) -> tuple[Block, ...]:
    """Show on how many test images which model is right, and the mistakes they are surest of."""
    if context.verdict is None:
        return ()
    return (*per_device(context, _paired), *_galleries(context, context.verdict))


def _paired(context: Context, device: str) -> tuple[Shown, ...]:
    judged, verdict = context.judged(device), context.verdict
    if judged is None or verdict is None:
        return ()
    small, big = context.styles[verdict.small].name, context.styles[verdict.big].name
    outcomes = judged.outcomes
    fixes, breaks = units.count(outcomes.only_big), units.count(outcomes.only_small)
    return (
        Exhibit(
            finding=f"{big} fixes {fixes} of {small}'s mistakes and breaks {breaks} of its hits.",
            reading=f"Each of the {units.count(judged.test_images)} test images falls into one of four; "
            f"means over {len(judged.seeds)} pairs of trainings with the same seed. McNemar's exact p for each pair: "
            f"{', '.join(units.fixed(value, 3) for value in judged.mcnemar_p)}.",
            tiles=(
                (units.count(outcomes.both), "both right"),
                (fixes, f"only {big} right"),
                (breaks, f"only {small} right"),
                (units.count(outcomes.neither), "both wrong"),
            ),
        ),
    )


def _galleries(context: Context, verdict: Verdict) -> tuple[Block, ...]:
    """Show the surest mistakes of each model alone and of both, on the first device at its first seed."""
    device, seed = verdict.devices[0].device, verdict.devices[0].seeds[0]
    both = {
        model: next(each for each in context.on(device) if (each.model, each.seed) == (model, seed))
        for model in (verdict.small, verdict.big)
    }
    small, big = context.styles[verdict.small].name, context.styles[verdict.big].name
    rows = (
        (f"{small} is wrong, {big} right", _mistakes(both, verdict.small, verdict.big, other_is_right=True)),
        (f"{big} is wrong, {small} right", _mistakes(both, verdict.big, verdict.small, other_is_right=True)),
        ("Both are wrong", _mistakes(both, verdict.big, verdict.small, other_is_right=False)),
    )
    return tuple(
        Gallery(
            title=f"{title}: surest mistakes first, confidence in % (seed {seed})",
            pictures=tuple(_picture(context, both, mistake) for mistake in chosen[:PICTURES]),
        )
        for title, chosen in rows
        if chosen
    )


def by_confidence(context: Context) -> tuple[Block, ...]:
    """Show whether the models are as often right as they are sure."""
    return per_device(context, _calibration)


def _calibration(context: Context, device: str) -> tuple[Shown, ...]:
    drawings, errors = [], []
    for model in context.pair_on(device):
        results, style = results_of(context.on(device), model), context.styles[model]
        confidences = np.concatenate([_fractions(each) for each in results])
        right = np.concatenate([each.test_predictions.array() == each.test_labels.array() for each in results])
        found = expected_calibration_error(confidences, right)
        bins = pd.DataFrame({CONFIDENCE: found.confidences, ACCURACY: found.accuracies})
        drawn = curves.reliability(bins, style, title=shorten(style.name))
        title = f"Share of right predictions of {style.name} by confidence on {device}"
        drawings.append(draw(drawn, key=f"calibration-{device}-{model}", title=title))
        errors.append(f"{units.pp(found.error).removeprefix('+')} for {style.name}")
    return (
        Exhibit(
            finding=f"Confidence and truth differ by {' and '.join(errors)}, on average.",
            drawings=tuple(drawings),
            reading="Predictions in ten bins of confidence, all seeds together. On the dashed line a model is right as "
            "often as it claims; marks below it are too sure. The average is the expected calibration error.",
        ),
    )


def _fractions(result: TrainingResult) -> NDArray[np.float64]:
    return result.test_confidences.array().astype(np.float64) / np.iinfo(np.uint16).max


def _result(record: TrainingRecord) -> TrainingResult:
    (result,) = results_of([record], record.model)
    return result


def _mistakes(both: dict[str, TrainingRecord], wrong: str, other: str, *, other_is_right: bool) -> list[Mistake]:
    predictions = _result(both[other]).test_predictions.array()
    return [each for each in _result(both[wrong]).mistakes if (predictions[each.index] == each.label) == other_is_right]


def _picture(context: Context, both: dict[str, TrainingRecord], mistake: Mistake) -> Picture:
    classes = next(iter(both.values())).data.classes
    lines = [Cell(text=classes[mistake.label])]
    for model, record in both.items():
        result = _result(record)
        predicted = classes[int(result.test_predictions.array()[mistake.index])]
        share = float(_fractions(result)[mistake.index])
        text = f"{shorten(predicted, 11)} {units.bare(units.percent(share, 0))}"
        lines.append(Cell(text=text, style=context.styles[model]))
    return Picture(
        source=_png(mistake.image.array()),
        description=f"Test image {mistake.index}: {classes[mistake.label]}",
        lines=tuple(lines),
    )


def _png(pixels: NDArray[np.generic]) -> str:
    """Return an image, (channels, height, width), as a PNG data URI."""
    buffer = BytesIO()
    planes = np.moveaxis(np.asarray(pixels, dtype=np.uint8), 0, -1)
    shown = planes if planes.shape[-1] == 3 else planes[..., 0]  # noqa: PLR2004 - red, green, blue
    image.imsave(buffer, shown, format="png", cmap="gray", vmin=0, vmax=255, pil_kwargs={"pnginfo": None})
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
