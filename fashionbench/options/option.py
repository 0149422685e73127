"""An option: its name, default, help and parser; and the values that several options share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

__all__ = ["Engine", "Execution", "Fit", "Given", "Option", "Precision", "Score"]

Execution = Literal["fast", "plain"]
"""How steps are computed: rewritten for speed, or by PyTorch's own loop; the same mathematics."""

Precision = Literal["fp32", "bf16", "tf32"]
"""The arithmetic: IEEE single, autocast to bfloat16, or NVIDIA's tensor cores on single."""

Engine = Literal["local", "ray"]

Fit = Literal["crop", "pad", "stretch"]
"""How an image of another shape is brought to a size."""

Score = Literal["accuracy", "balanced"]
"""What the verdict compares: accuracy, or balanced accuracy, the mean recall of the classes."""

Given = Mapping[str, Any]
"""What was given for each option, by its name: a text, or True or False for a flag."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option(Generic[T]):
    """An option of a command."""

    name: str
    """As Python spells it: ``price_per_hour``."""
    group: Literal["Trainings", "Data", "Verdict", "Run", "Files"]
    """What it determines; ``--help`` has a heading for each."""
    help: str
    default: str = ""
    unset: str = ""
    """What an empty default means, for readers."""
    is_flag: bool = False
    """Whether it has no value."""
    parse: Callable[[str], T]
    """Turns the text into a value or raises InputError; ``bool`` for a flag."""

    @property
    def flag(self) -> str:
        """Return the option as it is typed: ``--price-per-hour``."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def shown_default(self) -> str:
        """Return the default as readers see it."""
        return self.default or self.unset

    def read(self, given: Given) -> T:
        """Return the value among what was given; an option that was not given has its default.

        Raises:
            InputError: The text is not one that the option takes.

        """
        return self.parse(given.get(self.name, self.default))
