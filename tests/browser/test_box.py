"""The page's own box, which judges with other thresholds: it agrees with Python, from what Python was given."""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from synthetic import make_study

from fashionbench.judging.rule import State, Thresholds, judge
from fashionbench.judging.verdict import Verdict, decide, decide_by
from fashionbench.records.record import InferenceRecord, TrainingRecord
from fashionbench.report.context import make_context
from fashionbench.report.front.explorer import make_explorer
from fashionbench.report.page import make_view
from fashionbench.report.render import render_html

Records = Sequence[TrainingRecord | InferenceRecord]

SHOW_AS_LOADED = """
return arguments[0].map(([data, values]) => {
  Object.assign(page, data);
  for (const [name, value] of Object.entries(values)) form.elements[name].value = value;
  form.dispatchEvent(new Event("input"));
  return form.elements.verdict.textContent.split(":")[0];
});
"""
GIVEN: tuple[dict[str, str], ...] = (
    {},
    {"margin": "0.33"},
    {"margin": "0"},
    {"margin": "4.5"},
    {"margin": "12.345678901"},
    {"margin": "0.1", "price": "7.77"},
    {"price": "0"},
    {"price": "1234.56789"},
    {"margin": "3.05", "price": "1e4"},
    {"price_per_hour": "cpu=0.05,cuda=1.20", "price_money": "0.013"},
    {"price_per_hour": "cpu=0,cuda=0.3", "price_money": "0.07", "price": "5"},
)
"""What was typed for a run; the margins and prices beside it that each study's own intervals suggest are added."""


FASTER = {"faster": 10, "alike": 4.75}


def _change(record: TrainingRecord | InferenceRecord, change: str) -> TrainingRecord | InferenceRecord:
    """Return a training as if it had taken a fraction of its time, or as if the machine had been busy."""
    if isinstance(record, InferenceRecord) or record.result is None:
        return record
    if change == "busy":
        update: dict[str, object] = {"others_cpu_share": (0.5,) * len(record.result.epoch_seconds)}
    else:
        seconds = tuple(each / FASTER[change] for each in record.result.epoch_seconds)
        update = {"train_seconds": sum(seconds), "epoch_seconds": seconds}
    return record.model_copy(update={"result": record.result.model_copy(update=update)})


def studies() -> Iterator[tuple[Records, Verdict]]:
    for gain, seeds, change in product((-0.01, 0.002, 0.012), (1, 4), ("slower", *FASTER, "busy")):
        records = make_study(seeds, gain=gain, spread=0.0005, devices=("cpu", "cuda"))
        if change != "slower":
            records = [_change(each, change) if each.model == "resnet18" else each for each in records]
        verdict = decide(records)
        assert verdict is not None
        yield records, verdict


def rejudge(verdict: Verdict, thresholds: Thresholds) -> State:
    """Return the state with other thresholds, from the intervals of a verdict."""
    states = {judge(each.evidence(), thresholds.on(each.device_word)) for each in verdict.devices}
    return states.pop() if len(states) == 1 else "CANNOT TELL"


def box(records: Records, verdict: Verdict, thresholds: Thresholds) -> tuple[object, dict[str, str]]:
    """Return the data of the page's own box and what its fields start with."""
    explorer = make_explorer(make_context(records, verdict.model_copy(update={"thresholds": thresholds})))
    assert explorer is not None
    return explorer.data, {"margin": explorer.margin, "price": explorer.price}


def test_the_box_starts_from_what_python_was_given_and_gives_the_verdict_of_the_card(
    browser: Chrome, study: Path
) -> None:
    browser.get(study.as_uri())
    states, expected = [], []
    for records, verdict in studies():
        limits = [100 * each for device in verdict.devices for each in (device.gain.low, device.gain.high) if each > 0]
        nearby = [{"margin": f"{limit * factor:.9g}"} for limit in limits for factor in (0.999, 1.001)]
        for given in (*GIVEN, *nearby):
            thresholds = Thresholds.read(given)
            states.append(box(records, verdict, thresholds))
            expected.append(rejudge(verdict, thresholds))
        whole = decide_by(records, thresholds)
        assert whole is not None
        assert whole.state == expected[-1]

    shown = browser.execute_script(SHOW_AS_LOADED, states)

    assert len(states) > 200
    assert set(expected) == {"WORTH IT", "NOT WORTH IT", "TIE", "CANNOT TELL"}
    assert shown == expected


@pytest.mark.parametrize("given", [GIVEN[3], GIVEN[9]], ids=["margin", "money"])
def test_card_and_box_agree_when_the_page_is_loaded(browser: Chrome, tmp_path: Path, given: dict[str, str]) -> None:
    records = make_study(3, gain=0.05, devices=("cpu", "cuda"))
    view = make_view(records, decide_by(records, Thresholds.read(given)), chapters=())
    page = tmp_path / "report.html"
    page.write_text(render_html(view), encoding="utf-8")

    browser.get(page.as_uri())

    assert browser.find_element(By.NAME, "verdict").text.partition(":")[0] == view.card.state
    assert float(browser.find_element(By.NAME, "margin").get_attribute("value") or "") == float(
        given.get("margin", "0.5")
    )


def test_the_box_asks_for_a_number_where_there_is_none(browser: Chrome, study: Path) -> None:
    browser.get(study.as_uri())
    margin = browser.find_element(By.NAME, "margin")
    margin.clear()
    cleared = browser.find_element(By.NAME, "verdict").text
    margin.send_keys("-1")

    assert cleared == browser.find_element(By.NAME, "verdict").text == "not defined: give numbers of 0 or more"
