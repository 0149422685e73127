"""What disturbed the trainings' minutes: other processes, pauses and interruptions."""

from collections.abc import Iterator

from fashionbench import units
from fashionbench.catalogue import model_label
from fashionbench.report.context import Context
from fashionbench.report.view import Note

__all__ = ["describe_disturbances"]


def describe_disturbances(context: Context) -> Iterator[Note]:
    """Yield a note on each kind of disturbance that the records show."""
    results = [(each, each.result) for each in context.trainings if each.result is not None]
    every = units.count(len(results))
    disturbed = [(record, result) for record, result in results if result.disturbed_epochs()]
    if disturbed:
        epochs = sum(len(result.disturbed_epochs()) for _, result in disturbed)
        most, worst = max(
            (max(share or 0.0 for share in result.others_cpu_share), f"{model_label(record.model)}, seed {record.seed}")
            for record, result in disturbed
        )
        yield Note(
            text=f"Other processes used up to {units.percent(most, 0)} of the CPUs ({worst}), and over "
            f"5{units.SPACE}% in {_number(epochs, 'epoch')} of {len(disturbed)} of {every} trainings. Those training "
            "times are too long, so the slowdown is not reliable. Close other programs, then measure again:",
            command="nox -s bench -- --fresh",
        )
    paused = [result.paused_seconds for _, result in results if result.paused_seconds]
    if paused:
        yield Note(
            text=f"{len(paused)} of {every} trainings stood still for {_number(round(sum(paused)), 'second')} in all: "
            "their process was stopped or suspended. This is not part of the training time."
        )
    resumed = sum(result.resumed > 0 for _, result in results)
    if resumed:
        yield Note(
            text=f"{resumed} of {every} trainings were interrupted and resumed from a checkpoint. Their training time "
            "is that of the steps that were kept."
        )


def _number(count: int, noun: str) -> str:
    return f"{units.count(count)} {noun}{'' if count == 1 else 's'}"
