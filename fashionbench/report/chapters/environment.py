"""The chapters on machines, data, and cases without a result."""

from collections.abc import Iterator

from fashionbench import units
from fashionbench.catalogue import model_label
from fashionbench.records.grouping import machine
from fashionbench.records.record import Environment, InferenceRecord, TrainingRecord
from fashionbench.report.context import Context, words
from fashionbench.report.view import Block, Table

__all__ = ["data", "environment", "unfinished"]


def environment(context: Context) -> tuple[Block, ...]:
    """Tabulate every machine: hardware, versions, commit, and the command that repeats the run."""
    firsts: dict[str, TrainingRecord | InferenceRecord] = {}
    for each in context.records:
        firsts.setdefault(context.labels[machine(each)], each)
    return tuple(
        Table(
            caption=f"On {label}",
            head=(),
            rows=tuple((words(name), words(value)) for name, value in _facts(each)),
        )
        for label, each in firsts.items()
        if each.status != "absent"
    )


def _facts(record: TrainingRecord | InferenceRecord) -> Iterator[tuple[str, str]]:
    where: Environment = record.environment
    cores = f"{units.count(where.physical_cores)} physical, {units.count(where.logical_cores)} logical"
    yield "device", f"{record.device}: {record.device_name}"
    yield "CPU", f"{where.cpu}, {cores}, {where.threads} threads used"
    yield "memory", units.mebibytes(where.memory_bytes)
    if where.accelerator is not None:
        yield "accelerator", f"{where.accelerator}, driver {where.driver or units.MISSING}"
    yield "system", where.system
    yield "versions", ", ".join(f"{name} {version}" for name, version in sorted(where.versions.items()))
    state = {True: "clean", False: "with uncommitted changes", None: "state unknown"}[where.commit_clean]
    yield "commit", f"{where.commit}, {state}" if where.commit else "installed package"
    yield "repeat with", where.command


def data(context: Context) -> tuple[Block, ...]:
    """Tabulate the data's release, source and digests."""
    info = context.trainings[0].data
    counts = {"training": info.train_images, "validation": info.validation_images, "test": info.test_images}
    rows = [
        ("release", ", ".join(word for word in (info.name, info.release) if word)),
        ("source", info.source),
        ("images", ", ".join(f"{units.count(number)} {use}" for use, number in counts.items())),
        *((f"SHA-256 of {name}", digest) for name, digest in sorted(info.digests.items())),
    ]
    return (
        Table(
            caption="The images",
            head=(),
            rows=tuple((words(name), words(value)) for name, value in rows),
        ),
    )


def unfinished(context: Context) -> tuple[Block, ...]:
    """Tabulate what failed or was absent, with the reason."""
    rows = [
        (
            words(context.labels[machine(each)]),
            words(model_label(each.model)),
            words(f"seed {each.seed}" if isinstance(each, TrainingRecord) else f"batch {each.batch_size}"),
            words(each.status),
            words(each.reason or units.MISSING),
        )
        for each in context.records
        if each.status != "finished"
    ]
    if not rows:
        return ()
    return (Table(caption="Without a result", head=("device", "model", "case", "status", "reason"), rows=tuple(rows)),)
