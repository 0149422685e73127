"""The errors a user can cause: one base class, each message saying found, expected, what to do."""

from functools import partial

__all__ = ["CaseFailedError", "FashionBenchError", "InputError", "SetupError"]


class FashionBenchError(Exception):
    """Base of every error that is the user's or the machine's, not a bug.

    Args:
        found: What was met.
        expected: What would have been right.
        remedy: What to do about it, as an instruction.

    """

    def __init__(self, found: str, *, expected: str, remedy: str) -> None:
        super().__init__(_one_line(f"{found}; expected {expected}; {remedy}"))
        self.found = found
        self.expected = expected
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        """Travel between processes with its keyword arguments."""
        return partial(type(self), expected=self.expected, remedy=self.remedy), (self.found,)


def _one_line(text: str) -> str:
    """Return a text without line ends and without what a terminal would obey: it may quote a stranger's file."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


class InputError(FashionBenchError):
    """A file, option or name that cannot be used."""


class SetupError(FashionBenchError):
    """The machine lacks something that the run needs: a library, disk space, the data."""


class CaseFailedError(FashionBenchError):
    """One case could not be finished (its device failed, or its loss diverged); the others go on."""
