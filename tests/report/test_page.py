"""The report as files."""

import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from synthetic import make_environment, make_inference, make_study, make_training
from verdicts import Records, view_of

from fashionbench import units
from fashionbench.errors import InputError
from fashionbench.judging.rule import Thresholds
from fashionbench.judging.verdict import decide
from fashionbench.recipe.fields import RECIPES
from fashionbench.records.record import InferenceRecord, ModelInfo, TrainingRecord
from fashionbench.report.page import Report, write_report
from fashionbench.report.render import render_html, render_markdown


@dataclass
class Read(HTMLParser):
    """The tags and the text of a page."""

    def __post_init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "br", "input"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data.strip())

    def text(self) -> str:
        return " ".join(word for word in self.words if word)


def read(html: str) -> Read:
    """Return a parsed page; its tags must be closed in order."""
    page = Read()
    page.feed(html)
    page.close()
    assert not page.open
    return page


def test_a_report_is_four_files_and_a_conclusion(study_report: Report) -> None:
    assert [path.name for path in study_report.paths] == ["report.html", "report.pdf", "report.md", "verdict.json"]
    assert all(path.stat().st_size for path in study_report.paths)
    assert study_report.verdict is not None
    assert study_report.conclusion == f"{study_report.verdict.state}: {study_report.verdict.sentence}"


def test_only_the_wanted_formats_are_written(tmp_path: Path) -> None:
    report = write_report(make_study(1), tmp_path / "new", formats=("json",))

    assert [path.name for path in report.paths] == ["verdict.json"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["verdict.json"]


def test_the_same_records_in_any_order_make_the_same_bytes(study_report: Report, tmp_path: Path) -> None:
    records = make_study(3)
    order = np.random.default_rng(0).permutation(len(records))

    again = write_report([records[place] for place in order], tmp_path, formats=("html", "md", "json"))

    written = {path.name: path.read_bytes() for path in study_report.paths}
    assert all(path.read_bytes() == written[path.name] for path in again.paths)


def test_no_records_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"No records\. Expected at least one\. Run a case first"):
        write_report([], tmp_path)


def test_an_unknown_format_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Unknown format 'docx'\. Expected some of html, pdf, md, json"):
        write_report(make_study(1), tmp_path, formats=("html", "docx"))

    assert not list(tmp_path.iterdir())


def test_margin_and_price_reach_verdict_and_page(tmp_path: Path) -> None:
    given = Thresholds(margin=0.02, price_minutes_per_pp=30.0)
    report = write_report(make_study(3, gain=0.03), tmp_path, thresholds=given, formats=("md", "json"))

    thresholds = json.loads((tmp_path / "verdict.json").read_bytes())["thresholds"]
    assert (thresholds["margin"], thresholds["price_minutes_per_pp"]) == (0.02, 30.0)
    assert report.conclusion.startswith("WORTH IT: ")
    assert "margin of 2 percentage points" in (tmp_path / "report.md").read_text()


