"""The report as files: one view of the records, one template, and HTML, PDF, Markdown and JSON made from them."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fashionbench.errors import InputError
from fashionbench.record import InferenceRecord, TrainingRecord
from fashionbench.report import classes, curves, images, measured, setting, units
from fashionbench.report.explorer import explorer
from fashionbench.report.look import MARKS, TONES, templates_folder, with_variables
from fashionbench.report.material import Material, gather
from fashionbench.report.money import Money
from fashionbench.report.tables import in_order, model_name
from fashionbench.report.verdict import DEFAULT_MARGIN_PP, NO_MONEY, State, Verdict, decide
from fashionbench.report.view import Advice, Block, Card, Drawing, Section, Tone, View
from fashionbench.store import EXTRA_INFO_KEY, bundle, write_whole

__all__ = ["FORMATS", "Report", "make_view", "render_html", "render_markdown", "render_pdf", "write_report"]

FORMATS: Final = MappingProxyType(
    {"html": "report.html", "pdf": "report.pdf", "md": "report.md", "json": "verdict.json"}
)
"""What can be written, and under which name."""

NO_RESULT: Final = "Installation check: no result"

TONE_OF: Final[Mapping[State, Tone]] = MappingProxyType(
    {"WORTH IT": "yes", "NOT WORTH IT": "no", "TIE": "unsure", "CANNOT TELL": "unsure"}
)
SIGNS: Final = MappingProxyType(
    {
        "WORTH IT": "M1 5.5 4 8.5 9 1.5",
        "NOT WORTH IT": "M1.5 1.5 8.5 8.5M8.5 1.5 1.5 8.5",
        "TIE": "M1 3.3H9M1 6.7H9",
        "CANNOT TELL": "M2.4 3A2.6 2.6 0 1 1 5 5.6V6.8M5 8.4V10",
        "NO VERDICT": "M1 5H9",
    }
)
"""Each state's sign, as a path in a 10 by 10 box: no font needs to have it."""

CHAPTERS: Final[tuple[tuple[str, str, Callable[[Material], tuple[Block, ...]], bool], ...]] = (
    ("cost", "What the minutes buy", measured.cost, True),
    ("learning", "How they learn", curves.learning, True),
    ("classes", "Class by class", classes.by_class, True),
    ("confusion", "What is taken for what", classes.confusion, True),
    ("images", "Image by image", images.by_image, True),
    ("confidence", "How sure they are", images.by_confidence, True),
    ("claims", "The study's statements", measured.claims, True),
    ("models", "The models beside each other", measured.models, True),
    ("inference", "Inference", measured.inference_times, False),
    ("clock", "What was on the clock", setting.clock, True),
    ("method", "Method", setting.method, True),
    ("environment", "Machines and versions", setting.environment, False),
    ("data", "Data", setting.data, True),
    ("unfinished", "Failed and absent", setting.unfinished, False),
    ("glossary", "Words", setting.glossary, False),
)
"""Key, title, builder, and whether it needs a finished training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was written and what it concludes."""

    paths: tuple[Path, ...]
    verdict: Verdict | None
    conclusion: str


