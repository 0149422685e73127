"""The page as HTML, PDF and Markdown."""

import base64
import hashlib
import io
import json
import logging
import re
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fashionbench import units
from fashionbench.errors import SetupError
from fashionbench.records.record import InferenceRecord, TrainingRecord
from fashionbench.records.store import EXTRA_INFO_KEY, bundle
from fashionbench.report.figures.style import MARKER_PATHS, TONE_COLOURS, templates_folder
from fashionbench.report.figures.svg import with_variables
from fashionbench.report.view import Drawing, View

__all__ = ["check_pango", "find_remedy", "possible_formats", "render_html", "render_markdown", "render_pdf"]

PANGO_ON_WINDOWS: Final = "https://doc.courtbouillon.org/weasyprint/stable/first_steps.html#windows"

OPTION: Final = re.compile(r"((?<![\w-])--[a-z][a-z-]*)")
"""The name of an option in a text."""

LOOSE_PERCENT: Final = re.compile(r" (?=%)")

STATE_ICONS: Final = MappingProxyType(
    {
        "WORTH IT": "M1 5.5 4 8.5 9 1.5",
        "NOT WORTH IT": "M1.5 1.5 8.5 8.5M8.5 1.5 1.5 8.5",
        "TIE": "M1 3.3H9M1 6.7H9",
        "CANNOT TELL": "M2.4 3A2.6 2.6 0 1 1 5 5.6V6.8M5 8.4V10",
        "NO VERDICT": "M1 5H9",
    }
)
"""The icon of each state, as a path in a 10 by 10 box, because fonts may lack such characters."""


def render_html(view: View) -> str:
    """Return the page as one self-contained file, its figures in the page's light and dark colours."""
    return _render(view, recolour=with_variables)


def render_pdf(
    view: View, records: Sequence[TrainingRecord | InferenceRecord] = (), *, paper: Literal["A4", "Letter"] = "A4"
) -> bytes:
    """Return the page as a tagged PDF, with the records attached as a JSON that ``fashionbench report`` reads.

    A page that loads anything from outside itself is an error.
    """
    with _quiet():
        import weasyprint  # noqa: PLC0415 - it loads Pango, which only the PDF needs

        only_data = weasyprint.urls.URLFetcher(allowed_protocols=("data",), allow_redirects=False, fail_on_errors=True)
        page = weasyprint.HTML(string=_render(view, recolour=str, paper=paper), url_fetcher=only_data)
        attached = []
        if records:
            content = json.dumps({"benchmarks": [], EXTRA_INFO_KEY: bundle(records)}).encode()
            attached.append(weasyprint.Attachment(string=content, name="records.json", description="The records"))
        written: bytes = page.write_pdf(pdf_variant="pdf/ua-1", attachments=attached, finisher=_add_scopes)
        return written


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep from the user what the libraries of the PDF tell the makers of fonts and of programs."""
    logging.getLogger("fontTools").addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _Pdf(Protocol):
    """What a PDF of pydyf is made of."""

    objects: Sequence[dict[str, Any]]


def _add_scopes(_: object, pdf: _Pdf) -> None:
    """Say of each header cell whether it heads a column or a row, as PDF/UA requires and WeasyPrint 69 does not."""

    def parent(element: dict[str, Any]) -> dict[str, Any]:
        return pdf.objects[int(element["P"].split()[0])]

    for each in pdf.objects:
        if isinstance(each, dict) and each.get("S") == "/TH":
            each["A"]["Scope"] = "/Column" if parent(parent(each))["S"] == "/THead" else "/Row"


def _draw_icon(kind: str, path: str, colour: str, *, is_line: bool = False, paper: str) -> Markup:
    """Return a small picture that a reader's software skips: an SVG, and for paper the background of a span."""
    style = f"fill: none; stroke: {colour}; stroke-width: 2" if is_line else f"fill: {colour}"
    if not paper:
        drawn = f'<svg class="{kind}" viewBox="0 0 10 10" aria-hidden="true"><path d="{path}" style="{style}"/></svg>'
        return Markup(drawn)  # noqa: S704 - our own constants
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 -1 12 12"><path d="{path}" style="{style}"/></svg>'
    encoded = base64.b64encode(svg.encode()).decode("ascii")
    drawn = f'<span class="{kind}" style="background-image: url(data:image/svg+xml;base64,{encoded})"></span>'
    return Markup(drawn)  # noqa: S704 - our own constants


