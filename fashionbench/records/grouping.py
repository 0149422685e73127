"""Which records were measured alike: the machine of each, its label for readers, and the order in a report."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fashionbench.records.record import InferenceRecord, TrainingRecord

__all__ = ["Machine", "device_labels", "in_order", "machine"]


class Machine(NamedTuple):
    """What must agree before two measurements may be averaged."""

    device: str
    name: str
    cpu: str
    """The host's."""
    threads: int
    """On a CPU; 0 elsewhere."""
    how: str
    """Execution and precision, where they are not the usual ones."""
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


def in_order(
    records: Iterable[TrainingRecord | InferenceRecord],
) -> tuple[TrainingRecord | InferenceRecord, ...]:
    """Return records in the one order in which a report takes them, however they came: device, model, seed or batch."""

    def place(record: TrainingRecord | InferenceRecord) -> tuple[Machine, str, int, str, str]:
        number = record.seed if isinstance(record, TrainingRecord) else record.batch_size
        return machine(record), record.kind, number, record.model, record.measured_at

    return tuple(sorted(records, key=place))


def device_labels(records: Iterable[TrainingRecord | InferenceRecord]) -> Mapping[Machine, str]:
    """Return each machine's label: its device word, and only as much more as tells it from the others.

    Execution and precision always stand there where they are not the usual ones, the recipe where there are several.
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
