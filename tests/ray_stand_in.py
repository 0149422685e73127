"""A stand-in for the calls of Ray that a run makes: tasks run in this process, and nodes fail as a test says."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


class RayError(Exception):
    """What Ray raises where a task gives no result."""


class RayTaskError(RayError):
    """What Ray raises where a task's own code raised ``cause``."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(f"a traceback\n{type(cause).__name__}: {cause}")
        self.cause = cause


@dataclass(eq=False)
class Reference:
    """What a task returned, or why it did not."""

    node: str
    value: object = None
    error: RayError | None = None


@dataclass(eq=False)
class Stream:
    """What a task yields, one reference after another."""

    node: str
    messages: Iterator[object]

    def __next__(self) -> Reference:
        return _attempt(self.node, lambda: next(self.messages), StopIteration)

    def completed(self) -> Reference:
        return Reference(self.node)


@dataclass(eq=False)
class StandIn:
    """Stands where ``import ray`` would put Ray."""

    described: Sequence[tuple[str, int, int]] = (("a", 1, 0),)
    """Each node's name, CPUs and GPUs."""
    dead: set[str] = field(default_factory=set)
    """Nodes whose tasks are lost."""
    silent: set[str] = field(default_factory=set)
    """Nodes that have not answered when the time is up."""
    answers: dict[str, Callable[[Any], object]] = field(default_factory=dict)
    """What a node makes of what a task returns, if that is something."""
    lost: Callable[[], RayError] | None = None
    """What each stream ends with before it begins."""
    refused: Exception | None = None
    """Why nobody can connect."""
    connected_to: list[object] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """The node and the resources of each task."""
    exceptions: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
    )

    def modules(self) -> dict[str, object]:
        """Return what stands for which of Ray's modules."""
        strategies = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, *, soft: "" if soft else node)
        return {"ray": self, "ray.util.scheduling_strategies": strategies}

    def init(self, *, address: str | None, **_: object) -> None:
        self.connected_to.append(address)
        if self.refused is not None:
            raise self.refused

    def shutdown(self) -> None:
        """Nothing was started."""

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"NodeID": name, "NodeManagerAddress": name, "Alive": True, "Resources": {"CPU": cpus, "GPU": gpus}}
            for name, cpus, gpus in self.described
        ]

    def remote(self, *, scheduling_strategy: str, **options: Any) -> Callable[[Callable[..., Any]], SimpleNamespace]:
        def bind(function: Callable[..., Any]) -> SimpleNamespace:
            return SimpleNamespace(
                remote=lambda *args, **kwargs: self._run(scheduling_strategy, options, function, args, kwargs)
            )

        return bind

    def _run(
        self,
        node: str,
        options: dict[str, Any],
        function: Callable[..., Any],
        args: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> Reference | Stream:
        self.asked.append((node, options))
        if node in self.dead:
            return Reference(node, error=RayError("The node died."))
        args = tuple(each.value if isinstance(each, Reference) else each for each in args)
        if options.get("num_returns") != "streaming":
            return _attempt(node, lambda: self._answer(node, function(*args, **kwargs)))
        return Stream(node, function(*args, **kwargs) if self.lost is None else _end_with(self.lost()))

    def _answer(self, node: str, result: object) -> object:
        return result if result is None or node not in self.answers else self.answers[node](result)

    def put(self, value: object) -> Reference:
        return Reference("", value)

    def get(self, asked: Reference | Sequence[Reference], timeout: float | None = None) -> object:
        del timeout
        if not isinstance(asked, Reference):
            return [self.get(each) for each in asked]
        if asked.error is not None:
            raise asked.error
        return asked.value

    def wait(
        self, asked: Sequence[Reference | Stream], *, num_returns: int, timeout: float | None = None
    ) -> tuple[list[Reference | Stream], list[Reference | Stream]]:
        del timeout
        ready = [each for each in asked if each.node not in self.silent][:num_returns]
        return ready, [each for each in asked if each not in ready]

    def cancel(self, stream: Stream) -> None:
        stream.messages = iter(())


def _attempt(
    node: str, function: Callable[[], object], let_through: tuple[type[Exception], ...] | type[Exception] = ()
) -> Reference:
    try:
        return Reference(node, function())
    except let_through:
        raise
    except RayError as error:
        return Reference(node, error=error)
    except Exception as error:  # noqa: BLE001 - Ray carries whatever a task raises
        return Reference(node, error=RayTaskError(error))


def _end_with(error: RayError) -> Iterator[object]:
    yield from ()
    raise error
