"""Prices in money: converted to minutes on each device, and shown in the report."""

import pytest
from synthetic import make_inference, make_study

from fashionbench import units
from fashionbench.errors import InputError
from fashionbench.judging.prices import Money, predictions_cost
from fashionbench.judging.rule import Thresholds
from fashionbench.judging.verdict import decide
from fashionbench.report.page import CHAPTERS, make_view
from fashionbench.report.render import render_markdown
from fashionbench.report.view import Table


def test_a_price_without_an_index_applies_to_every_device_of_that_kind() -> None:
    money = Money(per_hour={"cuda": 1.2, "cpu": 0.05}, per_pp=0.02)

    assert (money.rate("cuda:1"), money.rate("cpu"), money.rate("mps")) == (1.2, 0.05, None)
    assert money.minutes_per_pp("cuda:1") == pytest.approx(1.0)
    assert money.minutes_per_pp("cpu") == pytest.approx(24.0)
    assert Money(per_hour={"cpu": 0.0}, per_pp=1.0).minutes_per_pp("cpu") == float("inf")
    assert Money().minutes_per_pp("cpu") is None


def test_a_price_in_money_needs_prices_per_hour() -> None:
    with pytest.raises(InputError, match=r"^--price-money 1 without --price-per-hour\. Expected both .*\. Add"):
        Thresholds.read({"price_money": "1"})


def test_a_price_in_money_needs_the_price_of_an_hour_on_each_device() -> None:
    with pytest.raises(InputError, match=r"--price-money 1 without the price of an hour on cpu\. .*\. Add cpu=PRICE"):
        decide(make_study(3), money=Money(per_hour={"cuda": 1.0}, per_pp=1.0))


@pytest.mark.parametrize(("per_pp", "state"), [(100.0, "WORTH IT"), (0.0001, "NOT WORTH IT")])
def test_a_price_in_money_decides_as_the_same_price_in_minutes(per_pp: float, state: str) -> None:
    verdict = decide(make_study(3, gain=0.03), money=Money(per_hour={"cpu": 0.6}, per_pp=per_pp))
    in_minutes = decide(make_study(3, gain=0.03), price_minutes_per_pp=100 * per_pp)

    assert verdict is not None
    assert in_minutes is not None
    assert verdict.state == in_minutes.state == state


@pytest.mark.parametrize(
    ("amount", "text"),
    [(None, "–"), (0.0, "0.00"), (12.3456, "12.35"), (0.5, "0.50"), (0.00421, "0.0042"), (2.04e-7, "0.00000020")],
)
def test_an_amount_has_two_digits_and_no_exponent(amount: float | None, text: str) -> None:
    assert units.money(amount) == text


def test_the_cost_of_a_million_predictions_is_their_time_at_the_price_of_an_hour() -> None:
    record = make_inference("resnet18", batch_size=256)
    failed = record.model_copy(update={"result": None})
    assert record.result is not None

    cost = predictions_cost(record, 3.6)

    assert cost == pytest.approx(record.result.median_seconds() / 256 * 1000)
    assert predictions_cost(failed, 3.6) is None


def test_the_report_shows_money_if_prices_are_given() -> None:
    records = [*make_study(3), *(make_inference(model, batch_size=256) for model in ("fashioncnn", "resnet18"))]

    cost = [chapter for chapter in CHAPTERS if chapter.key == "cost"]
    priced = Money(per_hour={"cpu": 0.6, "cuda": 9.0}, per_pp=0.5)

    view = make_view(records, decide(records, money=priced), chapters=cost)
    without = make_view(records, decide(records, money=Money(per_hour={"cuda": 9.0})), chapters=cost)

    tables = [block for section in view.sections for block in section.blocks if isinstance(block, Table)]
    (money,) = [table for table in tables if table.caption == "Cost in money"]
    assert [row[0].text for row in money.rows] == ["FashionCNN", "ResNet18"]
    assert money.header[1:] == ("per training", "per million predictions")
    assert "The limit is 0.50 per percentage point." in money.note
    assert "stated prices: 0.50 per percentage point, 0.60 per hour on cpu, 9.00 per hour on cuda" in view.card.remark
    in_minutes = make_view(records, decide(records, price_minutes_per_pp=5.0), chapters=cost)
    assert "stated price: 5.0\N{NO-BREAK SPACE}min per pp" in in_minutes.card.remark
    assert "0.60" in money.note
    assert "Cost in money" not in str(without)
    assert render_markdown(view)
