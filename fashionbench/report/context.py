"""What every chapter is written from: the records, the models compared on each device, and each model's style."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from fashionbench.catalogue import model_label
from fashionbench.judging.intervals import Correct, Interval, gain_interval, wilson_interval
from fashionbench.judging.verdict import DeviceVerdict, Verdict
from fashionbench.records.grouping import Machine, device_labels, in_order, machine
from fashionbench.records.record import InferenceRecord, TrainingRecord, TrainingResult
from fashionbench.report.figures.style import HALF, ModelStyle, make_styles
from fashionbench.report.figures.svg import to_svg
from fashionbench.report.view import Block, Cell, Drawing, Part, Shown

__all__ = [
    "Context",
    "accuracy_interval",
    "cell",
    "draw",
    "make_context",
    "mean_minutes",
    "per_device",
    "results_of",
    "seed_words",
    "words",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Context:
    """The input of every chapter."""

    records: Sequence[TrainingRecord | InferenceRecord]
    trainings: tuple[TrainingRecord, ...]
    """The finished ones."""
    styles: Mapping[str, ModelStyle]
    """By model, simplest first."""
    labels: Mapping[Machine, str]
    devices: tuple[str, ...]
    """Labels of the devices on which a training finished."""
    verdict: Verdict | None

    def on(self, device: str) -> list[TrainingRecord]:
        """Return the finished trainings on a device, simplest model first, then by seed."""
        order = list(self.styles)
        mine = [each for each in self.trainings if self.labels[machine(each)] == device]
        return sorted(mine, key=lambda each: (order.index(each.model), each.seed))

    def models_on(self, device: str) -> list[str]:
        """Return the models that finished on a device, simplest first."""
        return list(dict.fromkeys(each.model for each in self.on(device)))

    def judged(self, device: str) -> DeviceVerdict | None:
        """Return the verdict on a device, if there is one."""
        return next((each for each in (self.verdict.devices if self.verdict else ()) if each.device == device), None)

    def pair_on(self, device: str) -> list[str]:
        """Return the models that the pictures of a device compare: simplest and biggest, or the only one."""
        if self.verdict is not None and self.judged(device) is not None:
            return [self.verdict.small, self.verdict.big]
        models = self.models_on(device)
        return list(dict.fromkeys([models[0], models[-1]]))


def make_context(records: Sequence[TrainingRecord | InferenceRecord], verdict: Verdict | None) -> Context:
    """Return the context of a report."""
    records = in_order(records)
    sizes: dict[str, int] = {}
    for each in records:
        size = each.model_info.parameters if each.model_info else 0
        sizes[each.model] = max(size, sizes.get(each.model, 0))
    labels = device_labels(records)
    finished = tuple(each for each in records if isinstance(each, TrainingRecord) and each.result is not None)
    return Context(
        records=records,
        trainings=finished,
        styles=make_styles(
            {model: model_label(model) for model in sorted(sizes, key=lambda name: (sizes[name], name))}
        ),
        labels=labels,
        devices=tuple(dict.fromkeys(labels[machine(each)] for each in finished)),
        verdict=verdict,
    )


def per_device(context: Context, build: Callable[[Context, str], tuple[Shown, ...]]) -> tuple[Block, ...]:
    """Return the blocks of every device in turn, each device's in a part of its own where there are several."""
    built = {device: build(context, device) for device in context.devices}
    if len(built) == 1:
        return next(iter(built.values()))
    return tuple(Part(device=device, blocks=blocks) for device, blocks in built.items() if blocks)


def results_of(trainings: Sequence[TrainingRecord], model: str) -> list[TrainingResult]:
    """Return the results of one model's finished trainings."""
    return [each.result for each in trainings if each.model == model and each.result is not None]


def accuracy_interval(results: Sequence[TrainingResult]) -> Interval:
    """Return the 95 % interval of one model's mean test accuracy.

    One training: Wilson's. Several: that of the gain over a model that is never right, so that it carries seeds and
    test images just as the gain does.
    """
    correct: Correct = np.stack(
        [np.asarray(each.test_predictions.array() == each.test_labels.array()) for each in results]
    )
    if len(correct) == 1:
        return wilson_interval(int(correct.sum()), correct.size)
    return gain_interval(correct, np.zeros_like(correct))


def draw(figure: Figure, *, key: str, title: str) -> Drawing:
    """Return a figure as a drawing; ``key`` is unique on the page, ``title`` is for those who cannot see it."""
    return Drawing(svg=to_svg(figure, key=key, title=title), is_wide=figure.get_figwidth() * 72 > HALF)


def cell(text: str) -> Cell:
    """Return a cell of a number."""
    return Cell(text=text)


def words(text: str) -> Cell:
    """Return a cell of words."""
    return Cell(text=text, words=True)


def seed_words(number: int) -> str:
    """Return a number of seeds in words."""
    return f"{number} seed" if number == 1 else f"{number} seeds"


def mean_minutes(results: list[TrainingResult]) -> float:
    """Return the geometric mean of training minutes, the verdict's own statistic."""
    return float(np.exp(np.mean([np.log(max(each.train_seconds, 1e-9) / 60) for each in results])))
