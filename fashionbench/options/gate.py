"""The conditions of ``--fail-if``: which changes between two runs must not happen."""

import re
from dataclasses import dataclass, replace

from fashionbench.errors import InputError
from fashionbench.options.parsing import SHOWN

__all__ = ["Gate", "gate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Changes between two runs that must not happen, as limits in fractions."""

    slower: float | None = None
    """The acceptable increase of the training time; None: any."""
    worse: float | None = None
    """The acceptable loss of accuracy; None: any."""
    verdict: bool = False
    """Whether the verdict must stay the same."""


def gate(text: str) -> Gate:
    """Return the conditions in ``slower=10%``, ``worse=0.5pp`` and ``verdict``, separated by commas or bars.

    Raises:
        InputError: A condition is none of these.

    """
    found = Gate()
    for part in (each.strip() for each in re.split(r"[,|]", text)):
        if part == "verdict":
            found = replace(found, verdict=True)
        elif match := re.fullmatch(r"slower=(\d+(?:\.\d+)?)%", part):
            found = replace(found, slower=float(match[1]) / 100)
        elif match := re.fullmatch(r"worse=(\d+(?:\.\d+)?)pp", part):
            found = replace(found, worse=float(match[1]) / 100)
        else:
            raise InputError(
                f"unknown condition {part[:SHOWN]!r}",
                expected="slower=10%, worse=0.5pp or verdict",
                remedy="give --fail-if such conditions, separated by commas",
            )
    return found
