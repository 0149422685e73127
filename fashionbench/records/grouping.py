"""Which records belong together: the selection, the machine of each record, its label, and the order in a report.

Everything that compares or averages records selects them here, so that tables, verdict and comparison agree.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from fashionbench.errors import InputError
from fashionbench.records.record import InferenceRecord, TrainingRecord

__all__ = [
    "Machine",
    "Selection",
    "at_largest_budget",
    "device_labels",
    "finished_trainings",
    "in_order",
    "machine",
    "select",
]

SCORED_ON: Final = "scored on"
"""Key among the digests of the data of trials, whose scores are of validation images."""

AnyRecord = TrainingRecord | InferenceRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The records that belong together, and what was left out."""

    records: tuple[TrainingRecord | InferenceRecord, ...]
    """In the order of a report."""
    left_out: tuple[str, ...]
    """A sentence for each reason to leave records out."""


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
    """Of a training, with its budget; empty for inference."""


def machine(record: TrainingRecord | InferenceRecord) -> Machine:
    """Return where and how a record was measured."""
    return Machine(
        device=record.device,
        name=record.device_name,
        cpu=record.environment.cpu,
        threads=record.environment.threads if record.device == "cpu" else 0,
        how=" ".join(word for word in (record.execution, record.precision) if word not in {"fast", "fp32"}),
        recipe=record.recipe.label if isinstance(record, TrainingRecord) else "",
    )


def select(records: Iterable[TrainingRecord | InferenceRecord]) -> Selection:
    """Return the records that a report, a verdict or a comparison is about.

    On each machine, these are the records of the newest code and of each model's newest source, and of each case the
    newest record. A finished record of a case comes before a failed one. Installation checks count only if no training
    of another recipe was carried out, trials of a tuning never. A selection of a selection is the same records.

    Raises:
        InputError: All records are trials of a tuning.

    """
    left_out = []
    kept, others = _divide(
        in_order(records), lambda each: not isinstance(each, TrainingRecord) or SCORED_ON not in each.data.digests
    )
    if others and not kept:
        raise InputError(
            "records of a tuning alone, whose trials are scored on validation images",
            expected="records of trainings that are scored on test images",
            remedy="train by the recipe that the tuning wrote, and report that run",
        )
    if others:
        left_out.append(f"{_count(others)} of a tuning, scored on validation images, {_are(others)} left out.")
    if any(_is_result(each) for each in kept):
        kept, others = _divide(kept, lambda each: not isinstance(each, TrainingRecord) or each.recipe.is_result)
        if others:
            recipes = ", ".join(sorted({each.recipe.name for each in others if isinstance(each, TrainingRecord)}))
            left_out.append(f"{_count(others)} of an installation check (recipe {recipes}) {_are(others)} left out.")
    newest_code = _newest(kept, _setting, _code)
    kept, others = _divide(kept, lambda each: _code(each) == newest_code[_setting(each)])
    if others:
        names = ", ".join(sorted({_name_code(each) for each in others}))
        left_out.append(f"{_count(others)} of older code ({names}) {_are(others)} left out.")
    newest_model = _newest(kept, lambda each: (_setting(each), each.model), lambda each: each.model_sha256)
    kept, others = _divide(kept, lambda each: each.model_sha256 == newest_model[_setting(each), each.model])
    if others:
        models = ", ".join(sorted({each.model for each in others}))
        left_out.append(f"{_count(others)} of an older source of {models} {_are(others)} left out.")
    best: dict[Hashable, AnyRecord] = {}
    for each in kept:
        best[_case(each)] = max(best.get(_case(each), each), each, key=_rank)
    kept, others = _divide(kept, lambda each: best[_case(each)] is each)
    if others:
        left_out.append(f"{_count(others)} of cases that were measured again {_are(others)} left out.")
    return Selection(records=kept, left_out=tuple(left_out))


def _is_result(record: AnyRecord) -> bool:
    """Say whether a record is of a training that was carried out with a recipe whose results count."""
    return isinstance(record, TrainingRecord) and record.recipe.is_result and record.status != "absent"


def _divide(
    records: tuple[AnyRecord, ...], wanted: Callable[[AnyRecord], bool]
) -> tuple[tuple[AnyRecord, ...], tuple[AnyRecord, ...]]:
    """Return the records that are wanted, and the others."""
    return tuple(filter(wanted, records)), tuple(each for each in records if not wanted(each))


def _newest(
    records: Iterable[AnyRecord], group: Callable[[AnyRecord], Hashable], part: Callable[[AnyRecord], Hashable]
) -> dict[Hashable, Hashable]:
    """Return a part of the newest record of each group."""
    return {group(each): part(each) for each in sorted(records, key=lambda each: each.measured_at)}


def _setting(record: AnyRecord) -> Hashable:
    """Return where and with which data a record was measured: records that differ in it are never averaged."""
    return machine(record), record.kind, _data(record)


def _data(record: AnyRecord) -> Hashable:
    """Return the images of a training. A known release is the same images, whatever files they came from."""
    if isinstance(record, InferenceRecord):
        return ()
    return record.data.name, record.data.release or tuple(sorted(record.data.digests.items()))


def _code(record: AnyRecord) -> Hashable:
    return record.code_sha256 or record.environment.commit, record.environment.versions.get("torch")


def _name_code(record: AnyRecord) -> str:
    """Return a record's code for readers, as its commit if it is known."""
    commit, digest = record.environment.commit, record.code_sha256
    known = f"commit {commit[:8]}" if commit else f"code {digest[:8]}" if digest else "an unknown commit"
    return f"{known}, torch {record.environment.versions.get('torch', 'unknown')}"


def _case(record: AnyRecord) -> Hashable:
    number = record.seed if isinstance(record, TrainingRecord) else record.batch_size
    return _setting(record), record.model, number


def _rank(record: AnyRecord) -> tuple[bool, str]:
    return record.status == "finished", record.measured_at


def _count(records: tuple[AnyRecord, ...]) -> str:
    return "1 record" if len(records) == 1 else f"{len(records):,} records"


def _are(records: tuple[AnyRecord, ...]) -> str:
    return "is" if len(records) == 1 else "are"


def finished_trainings(records: Iterable[TrainingRecord | InferenceRecord]) -> tuple[TrainingRecord, ...]:
    """Return the trainings that have a result, in the given order."""
    return tuple(each for each in records if isinstance(each, TrainingRecord) and each.result is not None)


def at_largest_budget(
    records: Iterable[TrainingRecord | InferenceRecord],
) -> tuple[TrainingRecord | InferenceRecord, ...]:
    """Return records without those of other budgets than the largest with which a training finished."""
    records = tuple(records)
    trainings = finished_trainings(records) or [each for each in records if isinstance(each, TrainingRecord)]
    largest = max((each.recipe.budget_minutes or 0 for each in trainings), default=0)
    return tuple(
        each
        for each in records
        if not isinstance(each, TrainingRecord) or each.recipe.budget_minutes in {None, largest}
    )


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
    short = {
        key: " ".join(part for part in (key.device, key.how, key.recipe if several else "") if part) for key in machines
    }
    candidates = [
        short,
        {key: f"{short[key]} ({key.name or 'absent'})" for key in machines},
        {key: f"{short[key]} ({key.name or 'absent'}, host {key.cpu}, {key.threads} threads)" for key in machines},
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
