"""The chapters on the environment, the data, and the cases without a result."""

from collections.abc import Iterator
from typing import Final

from fashionbench import units
from fashionbench.catalogue import model_label
from fashionbench.records.grouping import machine
from fashionbench.records.record import InferenceRecord, TrainingRecord
from fashionbench.report.context import Context, describe_data, text_cell
from fashionbench.report.view import Block, Cell, Table

__all__ = ["data", "environment", "unfinished_cases"]

CODE: Final = ("commit", "command")


def environment(context: Context) -> tuple[Block, ...]:
    """Tabulate the environment of each device: hardware, versions, commit, and the command that repeats the run."""
    firsts: dict[str, TrainingRecord | InferenceRecord] = {}
    for each in context.records:
        firsts.setdefault(context.labels[machine(each)], each)
    return tuple(
        Table(
            caption=f"Environment on {label}",
            header=(),
            rows=tuple(
                (text_cell(name), Cell(text=value, is_text=True, is_code=name in CODE))
                for name, value in _properties(each)
            ),
        )
        for label, each in firsts.items()
        if each.status != "absent"
    )


def _properties(record: TrainingRecord | InferenceRecord) -> Iterator[tuple[str, str]]:
    found = record.environment
    cores = f"{units.count(found.physical_cores)} physical and {units.count(found.logical_cores)} logical cores"
    yield "device", f"{record.device}: {record.device_name}"
    usable = "" if found.usable_cpus is None else f", of which this run may use {units.count(found.usable_cpus)}"
    yield "CPU", f"{found.cpu}, {cores}{usable}; {found.threads} threads used"
    if found.governor is not None:
        yield "CPU frequency governor", found.governor
    yield "memory", units.mebibytes(found.memory_bytes)
    if found.accelerator is not None:
        yield "accelerator", f"{found.accelerator}, {found.driver or 'driver not readable'}"
    yield "system", found.system
    yield "versions", ", ".join(f"{name} {version}" for name, version in sorted(found.versions.items()))
    state = {True: "clean", False: "with uncommitted changes", None: "state unknown"}[found.commit_clean]
    yield "commit", f"{found.commit}, {state}" if found.commit else "none: installed package"
    yield "command", found.command


def data(context: Context) -> tuple[Block, ...]:
    """Tabulate the release, source and digests of the data."""
    info = context.trainings[0].data
    counts = {"training": info.train_images, "validation": info.validation_images, "test": info.test_images}
    rows = [
        ("images", describe_data(info)),
        ("source", info.source),
        ("split", ", ".join(f"{units.count(number)} {use}" for use, number in counts.items())),
        *((f"SHA-256 of {name}", digest) for name, digest in sorted(info.digests.items())),
    ]
    return (
        Table(
            caption="Data set",
            header=(),
            rows=tuple(
                (text_cell(name), Cell(text=value, is_text=True, is_code=name.startswith("SHA")))
                for name, value in rows
            ),
        ),
    )


def unfinished_cases(context: Context) -> tuple[Block, ...]:
    """Tabulate the cases that failed, and those whose device is absent, with the reason."""
    rows = [
        (
            text_cell(context.labels[machine(each)]),
            text_cell(model_label(each.model)),
            text_cell(f"seed {each.seed}" if isinstance(each, TrainingRecord) else f"batch size {each.batch_size}"),
            text_cell(each.status),
            text_cell(each.reason or units.MISSING),
        )
        for each in context.records
        if each.status != "finished"
    ]
    if not rows:
        return ()
    return (
        Table(
            caption="Failed cases and absent devices",
            header=("device", "model", "case", "status", "reason"),
            rows=tuple(rows),
        ),
    )
