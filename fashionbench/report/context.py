"""The input of every chapter: records, verdict, compared models and their styles; and the cells and drawings of all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import sub
from typing import Literal

from matplotlib.figure import Figure

from fashionbench import units
from fashionbench.catalogue import model_label, release_label
from fashionbench.judging.statistics.times import mean_minutes
from fashionbench.judging.verdict import DeviceVerdict, Verdict
from fashionbench.options.option import Score
from fashionbench.records.grouping import (
    Machine,
    at_largest_budget,
    device_labels,
    finished_trainings,
    machine,
    select,
)
from fashionbench.records.record import DataInfo, InferenceRecord, TrainingRecord, TrainingResult
from fashionbench.report.figures.style import HALF, ModelStyle, make_styles
from fashionbench.report.figures.svg import to_svg
from fashionbench.report.view import Block, Cell, ContentBlock, DeviceSubsection, Drawing

__all__ = [
    "Context",
    "TimeUnit",
    "accuracy_digits",
    "describe_data",
    "describe_seeds",
    "draw",
    "make_context",
    "model_cell",
    "number_cell",
    "per_device",
    "results_of",
    "text_cell",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeUnit:
    """How the training times of a device are shown: such that their ratio and difference follow from what is shown."""

    name: Literal["min", "s"]
    digits: int

    def number(self, minutes: float) -> str:
        """Return minutes in this unit, without its name."""
        return units.fixed(minutes * (60 if self.name == "s" else 1), self.digits)

    def show(self, minutes: float) -> str:
        """Return minutes in this unit."""
        return f"{self.number(minutes)}{units.SPACE}{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Context:
    """The input of every chapter."""

    records: Sequence[TrainingRecord | InferenceRecord]
    left_out: tuple[str, ...]
    """A sentence for each reason for which records are not in the report."""
    trainings: tuple[TrainingRecord, ...]
    """The finished trainings."""
    styles: Mapping[str, ModelStyle]
    """By model, fewest parameters first."""
    labels: Mapping[Machine, str]
    """The name of each device on the page."""
    devices: tuple[str, ...]
    """Labels of the devices on which a training finished."""
    verdict: Verdict | None

    @property
    def score(self) -> Score:
        """Return what the verdict compares; without a verdict, accuracy."""
        return self.verdict.thresholds.score if self.verdict else "accuracy"

    @property
    def score_name(self) -> str:
        """Return what readers call this score."""
        return self.verdict.thresholds.score_name if self.verdict else "accuracy"

    def trainings_on(self, device: str) -> list[TrainingRecord]:
        """Return the finished trainings on a device, smallest model first, then by seed."""
        order = list(self.styles)
        found = [each for each in self.trainings if self.labels[machine(each)] == device]
        return sorted(found, key=lambda each: (order.index(each.model), each.seed))

    def models_on(self, device: str) -> list[str]:
        """Return the models that finished on a device, smallest first."""
        return list(dict.fromkeys(each.model for each in self.trainings_on(device)))

    def verdict_on(self, device: str) -> DeviceVerdict | None:
        """Return the verdict on a device; None if there is none."""
        return next((each for each in (self.verdict.devices if self.verdict else ()) if each.device == device), None)

    def pair_on(self, device: str) -> list[str]:
        """Return the models that the figures of a device compare: smallest and largest, or the only one."""
        if self.verdict is not None and self.verdict_on(device) is not None:
            return [self.verdict.small, self.verdict.big]
        models = self.models_on(device)
        return list(dict.fromkeys([models[0], models[-1]]))

    def time_unit(self, device: str) -> TimeUnit:
        """Return how the training times on a device are shown: in seconds where minutes round badly."""
        trainings = self.trainings_on(device)
        digits = units.decimals(*(mean_minutes(results_of(trainings, each)) for each in self.models_on(device)))
        judged = self.verdict_on(device)
        if judged is None or _times_follow(judged, 1, digits):
            return TimeUnit(name="min", digits=digits)
        return TimeUnit(name="s", digits=next((each for each in range(4) if _times_follow(judged, 60, each)), 4))

    def serving_times(self, device: str) -> dict[int, tuple[float, float]]:
        """Return the median seconds of the small and the big model's batch, by batch size, where both were timed."""
        host = self.trainings_on(device)[0]
        found = {
            (each.model, each.batch_size): each.result.median_seconds()
            for each in self.records
            if isinstance(each, InferenceRecord)
            and each.result is not None
            and (each.device, each.device_name) == (host.device, host.device_name)
        }
        pair = (self.verdict.small, self.verdict.big) if self.verdict else ()
        batches = sorted({batch for _, batch in found})
        return {
            batch: (found[pair[0], batch], found[pair[1], batch])
            for batch in batches
            if pair and all((model, batch) in found for model in pair)
        }