def _render(view: View, *, recolour: Callable[[str], str], paper: str = "") -> str:
    environment = Environment(
        loader=FileSystemLoader(templates_folder()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

    def as_svg(drawing: Drawing) -> Markup:
        wide = ' class="wide"' if drawing.is_wide else ""
        svg = recolour(drawing.svg).replace("<svg", f"<svg{wide}", 1)
        return Markup(svg)  # noqa: S704 - matplotlib escaped its text

    environment.filters["svg"] = as_svg
    environment.filters["split_options"] = lambda text: OPTION.split(LOOSE_PERCENT.sub(units.SPACE, text))
    environment.globals["icon"] = lambda kind, path, colour, **options: _draw_icon(
        kind, path, recolour(colour), paper=paper, **options
    )
    script = (templates_folder() / "report.js").read_text(encoding="utf-8")
    font = (templates_folder() / "fonts" / "inter-latin.woff2").read_bytes()
    return environment.get_template("report.html.j2").render(
        view=view,
        paper=paper,
        marker_paths=MARKER_PATHS,
        tone_colours=TONE_COLOURS,
        state_icons=STATE_ICONS,
        script=Markup(script),  # noqa: S704 - our own
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode('ascii')}",
        font=f"data:font/woff2;base64,{base64.b64encode(font).decode('ascii')}",
    )


def render_markdown(view: View) -> str:
    """Return the short form for a pull request or a job summary."""
    environment = Environment(  # noqa: S701 - Markdown, escaped by _escape_markdown
        loader=FileSystemLoader(templates_folder()),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_escape_markdown,
    )
    return environment.get_template("report.md.j2").render(view=view)


def _escape_markdown(value: object) -> object:
    """Return text in which nothing is Markdown or HTML markup, a link, or a GitHub user who would be notified."""
    if not isinstance(value, str):
        return value
    escaped = re.sub(r"([\\`*_{}\[\]<>|#~$&]|:(?=//)|(?<=www)\.)", r"\\\1", value.replace("\n", " "))
    return escaped.replace("@", "@\N{WORD JOINER}")


def check_pango() -> None:
    """Require that WeasyPrint finds Pango, which the PDF needs and pip cannot install.

    Raises:
        SetupError: It does not; the message says how to install it.

    """
    try:
        with redirect_stdout(io.StringIO()):  # it prints a banner where Pango is missing
            import weasyprint  # noqa: F401, PLC0415 - its import is the check
    except OSError as error:
        raise SetupError(
            f"the library Pango is missing ({str(error).partition(chr(10))[0].partition('.  ')[0][:120]})",
            expected="Pango, for the PDF report",
            remedy=find_remedy(sys.platform),
        ) from error


def find_remedy(system: str) -> str:
    """Return how Pango is installed on a system, named as in ``sys.platform``."""
    remedies = {"darwin": "run: brew install pango", "win32": f"install Pango as {PANGO_ON_WINDOWS} says"}
    return remedies.get(system, "run: sudo apt-get install -y libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0")


def possible_formats(formats: Collection[str], announce: Callable[[str], None], again: str) -> tuple[str, ...]:
    """Return the formats of a report that can be written here, and say how to make a PDF later where it cannot.

    Args:
        formats: Those that are wanted.
        announce: Called with a line where one is left out.
        again: The command that makes the PDF later.

    Raises:
        SetupError: The PDF is the only format, and Pango is missing.

    """
    if "pdf" not in formats:
        return tuple(formats)
    try:
        check_pango()
    except SetupError as error:
        others = tuple(each for each in formats if each != "pdf")
        if not others:
            raise
        by_browser = " Where you may not install it, print report.html from a browser." if "html" in others else ""
        then = " && " if error.remedy.startswith("run: ") else ", then run: "
        announce(
            f"No PDF will be written: {error.found}. Everything else works without it.{by_browser} "
            f"For the PDF later, {error.remedy}{then}{again}"
        )
        return others
    return tuple(formats)
