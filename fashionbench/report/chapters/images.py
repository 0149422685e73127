"""The chapters that compare predictions image by image, and on calibration."""

import base64
from io import BytesIO

import numpy as np
import pandas as pd
from matplotlib import image
from numpy.typing import NDArray

from fashionbench import units
from fashionbench.judging.findings import DeviceVerdict
from fashionbench.judging.statistics.differences import expected_calibration_error
from fashionbench.judging.statistics.intervals import correct_predictions, wilson_interval
from fashionbench.judging.verdict import Verdict
from fashionbench.records.record import Mistake, TrainingRecord, TrainingResult
from fashionbench.report.context import Context, draw, per_device, results_of
from fashionbench.report.figures import curves
from fashionbench.report.figures.curves import SMALL_BIN
from fashionbench.report.figures.style import shorten
from fashionbench.report.frames import ACCURACY, CONFIDENCE, HIGH, IMAGES, LOW
from fashionbench.report.front.card import compare_outcomes, count_outcomes
from fashionbench.report.view import Block, CaptionedFigure, Cell, ContentBlock, Gallery, Thumbnail

__all__ = ["calibration", "image_comparison"]

MAX_THUMBNAILS = 6
"""Thumbnails in a gallery: one row of the page."""

NEARLY_CERTAIN = 0.995
"""Confidence from which on it is not shown below an image."""

SMALLEST_SHOWN_P = 0.001


def image_comparison(context: Context) -> tuple[Block, ...]:
    """Show on how many test images each model is right, and the most confident mistakes."""
    if context.verdict is None:
        return ()
    return (*per_device(context, _outcomes_on), *_galleries(context, context.verdict))


def _outcomes_on(context: Context, device: str) -> tuple[ContentBlock, ...]:
    judged, verdict = context.verdict_on(device), context.verdict
    if judged is None or verdict is None:
        return ()
    small, big = context.styles[verdict.small].name, context.styles[verdict.big].name
    (both, only_big, only_small, neither), pairs = count_outcomes(judged), len(judged.seeds)
    source = f"are means over {pairs} pairs of trainings" if pairs > 1 else "come from one pair of trainings"
    return (
        CaptionedFigure(
            caption=compare_outcomes(judged, small, big),
            explanation=f"Each of the {units.count(judged.test_images)} test images is in one of four groups. The "
            f"counts {source} with the same seed. McNemar’s exact test of equal error rates, unadjusted: "
            f"{_describe_tests(judged)}.",
            tiles=(
                (units.count(both), "both right"),
                (units.count(only_big), f"only {big} right"),
                (units.count(only_small), f"only {small} right"),
                (units.count(neither), "both wrong"),
            ),
        ),
    )


def _describe_tests(judged: DeviceVerdict) -> str:
    plural = "s" if len(judged.seeds) > 1 else ""
    values, seeds = [_p_value(each) for each in judged.mcnemar_p], [str(each) for each in judged.seeds]
    shown = values[0] if len({*values}) == 1 else units.join_phrases(values)
    return f"p value{plural} {shown} for seed{plural} {units.join_phrases(seeds)}"


def _p_value(value: float) -> str:
    return f"< {SMALLEST_SHOWN_P}" if value < SMALLEST_SHOWN_P else units.fixed(value, 3)


def _galleries(context: Context, verdict: Verdict) -> tuple[Block, ...]:
    """Show the most confident mistakes of each model alone and of both, on the first device at its first seed."""
    device, seed = verdict.devices[0].device, verdict.devices[0].seeds[0]
    pair = {
        model: next(each for each in context.trainings_on(device) if (each.model, each.seed) == (model, seed))
        for model in (verdict.small, verdict.big)
    }
    small, big = context.styles[verdict.small].name, context.styles[verdict.big].name
    rows = (
        (
            f"{shorten(small, 20)} wrong, {shorten(big, 20)} right",
            _mistakes(pair, verdict.small, verdict.big, other_is_right=True),
        ),
        (
            f"{shorten(big, 20)} wrong, {shorten(small, 20)} right",
            _mistakes(pair, verdict.big, verdict.small, other_is_right=True),
        ),
        ("Both wrong", _mistakes(pair, verdict.big, verdict.small, other_is_right=False)),
    )
    shown = tuple(
        (title, tuple(_thumbnail(context, pair, mistake) for mistake in mistakes[:MAX_THUMBNAILS]))
        for title, mistakes in rows
        if mistakes
    )
    if not shown:
        return ()
    stored = max(len(_result(each).mistakes) for each in pair.values())
    where = f" on {device}" if len(verdict.devices) > 1 else ""
    return (
        Gallery(
            title="Most confident mistakes",
            rows=shown,
            note=f"Predictions of seed {seed}{where}. Each group is taken from the {stored} most confident mistakes of "
            f"one model: the model that is wrong or, where both are, {big}. It shows the first {MAX_THUMBNAILS} that "
            "fit its title, or fewer. Below an image: its true "
            "class, then each model’s prediction, with the confidence where it is under "
            f"{units.percent(NEARLY_CERTAIN)}.",
        ),
    )