def test_the_page_is_self_contained(study_report: Report) -> None:
    html = study_report.paths[0].read_text(encoding="utf-8")

    page = read(html)

    targets = [attrs.get(name) or "" for _, attrs in page.tags for name in ("src", "href", "data", "srcset")]
    assert all(target.startswith(("data:", "#")) for target in targets if target)
    assert not {"link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert [attrs.get("id") for tag, attrs in page.tags if tag == "script"] == ["explore-data", None]
    assert not re.findall(r"url\((?!data:|#)", html)
    assert len(html) < 2_000_000


def test_each_link_of_the_contents_has_its_section_and_ids_are_unique(study_report: Report) -> None:
    page = read(study_report.paths[0].read_text(encoding="utf-8"))

    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    links = [(attrs["href"] or "")[1:] for tag, attrs in page.tags if tag == "a"]
    assert len(ids) == len(set(ids))
    assert len(links) > 8
    assert set(links) <= set(ids)


def test_images_drawings_and_tables_have_text_alternatives(study_report: Report) -> None:
    page = read(study_report.paths[0].read_text(encoding="utf-8"))

    assert ("html", {"lang": "en"}) in page.tags
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
    assert all(attrs.get("scope") for tag, attrs in page.tags if tag == "th")
    drawings = [attrs for tag, attrs in page.tags if tag == "svg"]
    assert all(attrs.get("role") == "img" or attrs.get("aria-hidden") == "true" for attrs in drawings)
    assert sum(tag == "title" for tag, _ in page.tags) == 1 + sum(attrs.get("role") == "img" for attrs in drawings)


def test_the_page_states_the_verdict_before_anything_else(study_report: Report) -> None:
    assert study_report.verdict is not None

    words = read(study_report.paths[0].read_text(encoding="utf-8")).text()

    order = [
        "recipe study",
        study_report.verdict.state,
        study_report.verdict.sentence,
        "If time or cost matters",
        "Further evidence",
        "Accuracy and training cost",
        "Learning curves",
        "Scores by class",
        "Training clock",
        "Environment on cpu",
    ]
    places = [words.index(each.replace(" %", f"{units.SPACE}%")) for each in order]
    assert places == sorted(places)


def test_text_of_a_record_is_never_markup() -> None:
    evil = "<script>alert(1)</script>"
    environment = make_environment().model_copy(update={"command": evil, "cpu": f"CPU {evil}"})
    records = [
        make_training("resnet18", seed=0),
        make_training(f"m{evil}", seed=0).model_copy(update={"environment": environment, "device_name": evil}),
        make_training("fashioncnn", device="mps", status="failed", reason=evil),
    ]

    html = render_html(view_of(records))

    assert "script" not in {tag for tag, _ in read(html).tags}
    assert evil in read(html).text()


def test_text_of_a_record_is_never_markdown() -> None:
    records = [make_training("a|b*[x](y)<i>$~&"), make_training("https://x.example www.x.example @someone")]

    text = render_markdown(view_of(records, "method"))

    assert r"a\|b\*\[x\](y)\<i\>\$\~\&" in text
    assert "https\\://x.example www\\.x.example @\N{WORD JOINER}someone" in text


def test_markdown_has_verdict_table_and_run_description(study_report: Report) -> None:
    text = study_report.paths[2].read_text(encoding="utf-8")

    assert text.startswith("## Is ResNet18 worth it over FashionCNN?\n")
    assert re.search(r"^\| FashionCNN \|( [^|]+ \|){5}$", text, re.MULTILINE)
    assert text.endswith("2026-11-23\n")


def test_each_device_has_its_own_table_and_cases_without_a_result_are_listed() -> None:
    absent = make_training("resnet18", device="mps", status="absent", reason="no such device")
    records = [*make_study(2, devices=("cpu", "cuda")), absent]

    words = read(render_html(view_of(records, "cost", "environment", "unfinished"))).text()

    assert "Results on cpu (Synthetic CPU)" in words
    assert "Results on cuda (Synthetic GPU)" in words
    assert "no such device" in words


def test_one_model_alone_gets_a_report_without_a_verdict(tmp_path: Path) -> None:
    records = [make_training("resnet18", seed=seed) for seed in (0, 1)]

    report = write_report(records, tmp_path, formats=("html", "json"))

    assert report.verdict is None
    assert report.conclusion.startswith("NO VERDICT: ")
    assert report.conclusion.endswith("Finished: ResNet18 on cpu.")
    assert (tmp_path / "verdict.json").read_text() == "null\n"


@pytest.mark.parametrize(
    "records",
    [
        [make_training(status="absent", reason="not here")],
        [make_training(status="failed", reason="no memory"), make_inference()],
        [make_inference(), make_inference("resnet18")],
        [make_inference().model_copy(update={"status": "failed", "reason": "no memory", "result": None})],
    ],
)
def test_without_a_finished_training_there_is_a_page_without_a_verdict(records: Records, tmp_path: Path) -> None:
    report = write_report(records, tmp_path, formats=("html", "md"))

    assert report.conclusion.endswith("Finished: none.")


def _many() -> list[TrainingRecord | InferenceRecord]:
    made = []
    for number in range(12):
        info = ModelInfo(
            parameters=1_000 * (number + 1), reachable_parameters=1_000, forward_flops=10**5, training_flops=10**6
        )
        name = f"{number:02}-" + "$long_name-" * 7
        record = make_training(name, accuracy=0.85 + number * 0.005, train_seconds=20.0 * (number + 1), images=500)
        made.append(record.model_copy(update={"model_info": info}))
    return [*made]


def test_twelve_models_with_long_names_fit_in_one_report() -> None:
    records = _many()

    words = read(render_html(view_of(records))).text()

    assert all(each.model in words for each in records)
    assert "The losses of the other models are not drawn." in words


@pytest.mark.parametrize(
    ("big", "recipe", "introduced"),
    [("resnet18", "study", True), ("resnet18", "swift", True), ("mine", "study", True), ("mine", "swift", False)],
)
def test_the_study_is_introduced_where_its_recipe_or_its_models_are_used(
    big: str,
    recipe: str,
    introduced: bool,
) -> None:
    records = [make_training("fashioncnn", recipe=RECIPES[recipe]), make_training(big, recipe=RECIPES[recipe])]
    larger = records[0].model_info.model_copy(update={"parameters": 10**7}) if records[0].model_info else None
    records[1] = records[1].model_copy(update={"model_info": larger})

    words = read(render_html(view_of(records, "method"))).text()

    assert ("“The study” is an unpublished student report, “Resnet”" in words) == introduced
    assert ("The study states neither" in words) == (recipe == "study")


def test_two_recipes_are_shown_side_by_side() -> None:
    swift = [
        each.model_copy(update={"recipe": RECIPES["swift"]}) if isinstance(each, TrainingRecord) else each
        for each in make_study(3, gain=0.03)
    ]

    records = [*make_study(3, gain=0.0), *swift]

    verdict, page = decide(records), render_html(view_of(records, "cost", "method"))

    assert verdict is not None
    assert [each.device for each in verdict.devices] == ["cpu study", "cpu swift"]
    assert [each.state for each in verdict.devices] == ["NOT WORTH IT", "WORTH IT"]
    assert (
        "Recipe “study”: Adam; 10 epochs; learning rate 0.001, multiplied by 0.1 every 5 epochs; batch size 100" in page
    )
    assert "Recipe “swift”: Adam; 4 epochs for FashionCNN, 7 epochs for ResNet18; one-cycle schedule with" in page


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (("fashioncnn", "resnet18"), "Drawn are the 12 of 47 classes with the largest difference in F1."),
        (("fashioncnn",), "Drawn are the 12 of 47 classes with the lowest F1."),
    ],
)
def test_of_many_classes_twelve_are_drawn_and_the_table_has_all(models: tuple[str, ...], words: str) -> None:
    names = tuple(f"class {number}" for number in range(47))
    records = [make_training(model, classes=names, accuracy=0.85) for model in models]

    page = render_html(view_of(records, "classes", "confusion"))

    assert words in page
    assert "Drawn are the 12 of 47 classes with most mistakes." in page
    assert all(f">{name}<" in page for name in names)


def test_analyses_that_were_planned_before_the_run_are_stated() -> None:
    looked = [each.model_copy(update={"looks": (3, 5)}) for each in make_study(3)]

    page = render_html(view_of(looked, "method"))

    assert "with analyses planned at 3 and 5 seeds" in page
    assert "seeds added until the verdict was decided, at most 5" in page


def test_no_line_ends_within_the_name_of_an_option_or_before_a_percent_sign(study_report: Report) -> None:
    page = study_report.paths[0].read_text(encoding="utf-8").partition("<body>")[2].partition("<script")[0]

    assert '(<span class="option">--recipe</span> FILE.toml)' in page
    text = re.sub(r"<!--.*?-->|<svg.*?</svg>|<[^>]* (alt|aria-label)=\"[^>]*>", "", page, flags=re.DOTALL)
    assert re.findall(r"(?<!option\">)(?<![\w-])--[a-z]+", text) == []
    assert re.findall(r".{20}\d %", text) == []


def test_the_page_and_the_paper_have_their_own_style_sheets(study_report: Report) -> None:
    page = study_report.paths[0].read_text(encoding="utf-8")

    assert not re.findall(r"string-set|@top-|target-counter|leader\(|counter\(page", page)