def write_report(  # noqa: PLR0913 - the options of a report
    records: Sequence[TrainingRecord | InferenceRecord],
    out: Path,
    *,
    margin_pp: float = DEFAULT_MARGIN_PP,
    price_minutes_per_pp: float | None = None,
    money: Money = NO_MONEY,
    formats: Collection[str] = tuple(FORMATS),
) -> Report:
    """Write the report of some records into a folder; each file is whole or the one from before.

    Args:
        records: Of one recipe, from any number of devices.
        out: The folder; made where it is missing.
        margin_pp: The smallest gain that matters, in percentage points.
        price_minutes_per_pp: What a percentage point may cost, in training minutes.
        money: What an hour costs, and a percentage point may cost, in money.
        formats: Some of ``html``, ``pdf``, ``md``, ``json``.

    Raises:
        InputError: No records, an unknown format, or records that cannot stand in one report.

    """
    if not records:
        raise InputError("no records", expected="at least one", remedy="run a case first")
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown:
        raise InputError(
            f"unknown format {unknown[0]!r}", expected=f"some of {', '.join(FORMATS)}", remedy="name those"
        )
    records = in_order(records)
    verdict = decide(records, margin_pp=margin_pp, price_minutes_per_pp=price_minutes_per_pp, money=money)
    view = make_view(records, verdict)
    makers: dict[str, Callable[[], bytes]] = {
        "html": lambda: render_html(view).encode(),
        "pdf": lambda: render_pdf(view, records),
        "md": lambda: render_markdown(view).encode(),
        "json": lambda: (verdict.model_dump_json(indent=2) if verdict else "null").encode() + b"\n",
    }
    contents = {out / FORMATS[name]: make() for name, make in makers.items() if name in formats}
    for path, content in contents.items():
        write_whole(path, content)
    conclusion = f"{view.card.state}: {view.card.sentence}"
    return Report(
        paths=tuple(contents), verdict=verdict, conclusion=f"{view.banner}. {conclusion}" if view.banner else conclusion
    )


def make_view(records: Sequence[TrainingRecord | InferenceRecord], verdict: Verdict | None) -> View:
    """Return all that a page shows of some records and the verdict on them."""
    material = gather(records, verdict)
    sections = tuple(
        Section(key=key, title=title, blocks=blocks)
        for key, title, build, needs_training in CHAPTERS
        if (material.trainings or not needs_training) and (blocks := build(material))
    )
    is_result = all(each.recipe.is_result for each in records if isinstance(each, TrainingRecord))
    return View(
        title=_title(material),
        kicker=setting.kicker(material),
        banner="" if is_result else NO_RESULT,
        card=_card(material),
        advice=_advice(material),
        bullets=verdict.would_change if verdict else (),
        bullets_title="What would change this",
        notes=setting.notes(material),
        summary=measured.summary(material),
        sections=sections,
        explorer=explorer(material),
        why=_why(material),
    )


def _why(material: Material) -> tuple[str, ...]:
    """Return the verdict's three grounds, on the first device: accuracy, image by image, and time."""
    verdict = material.verdict
    if verdict is None:
        return ()
    judged = verdict.devices[0]
    small, big = model_name(verdict.small), model_name(verdict.big)
    fixes, breaks = units.count(judged.outcomes.only_big), units.count(judged.outcomes.only_small)
    digits = units.minutes_digits(judged.small_minutes, judged.big_minutes)
    right = f"{big} is right on {units.percent(judged.big_accuracy)} of {units.count(judged.test_images)} test images"
    return (
        f"{right}, {small} on {units.percent(judged.small_accuracy)}.",
        f"It fixes {fixes} of {small}'s mistakes and breaks {breaks} of its hits.",
        f"It trains {units.minutes(judged.big_minutes, digits)} against {units.minutes(judged.small_minutes, digits)}.",
    )


def _title(material: Material) -> str:
    if material.verdict is not None:
        return f"Is {model_name(material.verdict.big)} worth it over {model_name(material.verdict.small)}?"
    names = [look.name for look in material.looks.values()]
    return f"How good is {names[0]}, and how fast?" if len(names) == 1 else "Is the bigger model worth it?"


