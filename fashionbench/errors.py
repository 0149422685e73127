"""The errors that a user can cause. Each message says what was found, what was expected and what to do."""

import re
import unicodedata
from functools import partial

__all__ = [
    "CaseFailedError",
    "FashionBenchError",
    "InputError",
    "SetupError",
    "describe_error",
    "visible",
]


class FashionBenchError(Exception):
    """Base of every error that is caused by the user or the machine, not by a bug.

    The message is one line: ``Unknown device 'tpu9'. Expected cpu or cuda. Name one of those with --devices.``

    Args:
        found: What was found; begin with a common word or an option, not with a file's or model's bare name.
        expected: What would have been right, to follow the word "expected".
        remedy: What to do about it, an instruction. A command comes last, after "run: ".

    """

    def __init__(self, found: str, *, expected: str, remedy: str) -> None:
        super().__init__(_one_line(f"{_sentence(found)} {_sentence(f'expected {expected}')} {_sentence(remedy)}"))
        self.found = found
        self.expected = expected
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the keyword arguments, so that the error crosses processes."""
        return partial(type(self), expected=self.expected, remedy=self.remedy), (self.found,)


def _sentence(text: str) -> str:
    """Return a text with a full stop, and with a capital letter unless it begins with an option, a name or a path."""
    text = text.strip().removesuffix(".")
    start = text[:1].upper() if re.match(r"[a-z]+:?( |$)", text) else text[:1]
    end = "" if text.startswith("run: ") else "."  # a command is ready to paste
    return f"{start}{text[1:]}{end}"


def _one_line(text: str) -> str:
    """Return a text without line breaks and terminal control characters: it may quote a file of unknown origin."""
    return visible(" ".join(text.split()))


def visible(text: str) -> str:
    r"""Return a text with each character that a terminal obeys, or that a reader cannot see, as its escape: ``\x1b``.

    These are control characters, line breaks, bidirectional overrides, and halves of characters. Whatever comes from
    a file, a model or a driver is shown and recorded like this.
    """
    return "".join(
        letter if letter.isprintable() or unicodedata.category(letter) == "Zs" else ascii(letter)[1:-1]
        for letter in text
    )


class InputError(FashionBenchError):
    """A file, option or name cannot be used."""


class SetupError(FashionBenchError):
    """The machine lacks something that the run needs: a library, disk space or the data."""


class CaseFailedError(FashionBenchError):
    """One case cannot be finished: its device failed, or its loss diverged. The other cases continue."""


def describe_error(error: BaseException) -> str:
    """Return the type of an error and its first line, cut to 300 characters: ``ValueError: bad batch``."""
    try:
        text = str(error)
    except (Exception, SystemExit):  # noqa: BLE001 - a user's error may fail even there
        text = ""
    first_line = text.strip().partition("\n")[0]
    return visible(f"{type(error).__name__}: {first_line}".removesuffix(": ")[:300])
