"""The content of a page as finished values: the templates lay them out and compute nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from fashionbench.report.figures.style import ModelStyle

__all__ = [
    "Advice",
    "Block",
    "CaptionedFigure",
    "Cell",
    "ContentBlock",
    "DeviceSubsection",
    "Drawing",
    "Explorer",
    "Gallery",
    "Note",
    "Prose",
    "Section",
    "Table",
    "Thumbnail",
    "Tone",
    "VerdictCard",
    "View",
]


SHORT_TABLE_ROWS: Final = 16
"""About a third of an A4 page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of a table."""

    text: str
    style: ModelStyle | None = None
    """The style of the model that the cell names: the page adds its marker and colour."""
    is_text: bool = False
    """Whether the cell contains text, which is left-aligned and wrapped, and not a number."""
    is_code: bool = False
    """Whether the text is a hash or a command, set in a monospaced font."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A header row and rows of cells; the first cell of a row is its row header."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    groups: tuple[tuple[str, int], ...] = ()
    """Labels above the header row, each with the number of columns that it spans."""
    note: str = ""
    kind: Literal["table"] = "table"

    def without_constant(self, *labels: str) -> "Table":
        """Return the table without those of some columns that have one value, which the note states instead.

        The page names a single device at its top.
        """
        table = self
        for label in labels:
            table = table._without(label)
        return table

    def _without(self, label: str) -> "Table":
        index = self.header.index(label)
        values = {row[index].text for row in self.rows}
        if len(values) != 1:
            return self
        groups, start = [], 0
        for title, span in self.groups:
            inside = start <= index < start + span
            start += span
            if span > inside:
                groups.append((title, span - inside))
        return replace(
            self,
            header=(*self.header[:index], *self.header[index + 1 :]),
            rows=tuple((*row[:index], *row[index + 1 :]) for row in self.rows),
            groups=tuple(groups),
            note=self.note if label == "device" else f"{label.capitalize()}: {values.pop()}. {self.note}".strip(),
        )

    @property
    def is_short(self) -> bool:
        """Whether the table is kept on one sheet of the PDF."""
        return len(self.rows) <= SHORT_TABLE_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """An SVG in the colours for paper."""

    svg: str
    is_wide: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionedFigure:
    """Drawings or key figures, with a caption that states the result and a text that explains how to read them."""

    caption: str
    explanation: str
    drawings: tuple[Drawing, ...] = ()
    tiles: tuple[tuple[str, str], ...] = ()
    """Key figures in large type, each with its description."""
    kind: Literal["figure"] = "figure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A small image as a data URI, with the lines of text below it."""

    source: str
    description: str
    lines: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Rows of thumbnails, each with its title, and the rule by which they were chosen."""

    title: str
    note: str
    rows: tuple[tuple[str, tuple[Thumbnail, ...]], ...]
    kind: Literal["gallery"] = "gallery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """Text from a template partial, with the values that it mentions."""

    partial: str
    facts: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["prose"] = "prose"


ContentBlock = Table | CaptionedFigure | Gallery


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSubsection:
    """The blocks of a chapter that concern one of several devices."""

    device: str
    blocks: tuple[ContentBlock, ...]
    kind: Literal["device"] = "device"


Tone = Literal["yes", "no", "unsure"]

Block = ContentBlock | DeviceSubsection | Prose


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A chapter of the page."""

    key: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictCard:
    """The verdict at a glance: state, the reason in one sentence, what it applies to, and up to three key figures."""

    state: str
    tone: Tone
    sentence: str
    probabilities: tuple[str, ...] = ()
    """Of the true gain, a sentence for each device."""
    scope: str = ""
    remark: str = ""
    tiles: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """The model to choose in one situation, and the reason."""

    situation: str
    choice: str
    style: ModelStyle | None
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A warning, and the command that helps; empty if there is none."""

    text: str
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explorer:
    """The controls of the HTML page, and the data for its script."""

    data: Mapping[str, object]
    """For the script, as JSON: the rule's inputs for each device, and the names of the classes."""
    margin_label: str
    """What the margin is a number of."""
    margin: str
    """In percentage points, to its last digit."""
    price: str
    """Of a percentage point, to its last digit; empty for any price."""
    price_unit: Literal["minutes", "money"]
    filters: tuple[tuple[str, str, str, tuple[tuple[str, str], ...]], ...]
    """Name of a menu, its label, its entry for all, and its other entries, each as value and label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The content of the whole page."""

    title: str
    run_description: tuple[str, ...]
    """What was run, above the title and on every sheet of the PDF."""
    banner: str
    """A warning for every sheet; empty for a run that is a result."""
    card: VerdictCard
    advice: tuple[Advice, ...]
    bullets: tuple[str, ...]
    """What would change the verdict; in a comparison, the failed conditions."""
    bullets_title: str
    notes: tuple[Note, ...]
    summary: tuple[Table, ...]
    """Cost and scores of each model, one table for each device; the sections contain them too."""
    sections: tuple[Section, ...]
    explorer: Explorer | None
    introduction: str = ""
    """Explains "the study"; empty if the page does not mention it."""
    figures: tuple[CaptionedFigure, ...] = ()
    """What the verdict is read from, on the first page."""
    reasons: tuple[str, ...] = ()
    """What else speaks for the verdict."""
