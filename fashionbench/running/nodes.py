"""A node of a Ray cluster: what it is, and what it runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import torch

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import Device, list_devices
from fashionbench.devices.environment import describe_environment
from fashionbench.errors import SetupError
from fashionbench.records.files import temporary_folder
from fashionbench.records.record import Environment, TrainingRecord
from fashionbench.running.process.call import SECONDS_TO_ANSWER as CALL_SECONDS
from fashionbench.running.process.call import call_within
from fashionbench.running.process.case import Job, Message, messages_of_process
from fashionbench.running.process.own import digest_in_process
from fashionbench.running.process.server import start_fork_server_on_node
from fashionbench.training.identity import code_digest, model_digest

__all__ = ["Node", "call_on_node", "find_nodes", "last_line", "read_checkpoint", "task_on", "train_on_node"]

P = ParamSpec("P")
T = TypeVar("T")

SECONDS_TO_ANSWER: Final = 120.0
"""How long a node may take to say what it is: it imports torch first."""


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
    """Of each device, in the same order."""

    def environment(self, device: Device) -> Environment:
        """Return the environment of one of its devices."""
        return self.environments[self.devices.index(device)]

    def slots(self, device: Device) -> int:
        """Return how many cases may run at once: one on a CPU, one on each GPU where all are of one kind."""
        kinds = len(self.devices) - 1
        return self.gpus if device.word != "cpu" and kinds == 1 and self.gpus else 1

    def share(self, device: Device) -> dict[str, int]:
        """Return what a case takes of the node, so that Ray gives it to nobody else."""
        slots = self.slots(device)
        return {
            "num_cpus": max(1, self.cpus // slots),
            "num_gpus": self.gpus // slots if device.word != "cpu" else 0,
        }


def task_on(node: Node, function: Callable[..., object], **options: object) -> Any:  # noqa: ANN401 - Ray's own types
    """Return a function as a Ray task bound to a node; what to do where it is lost is decided here, not by Ray."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    strategy = NodeAffinitySchedulingStrategy(node.id, soft=False)
    # not by .options(): only so Ray ends a worker that had GPUs, whose fork server would show those to later cases
    given: dict[str, Any] = {"scheduling_strategy": strategy, "max_retries": 0, **options}
    return ray.remote(**given)(function)


def last_line(error: BaseException) -> str:
    """Return the type and the last line of an error, cut to 200 characters."""
    last = (str(error).strip().splitlines() or [""])[-1]
    return f"{type(error).__name__} {last[:200]}".strip()


def find_nodes(models: Sequence[str], command: str) -> tuple[list[Node], tuple[str, ...]]:
    """Ask every node of the cluster, all at once; return those that can measure, and a line for each of the others.

    Left out is a node that does not answer, or where the code, torch or a model differs from here.

    Raises:
        InputError: A model cannot be loaded here.
        SetupError: No node can measure.

    """
    import ray

    own = _describe_software({name: digest_in_process(name, None) for name in models})
    asked = []
    for each in ray.nodes():  # type: ignore[no-untyped-call] # Ray gives it no types
        cpus, gpus = (int(each["Resources"].get(name, 0)) for name in ("CPU", "GPU"))
        if each["Alive"] and cpus:
            node = Node(id=each["NodeID"], address=each["NodeManagerAddress"], cpus=cpus, gpus=gpus, devices=())
            # a worker that had GPUs ends with its task, and its helper with it
            begun = [] if gpus else [task_on(node, start_fork_server_on_node, num_cpus=cpus).remote()]
            task = task_on(node, call_on_node, num_cpus=cpus, num_gpus=gpus)
            asked.append((node, [*begun, task.remote(describe_node, models, command)]))
    nodes, left_out = [], []
    answered, _ = ray.wait([answers[-1] for _, answers in asked], num_returns=len(asked), timeout=SECONDS_TO_ANSWER)
    for node, answers in asked:
        if answers[-1] not in answered:  # its tasks are left to come: Ray aborts where a cancelled one has just ended
            left_out.append(f"{node.address}: no answer in {SECONDS_TO_ANSWER:.0f} s, as if another job kept it busy")
            continue
        try:
            *_, (devices, environments, software) = ray.get(answers)
        except ray.exceptions.RayError as error:
            left_out.append(f"{node.address}: {last_line(error)}")
            continue
        unlike = [f"another {name} than here" for name in own if software[name] != own[name]]
        if unlike:
            left_out.append(f"{node.address}: {', '.join(unlike)}")
        else:
            nodes.append(replace(node, devices=devices, environments=environments))
    if not nodes:
        raise SetupError(
            f"no node of the cluster can measure ({'; '.join(left_out) or 'none has a CPU'})",
            expected="a node with the same fashionbench, torch and models as here",
            remedy="install those there",
        )
    return nodes, tuple(left_out)


def describe_node(
    models: Sequence[str], command: str
) -> tuple[tuple[Device, ...], tuple[Environment, ...], dict[str, str]]:
    """Return this machine's devices, the environment of each, and what must be the same on every node of a run.

    Raises:
        InputError: A model cannot be loaded here.

    """
    software = _describe_software({name: model_digest(name) for name in models})
    devices = list_devices()
    environments = tuple(describe_environment(device, command) for device in devices)
    return devices, environments, software


def _describe_software(digests: Mapping[str, str]) -> dict[str, str]:
    """Return what must be the same on every node of a run, with the digest of each model's source."""
    named = {f"model {name}": digest for name, digest in digests.items()}
    return {"torch": torch.__version__, "fashionbench": code_digest(), **named}


def call_on_node(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a process of its own with as many threads as without Ray."""
    start_fork_server_on_node()
    return call_within(CALL_SECONDS, function, *args, **kwargs)


def train_on_node(
    job: Job, dataset: Dataset, checkpoint: bytes | None, limit_seconds: float | None
) -> Iterator[Message | bytes]:
    """Measure a case in a process of its own on this node, and yield its messages and each checkpoint it saves.

    Args:
        job: What to measure; its checkpoint's path is the caller's, and another is used here.
        dataset: All images; Ray fetches what is stored only where it is an argument of its own.
        checkpoint: The content of the newest checkpoint's file; None begins at the start.
        limit_seconds: How long the case may take.

    """
    start_fork_server_on_node()
    with temporary_folder() as folder:
        path = folder / "case.pt"
        if checkpoint is not None:
            path.write_bytes(checkpoint)
        sent = _saved_at(path)
        with closing(
            messages_of_process(replace(job, checkpoint=path, traceback=None), dataset, limit_seconds)
        ) as messages:
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
    """Return what a checkpoint's file contains, to send it to another machine; None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
