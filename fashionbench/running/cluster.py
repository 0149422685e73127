"""Cases over a Ray cluster: one case a device at a time, and another node where one is lost."""

import logging
import os
import platform
import socket
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, ParamSpec, TypeVar

from fashionbench.data.dataset import Dataset
from fashionbench.devices.device import Device
from fashionbench.errors import FashionBenchError, SetupError
from fashionbench.options.parsing import EVERY_DEVICE
from fashionbench.records.record import Environment, TrainingRecord
from fashionbench.running.nodes import (
    Node,
    call_on_node,
    find_nodes,
    last_line,
    read_checkpoint,
    task_on,
    train_on_node,
)
from fashionbench.running.process.case import Job, Message
from fashionbench.training.identity import Provenance
from fashionbench.training.measure import record_failure

__all__ = ["Cluster", "open_cluster"]

MOST_LOSSES: Final = 3
"""How often a case may lose its process before it counts as failed."""

SECONDS_TO_CONNECT: Final = 10.0


SECONDS_TO_LEAVE: Final = 2.0
"""How long a run that was interrupted waits for its nodes."""

SECONDS_TO_LIVE: Final = 30.0
"""How long a node may take to show that it is still there."""

P = ParamSpec("P")

T = TypeVar("T")

V = TypeVar("V")