def _times_follow(judged: DeviceVerdict, scale: int, digits: int) -> bool:
    """Say whether the ratio and the difference of two training times follow from the times as they are shown."""
    times = [scale * judged.big_minutes, scale * judged.small_minutes]
    big, small = (units.rounded(each, digits) for each in times)
    slowdown = judged.evidence().slowdown
    places = 1 if slowdown is None else units.ratio_digits(slowdown.high)
    return (
        small > 0
        and units.fixed(big / small, places) == units.fixed(judged.slowdown.estimate, places)
        and units.fixed(big - small, digits) == units.fixed(sub(*times), digits)
    )


def accuracy_digits(judged: DeviceVerdict) -> int:
    """Return how many decimals of the two accuracies, in percent, show that the gain is their difference."""
    parts = (100 * judged.big_accuracy, 100 * judged.small_accuracy)
    return units.digits_to_follow(parts, sub, lambda gain: units.signed(gain, 1))


def make_context(records: Sequence[TrainingRecord | InferenceRecord], verdict: Verdict | None) -> Context:
    """Return the context of a report about those of the records that belong together.

    Of a run with budgets, it has the trainings of the largest; the verdict has all.
    """
    selection = select(records)
    records = at_largest_budget(selection.records)
    sizes: dict[str, int] = {}
    for each in records:
        size = each.model_info.parameters if each.model_info else 0
        sizes[each.model] = max(size, sizes.get(each.model, 0))
    labels = device_labels(records)
    finished = finished_trainings(records)
    return Context(
        records=records,
        left_out=selection.left_out,
        trainings=finished,
        styles=make_styles(
            {model: model_label(model) for model in sorted(sizes, key=lambda name: (sizes[name], name))}
        ),
        labels=labels,
        devices=tuple(dict.fromkeys(labels[machine(each)] for each in finished)),
        verdict=verdict,
    )


def per_device(context: Context, build: Callable[[Context, str], tuple[ContentBlock, ...]]) -> tuple[Block, ...]:
    """Return the blocks of all devices; with several devices, each has a subsection."""
    built = {device: build(context, device) for device in context.devices}
    if len(built) == 1:
        return next(iter(built.values()))
    return tuple(DeviceSubsection(device=device, blocks=blocks) for device, blocks in built.items() if blocks)


def results_of(trainings: Sequence[TrainingRecord], model: str) -> list[TrainingResult]:
    """Return the results of one model's finished trainings."""
    return [each.result for each in trainings if each.model == model and each.result is not None]


def draw(figure: Figure, *, key: str, title: str) -> Drawing:
    """Return a figure as a drawing; ``key`` is unique on the page, ``title`` is its text alternative."""
    return Drawing(svg=to_svg(figure, key=key, title=title), is_wide=figure.get_figwidth() * 72 > HALF)


def number_cell(text: str) -> Cell:
    """Return a table cell that contains a number."""
    return Cell(text=text)


def text_cell(text: str) -> Cell:
    """Return a table cell that contains text."""
    return Cell(text=text, is_text=True)


def model_cell(style: ModelStyle) -> Cell:
    """Return a table cell that names a model, with its marker and colour."""
    return Cell(text=style.name, style=style, is_text=True)


def describe_data(data: DataInfo) -> str:
    """Return the name of the images, with their release where they have one."""
    return f"{data.name} ({release_label(data.release)})" if data.release else data.name


def describe_seeds(*numbers: int) -> str:
    """Return numbers of seeds with their noun: ``1 seed``, ``3 seeds``, ``2 or 3 seeds``."""
    different = sorted({*numbers})
    return f"{' or '.join(map(str, different))} seed{'' if different == [1] else 's'}"