def _card(material: Material) -> Card:
    verdict = material.verdict
    if verdict is None:
        finished = "; ".join(
            f"{', '.join(model_name(each) for each in material.models_on(device))} on {device}"
            for device in material.devices
        )
        return Card(
            state="NO VERDICT",
            tone="unsure",
            sentence="A verdict needs two models that finished with the same seed on the same device; finished: "
            f"{finished or 'none'}.",
        )
    first = verdict.devices[0]
    price = first.price_minutes_per_pp
    digits = units.minutes_digits(first.small_minutes, first.big_minutes)
    looks = first.looks
    remarks = (
        "provisional, one seed" if verdict.provisional else "",
        verdict.agreement,
        f"seeds added until decided, {units.count(looks[-1])} at most" if looks else "",
    )
    return Card(
        state=verdict.state,
        tone=TONE_OF[verdict.state],
        sentence=verdict.sentence,
        remark="; ".join(each for each in remarks if each),
        tiles=(
            (
                units.pp(first.gain.estimate),
                f"gain in test accuracy, 95 % {units.interval_pp(first.gain.low, first.gain.high)}",
            ),
            (
                units.ratio(first.slowdown.estimate),
                f"training time, 95 % {units.interval_ratio(first.slowdown.low, first.slowdown.high)}; "
                + " against ".join(units.minutes(each, digits) for each in (first.big_minutes, first.small_minutes)),
            ),
            (
                (units.price(price.estimate), "for the gain of a percentage point")
                if price
                else ("no price", "a price per point needs a gain that is surely above zero")
            ),
        ),
    )


def _advice(material: Material) -> tuple[Advice, ...]:
    verdict = material.verdict
    if verdict is None:
        return ()
    return tuple(
        Advice(
            situation=situation,
            choice=model_name(each.model) if each.model else "either",
            look=material.looks[each.model] if each.model else None,
            sentence=each.sentence,
        )
        for situation, each in (
            ("Where time or cost matters", verdict.where_cost_matters),
            ("Where only accuracy counts", verdict.where_only_accuracy_counts),
        )
    )


def render_html(view: View) -> str:
    """Return the page, whole in one file, its figures in the page's own light and dark colours."""
    return _render(view, paint=with_variables)


def render_pdf(view: View, records: Sequence[TrainingRecord | InferenceRecord] = ()) -> bytes:
    """Return the page as a tagged PDF with the records attached, as a JSON that ``fashionbench report`` reads.

    To load anything that the page does not itself hold is an error.
    """
    import weasyprint  # noqa: PLC0415 - it loads Pango, which only the PDF needs

    own = weasyprint.urls.URLFetcher(allowed_protocols=("data",), allow_redirects=False, fail_on_errors=True)
    page = weasyprint.HTML(string=_render(view, paint=str), url_fetcher=own)
    attached = []
    if records:
        content = json.dumps({"benchmarks": [], EXTRA_INFO_KEY: bundle(records)}).encode()
        attached.append(weasyprint.Attachment(string=content, name="records.json", description="The records"))
    written: bytes = page.write_pdf(pdf_variant="pdf/ua-1", attachments=attached)
    return written


def _render(view: View, *, paint: Callable[[str], str]) -> str:
    environment = Environment(
        loader=FileSystemLoader(templates_folder()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

    def draw(drawing: Drawing) -> Markup:
        wide = ' class="wide"' if drawing.is_wide else ""
        return Markup(paint(drawing.svg).replace("<svg", f"<svg{wide}", 1))  # noqa: S704 - matplotlib escaped its text

    environment.filters["paint"] = draw
    environment.filters["tint"] = paint
    script = (templates_folder() / "report.js").read_text(encoding="utf-8")
    font = (templates_folder() / "fonts" / "inter-latin.woff2").read_bytes()
    return environment.get_template("report.html.j2").render(
        view=view,
        marks=MARKS,
        tones=TONES,
        signs=SIGNS,
        script=Markup(script),  # noqa: S704 - our own
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode('ascii')}",
        font=f"data:font/woff2;base64,{base64.b64encode(font).decode('ascii')}",
    )


def render_markdown(view: View) -> str:
    """Return the short form for a pull request or a job summary."""
    environment = Environment(  # noqa: S701 - Markdown, escaped by _plain
        loader=FileSystemLoader(templates_folder()),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_plain,
    )
    return environment.get_template("report.md.j2").render(view=view)


def _plain(value: object) -> object:
    """Return text in which nothing is Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", value.replace("\n", " ")) if isinstance(value, str) else value
