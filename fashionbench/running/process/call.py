"""A function called in a process of its own, and its answer."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final, ParamSpec, TypeVar, cast

from fashionbench.errors import FashionBenchError
from fashionbench.running.process.child import ChildEndedError, Failure, open_child, prepare_child
from fashionbench.running.process.server import clean_context, start_fork_server

__all__ = [
    "SECONDS_TO_ANSWER",
    "CallFailedError",
    "call_in_process",
    "call_within",
    "seconds_to_answer",
]

P = ParamSpec("P")
T = TypeVar("T")

SECONDS_TO_ANSWER: Final = 1_800.0
"""How long a call may take. Each needs seconds; one that takes half an hour hangs."""


def seconds_to_answer(limit_minutes: float | None) -> float:
    """Return how long anything but a training may take: by --limit, too, at least a minute."""
    return SECONDS_TO_ANSWER if limit_minutes is None else 60 * max(1.0, limit_minutes)


class CallFailedError(Exception):
    """A call has no answer: it raised an error, or its process ended or hung. The message is one line."""

    def __init__(self, reason: str, traceback: str = "") -> None:
        super().__init__(reason, traceback)
        self.reason = reason
        self.traceback = traceback
        """Of the error that it raised; empty if its process ended or hung."""

    def __str__(self) -> str:
        """Return the reason, and the traceback below."""
        return f"{self.reason}\n{self.traceback}".strip()


@dataclass(frozen=True, slots=True)
class _Answer:
    value: object


def call_in_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a process of its own, and return what it returns.

    An interrupt here ends the process at once.

    Raises:
        CallFailedError: The function raised anything but a FashionBenchError; its process was killed, crashed, or took
            longer than ``SECONDS_TO_ANSWER``.
        FashionBenchError: What the function raises.

    """
    return call_within(SECONDS_TO_ANSWER, function, *args, **kwargs)


def call_within(seconds: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function as ``call_in_process`` does, and wait for some seconds."""
    context = clean_context()
    start_fork_server()
    deadline, name = time.monotonic() + seconds, getattr(function, "__name__", "call")
    with open_child(context, _answer, function, args, kwargs, name=name, seconds=0.0) as child:
        try:
            received: Any = child.receive(deadline)
        except ChildEndedError as error:
            raise CallFailedError(str(error)) from None
        except TimeoutError:
            raise CallFailedError(f"no answer in {seconds / 60:g} min") from None
    match received:
        case _Answer(value=value):
            return cast("T", value)
        case FashionBenchError() as refusal:
            raise refusal
        case Failure(reason=reason, traceback=traceback):
            raise CallFailedError(reason, traceback)
        case other:
            raise CallFailedError(f"its process sent an unexpected {type(other).__name__}")


def _answer(
    sender: "Connection[object, object]",
    function: Callable[..., object],
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> None:
    """Call the function, in the process, and send its answer."""
    prepare_child()
    try:
        answer: object = _Answer(function(*args, **kwargs))
    except FashionBenchError as error:
        answer = error
    except BaseException as error:  # a user's model may raise anything, SystemExit included
        answer = Failure.of(error)
    sender.send(answer)