def _mistakes(pair: dict[str, TrainingRecord], wrong: str, other: str, *, other_is_right: bool) -> list[Mistake]:
    predictions = _result(pair[other]).test_predictions.array()
    return [each for each in _result(pair[wrong]).mistakes if (predictions[each.index] == each.label) == other_is_right]


def _thumbnail(context: Context, pair: dict[str, TrainingRecord], mistake: Mistake) -> Thumbnail:
    classes = next(iter(pair.values())).data.classes
    lines = [Cell(text=classes[mistake.label])]
    for model, record in pair.items():
        result = _result(record)
        predicted = classes[int(result.test_predictions.array()[mistake.index])]
        confidence = float(_confidences(result)[mistake.index])
        doubt = f" {units.percent(confidence, 0)}" if confidence < NEARLY_CERTAIN else ""
        lines.append(Cell(text=f"{shorten(predicted, 11)}{doubt}", style=context.styles[model]))
    return Thumbnail(
        source=_png(mistake.image.array()),
        description=f"Test image {mistake.index}: {classes[mistake.label]}",
        lines=tuple(lines),
    )


def _png(pixels: NDArray[np.generic]) -> str:
    """Return an image, (channels, height, width), as a PNG data URI."""
    buffer = BytesIO()
    planes = np.moveaxis(np.asarray(pixels, dtype=np.uint8), 0, -1)
    shown = planes[..., 0] if planes.shape[-1] == 1 else planes
    image.imsave(buffer, shown, format="png", cmap="gray", vmin=0, vmax=255, pil_kwargs={"pnginfo": None})
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def calibration(context: Context) -> tuple[Block, ...]:
    """Show whether the models' confidence agrees with their accuracy."""
    return per_device(context, _calibration_on)


def _calibration_on(context: Context, device: str) -> tuple[ContentBlock, ...]:
    drawings, errors, excesses, seeds, smallest = [], [], {}, 1, SMALL_BIN
    for model in context.pair_on(device):
        results, style = results_of(context.trainings_on(device), model), context.styles[model]
        confidences = np.concatenate([_confidences(each) for each in results])
        correct = correct_predictions(results).ravel()
        found = expected_calibration_error(confidences, correct)
        excesses[style.name] = float(confidences.mean() - correct.mean())
        seeds = max(seeds, len(results))
        # the seeds classify the same images, so they do not add independent ones
        images = units.add_up([count / len(results) for count in found.counts])
        rows = []
        for confidence, accuracy, number in zip(found.confidences, found.accuracies, images, strict=True):
            if number:
                interval = wilson_interval(accuracy * number, number)
                rows.append((confidence, accuracy, interval.low, interval.high, number))
        bins = pd.DataFrame(rows, columns=[CONFIDENCE, ACCURACY, LOW, HIGH, IMAGES])
        smallest = min(smallest, *bins[IMAGES])
        figure = curves.reliability(bins, style, title=style.name)
        title = f"Accuracy of {style.name} by confidence on {device}"
        drawings.append(draw(figure, key=f"calibration-{device}-{model}", title=title))
        errors.append(f"{units.pp(found.error).removeprefix('+')} for {style.name}")
    return (
        CaptionedFigure(
            caption=f"The expected calibration error is {units.join_phrases(errors)}{_describe_excesses(excesses)}.",
            drawings=tuple(drawings),
            explanation="Predictions in ten bins of confidence; bins of fewer than one image are left out. The number "
            f"above a bin counts its images{', a mean over seeds' if seeds > 1 else ''}. "
            f"Lines are 95 % confidence intervals of "
            f"the accuracy for that many images (Wilson). {_describe_small_bins(smallest)}On the dashed line, accuracy "
            "equals confidence; below it, the model is overconfident. The expected calibration error is the mean "
            "absolute difference between confidence and accuracy over the bins, weighted by their images.",
        ),
    )


def _describe_excesses(excesses: dict[str, float]) -> str:
    """Return whether confidence is higher than accuracy, on average; nothing where they are the same as shown."""
    if any(units.rounded(100 * each, 1) == 0 for each in excesses.values()):
        return ""
    words = {name: "overconfident" if each > 0 else "underconfident" for name, each in excesses.items()}
    if len({*words.values()}) == 1:
        (word,) = {*words.values()}
        return f": {'both are' if len(words) > 1 else 'it is'} {word}"
    return f": {units.join_phrases([f'{name} is {word}' for name, word in words.items()])}"


def _describe_small_bins(smallest: int) -> str:
    if smallest >= SMALL_BIN:
        return ""
    return f"Bins of fewer than {SMALL_BIN} images have an open marker: they say little. "


def _confidences(result: TrainingResult) -> NDArray[np.float64]:
    return result.test_confidences.array().astype(np.float64) / np.iinfo(np.uint16).max


def _result(record: TrainingRecord) -> TrainingResult:
    (result,) = results_of([record], record.model)
    return result
