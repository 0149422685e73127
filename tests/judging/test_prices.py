"""Minutes become money at the user's own prices, and a price in money is that in minutes on each device."""

import pytest
from synthetic import make_inference, make_study

from fashionbench import units
from fashionbench.errors import InputError
from fashionbench.judging.prices import Money, predictions_cost
from fashionbench.judging.verdict import decide
from fashionbench.report.page import make_view
from fashionbench.report.render import render_markdown
from fashionbench.report.view import Table


def test_prices_are_read_and_a_kinds_price_holds_for_each_of_its_devices() -> None:
    money = Money.parse("cuda=1.20, cpu=0.05", "0.02")

    assert (money.rate("cuda:1"), money.rate("cpu"), money.rate("mps")) == (1.2, 0.05, None)
    assert money.minutes_per_pp("cuda:1") == pytest.approx(1.0)
    assert money.minutes_per_pp("cpu") == pytest.approx(24.0)
    assert Money.parse("cpu=0", 1.0).minutes_per_pp("cpu") == float("inf")
    assert Money.parse("", None).minutes_per_pp("cpu") is None


@pytest.mark.parametrize(
    ("per_hour", "per_pp", "words"),
    [
        ("cpu", "", r"price-per-hour 'cpu'\. Expected a number, 0 or more, behind a device's word, as cpu=0\.05"),
        ("cpu=-1", "", "price-per-hour 'cpu=-1'"),
        ("cpu=1", "much", r"price-money 'much'\. Expected a number, 0 or more\. Mend"),
        ("", "1", r"price-money 1 without a price per hour\. Expected both\. Add --price-per-hour"),
    ],
)
def test_what_is_no_price_is_refused(per_hour: str, per_pp: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Money.parse(per_hour, per_pp)


def test_a_device_without_a_price_is_refused_where_a_point_has_one() -> None:
    with pytest.raises(InputError, match=r"price-money 1 and no price of an hour on cpu\. .*\. Add cpu=\.\.\. to"):
        decide(make_study(3), money=Money.parse("cuda=1", "1"))


@pytest.mark.parametrize(("per_pp", "state"), [("100", "WORTH IT"), ("0.0001", "NOT WORTH IT")])
def test_the_price_in_money_decides_like_that_in_minutes(per_pp: str, state: str) -> None:
    verdict = decide(make_study(3, gain=0.03), money=Money.parse("cpu=0.60", per_pp))
    in_minutes = decide(make_study(3, gain=0.03), price_minutes_per_pp=100 * float(per_pp))

    assert verdict is not None
    assert in_minutes is not None
    assert verdict.state == in_minutes.state == state


@pytest.mark.parametrize(
    ("amount", "text"),
    [(None, "–"), (0.0, "0.00"), (12.3456, "12.35"), (0.5, "0.50"), (0.00421, "0.0042"), (2.04e-7, "0.00000020")],
)
def test_an_amount_shows_two_digits_and_no_exponent(amount: float | None, text: str) -> None:
    assert units.money(amount) == text


def test_a_million_predictions_cost_their_hours() -> None:
    record = make_inference("resnet18", batch_size=256)
    failed = record.model_copy(update={"result": None})
    assert record.result is not None

    cost = predictions_cost(record, 3.6)

    assert cost == pytest.approx(record.result.median_seconds() / 256 * 1000)
    assert predictions_cost(failed, 3.6) is None


def test_the_report_tells_money_beside_minutes_where_prices_are_given() -> None:
    records = [*make_study(3), *(make_inference(model, batch_size=256) for model in ("fashioncnn", "resnet18"))]

    view = make_view(records, decide(records, money=Money.parse("cpu=0.60,cuda=9", "0.5")))
    without = make_view(records, decide(records, money=Money.parse("cuda=9", "")))

    tables = [block for section in view.sections for block in section.blocks if isinstance(block, Table)]
    (money,) = [table for table in tables if table.caption == "Cost in money"]
    assert [row[0].text for row in money.rows] == ["FashionCNN", "ResNet18"]
    assert money.rows[0][2].text == "0.60"
    assert money.note.endswith("The limit is 0.50 per percentage point.")
    assert "Cost in money" not in str(without)
    assert render_markdown(view)
