"""A node of a Ray cluster: what it is, and what it runs."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ParamSpec, TypeVar

import torch

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import Device, list_devices
from fashionbench.devices.environment import describe_environment
from fashionbench.models.registry import source_of
from fashionbench.records.record import Environment, TrainingRecord
from fashionbench.running.process import Job, Message, clean_context, messages_of_child, start_fork_server_on_node
from fashionbench.training.case import Case
from fashionbench.training.identity import code_digest

__all__ = ["Node", "call_in_child", "describe_node", "last_line", "read_checkpoint", "task_on", "train_in_child"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine of the cluster that measures with the same code as this one."""

    id: str
    address: str
    cpus: int
    gpus: int
    """Both as Ray counts them."""
    devices: tuple[Device, ...]
    environments: tuple[Environment, ...] = field(default=(), compare=False)
    """Of each device, for the record of a case that was lost here."""

    def places(self, device: Device) -> int:
        """Return how many cases may run at once: one on a CPU, one on each GPU where all are of one kind."""
        kinds = len(self.devices) - 1
        return self.gpus if device.word != "cpu" and kinds == 1 and self.gpus else 1

    def share(self, device: Device) -> dict[str, int]:
        """Return what a case takes of the node, so that Ray gives it to nobody else."""
        places = self.places(device)
        return {
            "num_cpus": max(1, self.cpus // places),
            "num_gpus": self.gpus // places if device.word != "cpu" else 0,
        }


def task_on(node: Node, function: Callable[..., object], **options: object) -> Any:  # noqa: ANN401 - Ray's own types
    """Return a function as a Ray task bound to a node; what to do where it is lost is decided here, not by Ray."""
    import ray  # noqa: PLC0415 - an extra
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415 - the same

    strategy = NodeAffinitySchedulingStrategy(node.id, soft=False)
    # not by .options(): only so Ray ends a worker that had GPUs, whose helper would keep showing those to later cases
    given: dict[str, Any] = {"scheduling_strategy": strategy, "max_retries": 0, **options}
    return ray.remote(**given)(function)


def last_line(error: BaseException) -> str:
    """Return the type and the last line of an error, cut to 200 characters."""
    last = (str(error).strip().splitlines() or [""])[-1]
    return f"{type(error).__name__} {last[:200]}".strip()


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
    start_fork_server_on_node()
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
    start_fork_server_on_node()
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
