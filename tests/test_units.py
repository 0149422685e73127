"""Numbers are rounded once, half to even, have true minus signs, and a dash if they were not measured."""

import pytest

from fashionbench import units


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (91.55, 1, "91.6"),
        (91.45, 1, "91.4"),
        (0.5, 0, "0"),
        (1.5, 0, "2"),
        (-0.04, 1, "0.0"),
        (-0.26, 1, "−0.3"),
        (1234567.0, 0, "1,234,567"),
        (None, 1, "–"),
    ],
)
def test_rounding_is_half_to_even_of_the_decimal_number(value: float | None, digits: int, text: str) -> None:
    assert units.fixed(value, digits) == text


@pytest.mark.parametrize(("value", "text"), [(0.2, "+0.2"), (-0.2, "−0.2"), (0.0, "0.0"), (0.04, "0.0"), (None, "–")])
def test_a_number_has_a_sign_unless_it_is_shown_as_zero(value: float | None, text: str) -> None:
    assert units.signed(value, 1) == text


@pytest.mark.parametrize(("spread", "digits"), [(0.0, 1), (0.3, 1), (0.04, 2), (3.0, 0), (40.0, 0), (1e-9, 4)])
def test_the_last_digit_is_the_first_one_of_the_spread(spread: float, digits: int) -> None:
    assert units.digits_for(spread) == digits


def test_a_no_break_space_precedes_the_unit() -> None:
    assert units.percent(0.9155) == "91.6\N{NO-BREAK SPACE}%"
    assert units.pp(0.002) == "+0.2\N{NO-BREAK SPACE}pp"
    assert units.interval_pp(-0.003, 0.007) == "−0.3 to +0.7\N{NO-BREAK SPACE}pp"
    assert units.ratio(4.21) == "4.2\N{NO-BREAK SPACE}×"
    assert units.interval_ratio(3.9, 4.5) == "3.9 to 4.5\N{NO-BREAK SPACE}×"
    assert units.minutes(19.44) == "19.4\N{NO-BREAK SPACE}min"
    assert units.seconds(0.44) == "0.4\N{NO-BREAK SPACE}s"
    assert units.milliseconds(0.000222) == "0.22\N{NO-BREAK SPACE}ms"
    assert units.price(12.34) == "12.3\N{NO-BREAK SPACE}min per pp"
    assert units.millions(11_175_370) == "11.18\N{NO-BREAK SPACE}M"
    assert units.mebibytes(2**30) == "1,024\N{NO-BREAK SPACE}MiB"
    assert units.megaflops(25_562_016) == "26"
    assert units.count(10_000) == "10,000"


def test_a_number_that_was_not_measured_is_a_dash() -> None:
    functions = (
        units.percent, units.pp, units.ratio, units.minutes, units.seconds, units.milliseconds, units.price,
        units.millions, units.megaflops, units.mebibytes, units.count,
    )  # fmt: skip

    assert {function(None) for function in functions} == {"–"}