@dataclass(slots=True, kw_only=True, eq=False)
class Cluster:
    """The nodes of a cluster."""

    nodes: list[Node]
    """Those that can measure."""
    left_out: tuple[str, ...] = ()
    """A line for each of the others."""
    _stored: dict[int, tuple[object, Dataset]] = field(default_factory=dict)

    def select(self, words: tuple[str, ...]) -> tuple[Device, ...]:
        """Return the devices that ``--devices`` names, unlike hardware of one word each by itself."""
        there = tuple(dict.fromkeys(device for node in self.nodes for device in node.devices))
        if words == EVERY_DEVICE:
            return there
        return tuple(
            device
            for word in words
            for device in [each for each in there if each.word == word]
            or [Device(word=word, name="", absence="not found on any node of the cluster")]
        )

    def described(self) -> Iterator[str]:
        """Yield a line for each node."""
        for node in self.nodes:
            yield f"Node: {node.address}, {', '.join(f'{each.word} ({each.name})' for each in node.devices)}"
        for line in self.left_out:
            yield f"Left out: {line}"

    def slots(self, devices: Sequence[Device]) -> int:
        """Return how many cases may run at once."""
        return sum(
            max((node.slots(device) for device in node.devices if device in devices), default=0) for node in self.nodes
        )

    def environment(self, device: Device) -> Environment | None:
        """Return the environment of a device on the first node that has it; None where no node does."""
        return next((node.environment(device) for node in self.nodes if device in node.devices), None)

    def call(self, device: Device, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function on a node that has a device, in a process of its own there, and return what it returns.

        A provenance among the arguments gets the node's environment.

        Raises:
            SetupError: No node has it any more, or each lost the process.
            Exception: What the function raises.

        """
        import ray

        reasons = []
        for node in [each for each in self.nodes if device in each.devices]:
            given = [self._store(_on_node(each, node, device)) for each in args]
            named = {name: self._store(_on_node(each, node, device)) for name, each in kwargs.items()}
            task = task_on(node, call_on_node, **node.share(device))
            try:
                returned: T = ray.get(task.remote(function, *given, **named))
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None
            except ray.exceptions.RayError as error:
                self._drop_if_dead(node)
                reasons.append(f"lost on {node.address}: {last_line(error)}")
            else:
                return returned
        raise _no_node_for(device, *reasons)

    def measure(
        self, jobs: Sequence[Job], dataset: Dataset, *, limit_seconds: float | None
    ) -> Generator[tuple[Job, Node | Message | bytes]]:
        """Measure cases wherever their devices are free, and yield what is to be known of each as it comes.

        That is the node where it begins, then its ticks, warnings and checkpoints (the content of a file, which the
        caller keeps where the job says), and last its record. A case whose node is lost begins again on another, from
        what was kept; one that loses its process three times, or whose device no node has any more, counts as failed.

        Args:
            jobs: What to measure, the first first.
            dataset: All images.
            limit_seconds: How long a case may take; None: as long as it likes.

        Raises:
            FashionBenchError: What a case's own checks refuse.

        """
        import ray

        waiting, losses = list(jobs), Counter[Job]()
        running: dict[Any, tuple[Job, Node]] = {}
        try:
            while waiting or running:
                for job, node in self._assign(waiting, [*running.values()]):
                    waiting.remove(job)
                    running[self._start(job, dataset, node, limit_seconds)] = job, node
                    yield job, node
                if not running:
                    for job in waiting:
                        reason = str(_no_node_for(job.case.device))
                        yield job, record_failure(job.case, dataset, job.provenance, reason)
                    return
                stream = _first_with_news([*running])
                job, node = running[stream]
                try:
                    message = ray.get(next(stream))
                except (StopIteration, ray.exceptions.RayError) as error:
                    del running[stream]
                    losses[job] += 1
                    reason = self._describe_loss(node, error)
                    if losses[job] < MOST_LOSSES:
                        waiting.insert(0, job)
                        yield job, f"{job.case.name}: {reason}; it resumes from its newest checkpoint"
                    else:
                        provenance = _on_node(job.provenance, node, job.case.device)
                        yield job, record_failure(job.case, dataset, provenance, reason)
                else:
                    if isinstance(message, TrainingRecord):
                        del running[stream]
                    yield job, message
        finally:
            _cancel(running)

    def _describe_loss(self, node: Node, error: Exception) -> str:
        """Return why a case has no process any more, and drop the node if it is dead.

        Raises:
            FashionBenchError: It was not lost: its own checks refuse it.

        """
        cause = getattr(error, "cause", None)
        if isinstance(cause, FashionBenchError):
            raise cause from None
        self._drop_if_dead(node)
        return f"its process was lost on {node.address} ({last_line(cause or error)})"

    def _assign(self, waiting: Sequence[Job], running: list[tuple[Job, Node]]) -> Iterator[tuple[Job, Node]]:
        """Yield which waiting cases begin where: a node works on one of its devices' kinds at a time."""
        for job in [*waiting]:
            device = job.case.device
            for node in self.nodes:
                busy = [other.case.device for other, where in running if where == node]
                if device in node.devices and len(busy) < node.slots(device) and {*busy} <= {device}:
                    running.append((job, node))
                    yield job, node
                    break

    def _start(self, job: Job, dataset: Dataset, node: Node, limit_seconds: float | None) -> object:
        """Begin a case on a node, and return the stream of its messages."""
        task = task_on(node, train_on_node, num_returns="streaming", **node.share(job.case.device))
        provenance = _on_node(job.provenance, node, job.case.device)
        checkpoint = None if job.checkpoint is None else read_checkpoint(job.checkpoint)
        return task.remote(replace(job, provenance=provenance), self._store(dataset), checkpoint, limit_seconds)

    def _store(self, value: object) -> object:
        """Return a data set as a reference, so that it crosses to each node once; anything else as it is."""
        import ray

        if not isinstance(value, Dataset):
            return value
        if id(value) not in self._stored:
            self._stored[id(value)] = ray.put(value), value
        return self._stored[id(value)][0]

    def _drop_if_dead(self, node: Node) -> None:
        import ray

        try:
            ray.get(task_on(node, platform.node, num_cpus=0).remote(), timeout=SECONDS_TO_LIVE)
        except ray.exceptions.RayError:
            self.nodes = [each for each in self.nodes if each != node]


@contextmanager
def open_cluster(address: str | None, models: Sequence[str], command: str) -> Iterator[Cluster]:
    """Connect to a Ray cluster, or start one of this machine where it is in none, and ask its nodes what they are.

    Args:
        address: Of the cluster, as ``host:port``; None takes what RAY_ADDRESS names, or that of this machine.
        models: The models that the nodes must be able to build.
        command: What was typed, for the records.

    Raises:
        SetupError: Ray is not installed, nothing answers, or no node can measure.

    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report each use to its makers
    # of a Ray that is started here: else its workers give way to whatever else the machine does, and minutes grow
    os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        import ray
    except ImportError as error:
        raise SetupError(
            "Ray is not installed",
            expected="Ray, for --engine ray",
            remedy='run: python -m pip install "fashionbench[ray]"',
        ) from error
    try:
        address = address or os.environ.get("RAY_ADDRESS")
        if address not in {None, "auto", "local"}:  # Ray's own words
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), SECONDS_TO_CONNECT).close()  # Ray itself waits for minutes
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        raise SetupError(
            f"no Ray cluster answers at {address or 'this machine'} ({str(error).partition(chr(10))[0][:120]})",
            expected="the address of a running cluster, as host:6379",
            remedy="start one with ray start --head, or correct --address",
        ) from error
    try:
        nodes, left_out = find_nodes(models, command)
        yield Cluster(nodes=nodes, left_out=left_out)
    finally:
        ray.shutdown()


def _on_node(value: V, node: Node, device: Device) -> V:
    """Return a provenance with the environment of a node's device; anything else as it is."""
    return replace(value, environment=node.environment(device)) if isinstance(value, Provenance) else value


def _first_with_news(streams: list[T]) -> T:
    import ray

    ready: list[Any] = ray.wait([*streams], num_returns=1)[0]  # a list of streams, which the types of Ray leave out
    first: T = ready[0]
    return first


def _cancel(streams: Collection[Any]) -> None:
    """Cancel what still runs: a worker then lets its process save, and removes its folder."""
    import ray

    for stream in streams:
        ray.cancel(stream)
    ended = [stream.completed() for stream in streams]
    if ended:
        ray.wait(ended, num_returns=len(ended), timeout=SECONDS_TO_LEAVE)


def _no_node_for(device: Device, *reasons: str) -> FashionBenchError:
    return SetupError(
        "; ".join((f"no node with {device.word} ({device.name}) is left in the cluster", *reasons)),
        expected="at least one until all cases are finished",
        remedy="start nodes, then run the same command again: what is finished is kept",
    )
