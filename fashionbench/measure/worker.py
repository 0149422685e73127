"""What a node of a Ray cluster carries out: it tells what it is, calls a function, measures a case."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ParamSpec, TypeVar

import torch

from fashionbench.measure.case import Case
from fashionbench.measure.child import Job, Message, messages_of_child
from fashionbench.measure.data import Dataset
from fashionbench.measure.devices import Device, list_devices
from fashionbench.measure.environment import describe_environment
from fashionbench.measure.helper import clean_context, start_helper_on_node
from fashionbench.measure.identity import code_digest
from fashionbench.measure.models import source_of
from fashionbench.record import Environment, TrainingRecord

__all__ = ["call_in_child", "describe_node", "read_checkpoint", "train_in_child"]

P = ParamSpec("P")
T = TypeVar("T")


def describe_node(models: Sequence[str]) -> tuple[tuple[Device, ...], tuple[Environment, ...], dict[str, str]]:
    """Return this machine's devices, the environment of each, and what must be the same on every node of a run.

    Raises:
        InputError: A model cannot be loaded here.

    """
    sources = {f"model {name}": hashlib.sha256(source_of(name)).hexdigest() for name in models}
    devices = list_devices()
    environments = tuple(describe_environment(device, "") for device in devices)
    return devices, environments, {"torch": torch.__version__, "fashionbench": code_digest(), **sources}


def call_in_child(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a process of its own, with as many threads as it would have without Ray."""
    start_helper_on_node()
    with ProcessPoolExecutor(1, mp_context=clean_context()) as pool:
        return pool.submit(function, *args, **kwargs).result()


def train_in_child(  # noqa: PLR0913, PLR0917 - Ray fetches what is stored only where it is an argument of its own
    case: Case,
    dataset: Dataset,
    command: str,
    checkpoint: bytes | None,
    seconds_between_checkpoints: float,
    limit_seconds: float | None,
) -> Iterator[Message | bytes]:
    """Measure a case in a process of its own on this node, and yield what it tells and each checkpoint it saves."""
    start_helper_on_node()
    with TemporaryDirectory(prefix="fashionbench-") as folder:
        path = Path(folder, "case.pt")
        if checkpoint is not None:
            path.write_bytes(checkpoint)
        job = Job(
            case=case,
            dataset=dataset,
            command=command,
            checkpoint=path,
            seconds_between_checkpoints=seconds_between_checkpoints,
        )
        sent = _saved_at(path)
        with closing(messages_of_child(job, limit_seconds)) as messages:
            for message in messages:
                yield message
                saved, content = _saved_at(path), None
                if saved != sent and not isinstance(message, TrainingRecord):
                    content = read_checkpoint(path)
                if content is not None:
                    sent = saved
                    yield content


def _saved_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # none yet, or the next is just being put in its place
        return 0


def read_checkpoint(path: Path) -> bytes | None:
    """Return what a checkpoint's file holds, to send it to another machine; None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
