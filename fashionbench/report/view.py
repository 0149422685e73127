"""What the page shows, as finished values: the template lays them out and decides nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from fashionbench.report.figures.style import ModelStyle

__all__ = [
    "Advice",
    "Block",
    "Card",
    "Cell",
    "Drawing",
    "Exhibit",
    "Explorer",
    "Gallery",
    "Note",
    "Part",
    "Picture",
    "Prose",
    "Section",
    "Shown",
    "Table",
    "Tone",
    "View",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of a table."""

    text: str
    style: ModelStyle | None = None
    """The model that the cell names: draws its mark in its colour."""
    words: bool = False
    """Whether the cell holds words, set left and wrapped, and no number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells under one head; the first cell of a row names it."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    groups: tuple[tuple[str, int], ...] = ()
    """Labels above the head, each with the columns it spans."""
    note: str = ""
    kind: Literal["table"] = "table"

    @property
    def is_short(self) -> bool:
        """Whether the table stays on one sheet."""
        return len(self.rows) <= 16  # noqa: PLR2004 - about a third of an A4 page


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """An SVG in the colours of paper."""

    svg: str
    is_wide: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """Drawings or numbers under what they show, with how to read them."""

    finding: str
    reading: str
    drawings: tuple[Drawing, ...] = ()
    tiles: tuple[tuple[str, str], ...] = ()
    """Single numbers, set large, each with its words."""
    kind: Literal["exhibit"] = "exhibit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A thumbnail as a data URI, with its lines of words."""

    source: str
    description: str
    lines: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Thumbnails in a row that wraps."""

    title: str
    pictures: tuple[Picture, ...]
    kind: Literal["gallery"] = "gallery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """A partial of fixed words, with the few values that they mention."""

    partial: str
    facts: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["prose"] = "prose"


Shown = Table | Exhibit | Gallery


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a section shows of one of several devices."""

    device: str
    blocks: tuple[Shown, ...]
    kind: Literal["part"] = "part"


Tone = Literal["yes", "no", "unsure"]

Block = Shown | Part | Prose


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A chapter of the page."""

    key: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The verdict as it is read in five seconds: word and tone, a sentence, three numbers."""

    state: str
    tone: Tone
    sentence: str
    remark: str = ""
    tiles: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """Which model to take in one situation, and why."""

    situation: str
    choice: str
    style: ModelStyle | None
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A warning and the command that remedies it; empty where none does."""

    text: str
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explorer:
    """What the page's script works on, and the controls that it brings to life."""

    data: Mapping[str, object]
    """For the script, as JSON: the rule's inputs by device, and the names of the classes."""
    margin_pp: str
    price_steps: int
    """The price slider's last step, which means any price."""
    price_at: int
    """The step at which it stands."""
    choices: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]
    """Name of the control, the word for all, and each value with its words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All of the page."""

    title: str
    kicker: tuple[str, ...]
    banner: str
    """Words that stand on every sheet; empty for a result."""
    card: Card
    advice: tuple[Advice, ...]
    bullets: tuple[str, ...]
    """What would change the verdict."""
    bullets_title: str
    notes: tuple[Note, ...]
    summary: tuple[Table, ...]
    """What each model cost and scored, a table a device; the sections show them too."""
    sections: tuple[Section, ...]
    explorer: Explorer | None
    why: tuple[str, ...] = ()
    """What the verdict rests on."""
