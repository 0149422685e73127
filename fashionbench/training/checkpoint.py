"""Files of a training's state, saved so that a killed training resumes to the same bits."""

import hashlib
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from pickle import PickleError
from typing import Final

from fashionbench.errors import describe_error
from fashionbench.opening import read_regular
from fashionbench.records.files import write_atomically
from fashionbench.training.ingredients.state import State

__all__ = ["SECONDS_BETWEEN_CHECKPOINTS", "Checkpoints", "Stopped", "keep_checkpoint", "remove_checkpoints"]

SECONDS_BETWEEN_CHECKPOINTS: Final = 60.0

MOST_BYTES: Final = 2**36
"""Of a checkpoint: weights and moments of over five billion parameters."""

_DIGEST_BYTES: Final = hashlib.sha256().digest_size

_UNUSABLE: Final = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError, PickleError),
    *(RuntimeError, TypeError, ValueError, zipfile.BadZipFile),
)
"""What PyTorch raises for a checkpoint of another kind of training, whose digest may be right."""


class Stopped(BaseException):
    """The training was asked to stop, and its state is saved. Like an interrupt, it is no error."""


class Checkpoints:
    """The checkpoints of one case: the newest and the one before, each behind its SHA-256.

    Args:
        path: The newest; the one before has the suffix ``.before``.
        stop: Says whether the training is to be saved and stopped at once.
        seconds_between: How often to save.
        warn: Called with one line when a checkpoint cannot be written or read; the training continues.

    """

    def __init__(
        self,
        path: Path,
        *,
        stop: Callable[[], bool],
        seconds_between: float = SECONDS_BETWEEN_CHECKPOINTS,
        warn: Callable[[str], None],
    ) -> None:
        self._path = path
        self._stop, self._seconds_between, self._warn = stop, seconds_between, warn
        self._saved = time.perf_counter()

    def due(self) -> bool:
        """Return whether to save now."""
        return self._stop() or time.perf_counter() - self._saved >= self._seconds_between

    def save(self, state: State) -> None:
        """Save, keeping the checkpoint before.

        Raises:
            Stopped: That was wished for.

        """
        content = state.dump()
        keep_checkpoint(self._path, hashlib.sha256(content).digest() + content, self._warn)
        self._saved = time.perf_counter()
        if self._stop():
            raise Stopped

    def restore(self, state: State) -> bool:
        """Restore a state from the newest checkpoint that can be used; return False where there is none."""
        for path in _generations(self._path):
            try:
                content = read_regular(path, MOST_BYTES)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._warn(f"A checkpoint cannot be read ({error.strerror}) and is passed over")
                continue
            if hashlib.sha256(content[_DIGEST_BYTES:]).digest() != content[:_DIGEST_BYTES]:
                self._warn("A checkpoint is damaged (its SHA-256 differs) and is passed over")
                continue
            clean = state.dump()
            try:
                state.load(content[_DIGEST_BYTES:])
            except _UNUSABLE as error:
                state.load(clean)  # one that fits in part must leave nothing behind
                state.resumed = 0
                self._warn(f"A checkpoint cannot be used ({describe_error(error)}) and is passed over")
                continue
            return True
        return False


def keep_checkpoint(path: Path, content: bytes, warn: Callable[[str], None]) -> None:
    """Write a checkpoint's file, keeping the one before; ``warn`` is called where that fails."""
    newest, before = _generations(path)
    try:
        if newest.exists():
            newest.replace(before)
        write_atomically(newest, content)
    except OSError as error:
        warn(f"A checkpoint could not be written ({error.strerror}); the training continues without it")


def remove_checkpoints(path: Path) -> None:
    """Remove a case's checkpoints, and their folder with the last of them; what cannot be removed only takes space."""
    for each in _generations(path):
        with suppress(OSError):
            each.unlink(missing_ok=True)
    with suppress(OSError):  # others are in it, or it is not there
        path.parent.rmdir()


def _generations(path: Path) -> tuple[Path, Path]:
    return path, path.with_name(f"{path.name}.before")
