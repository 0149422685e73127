"""The pages of three record sets, word for word, and the committed reports, byte by byte.

``pytest tests/report/test_gold.py --update-gold`` updates both.

The expected pages contain only the titles of the drawings, and no font, style sheet or script, so that a change to
them can be read.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from synthetic import make_inference, make_study, make_training

from fashionbench.judging.statistics.intervals import Interval
from fashionbench.judging.verdict import decide
from fashionbench.recipe.fields import RECIPES
from fashionbench.records.reading import read_records
from fashionbench.records.record import InferenceRecord, TrainingRecord
from fashionbench.report.page import make_view, write_report
from fashionbench.report.render import render_html

GOLD = Path(__file__).parents[1] / "gold"
REPORTS = Path(__file__).parents[2] / "reports"
SETS: dict[str, Sequence[TrainingRecord | InferenceRecord]] = {
    "study": make_study(3, gain=0.012),
    "devices": [
        *make_study(2, devices=("cpu", "cuda")),
        make_training("resnet18", device="cuda", seed=7, status="failed", reason="CUDA out of memory"),
        make_training("fashioncnn", device="mps", status="absent", reason="not found by torch 2.14.1 here"),
    ],
    "check": [make_training(recipe=RECIPES["smoke"], images=1_000), make_inference()],
}


@pytest.mark.parametrize("name", SETS)
def test_the_page_is_as_expected(name: str, request: pytest.FixtureRequest) -> None:
    path = GOLD / f"{name}.html"
    page = _text_of(render_html(make_view(SETS[name], decide(SETS[name]))))

    if request.config.getoption("--update-gold"):
        path.write_text(page, encoding="utf-8")

    assert page == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["reference", "budgets"])
def test_a_committed_report_is_made_by_this_code(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    committed = REPORTS / name
    records = read_records(committed / "benchmark.json")
    if request.config.getoption("--update-gold"):
        write_report(records, committed)

    made = write_report(records, tmp_path, formats=("html", "md", "json"))  # a PDF contains the time of its making

    assert len(made.paths) == 3
    for path in made.paths:
        assert path.read_bytes() == (committed / path.name).read_bytes(), path.name


def test_the_readme_and_the_docs_quote_the_committed_reports() -> None:
    records = read_records(REPORTS / "reference" / "benchmark.json")
    verdict, budgets = decide(records), decide(read_records(REPORTS / "budgets" / "benchmark.json"))
    readme, page = (
        " ".join((REPORTS.parent / name).read_text(encoding="utf-8").split())
        for name in ("README.md", "docs/budgets.md")
    )

    assert verdict is not None
    assert budgets is not None
    (device,) = verdict.devices
    (on_budget,) = budgets.budgets
    ratio, gain = device.slowdown, device.gain
    assert isinstance(ratio, Interval)
    assert isinstance(gain, Interval)
    slower = f"takes {ratio.estimate:.1f} times as long to train (95 % CI {ratio.low:.1f} to {ratio.high:.1f})"
    gained = f"{100 * gain.estimate:+.1f} percentage points (95 % CI {100 * gain.low:+.1f} to {100 * gain.high:+.1f};"
    assert slower in readme
    assert gained.replace("-", "−") in readme
    assert {f"at commit {str(each.environment.commit)[:7]} " in readme for each in records} == {True}
    assert on_budget.sentence.replace("\N{NO-BREAK SPACE}", " ") in page


def _text_of(html: str) -> str:
    html = re.sub(r"<(style|script)>.*?</\1>", r"<\1></\1>", html, flags=re.DOTALL)
    html = re.sub(
        r"<svg[^>]*?(?:role=\"img\")[^>]*><title>(.*?)</title>.*?</svg>", r"<svg>\1</svg>", html, flags=re.DOTALL
    )
    html = re.sub(r"<svg[^>]*aria-hidden.*?</svg>", "", html, flags=re.DOTALL)
    return re.sub(r"data:image/png;base64,[^\"]*|sha256-[^']*", "...", html)
