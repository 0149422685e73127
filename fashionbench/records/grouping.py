"""Which records belong together: the finished trainings, the machine of each, its label, and the order in a report.

Everything that compares or averages records selects them here, so that tables, verdict and comparison agree.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fashionbench.records.record import InferenceRecord, TrainingRecord

__all__ = ["Machine", "device_labels", "finished_trainings", "in_order", "machine"]


class Machine(NamedTuple):
    """What must be the same for two measurements to be averaged."""

    device: str
    name: str
    cpu: str
    """Of the host."""
    threads: int
    """On a CPU; 0 on an accelerator."""
    how: str
    """Execution and precision, if they are not the defaults."""
    recipe: str
    """Of a training; empty for inference."""


def machine(record: TrainingRecord | InferenceRecord) -> Machine:
    """Return where and how a record was measured."""
    return Machine(
        device=record.device,
        name=record.device_name,
        cpu=record.environment.cpu,
        threads=record.environment.threads if record.device == "cpu" else 0,
        how=" ".join(word for word in (record.execution, record.precision) if word not in {"fast", "fp32"}),
        recipe=record.recipe.name if isinstance(record, TrainingRecord) else "",
    )


def finished_trainings(records: Iterable[TrainingRecord | InferenceRecord]) -> tuple[TrainingRecord, ...]:
    """Return the trainings that have a result, in the given order."""
    return tuple(each for each in records if isinstance(each, TrainingRecord) and each.result is not None)


def in_order(
    records: Iterable[TrainingRecord | InferenceRecord],
) -> tuple[TrainingRecord | InferenceRecord, ...]:
    """Return records in the order of a report: by machine, kind, seed or batch size, and model."""

    def sort_key(record: TrainingRecord | InferenceRecord) -> tuple[Machine, str, int, str, str]:
        number = record.seed if isinstance(record, TrainingRecord) else record.batch_size
        return machine(record), record.kind, number, record.model, record.measured_at

    return tuple(sorted(records, key=sort_key))


def device_labels(records: Iterable[TrainingRecord | InferenceRecord]) -> Mapping[Machine, str]:
    """Return the label of each machine: its device word, and as much more as distinguishes it from the others.

    The label includes execution and precision if they are not the defaults, and the recipe if there are several.
    """
    machines = list(dict.fromkeys(machine(record) for record in records))
    several = len({key.recipe for key in machines} - {""}) > 1
    words = {
        key: " ".join(word for word in (key.device, key.how, key.recipe if several else "") if word) for key in machines
    }
    candidates = [
        words,
        {key: f"{words[key]} ({key.name or 'absent'})" for key in machines},
        {key: f"{words[key]} ({key.name or 'absent'}, host {key.cpu}, {key.threads} threads)" for key in machines},
    ]
    labels: dict[Machine, str] = {}
    for key in machines:
        labels[key] = next(
            (
                names[key]
                for names in candidates
                if len({each[:-1] for each in machines if names[each] == names[key]}) == 1
            ),
            candidates[-1][key],
        )
    return labels
