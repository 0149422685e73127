"""The sentence of a verdict gives the reason for which the rule decides."""

import pytest

from fashionbench import units
from fashionbench.judging.rule import Evidence, Thresholds, judge, weigh
from fashionbench.judging.statistics.intervals import Interval
from fashionbench.judging.wording import describe_finding


def interval(low: float, high: float) -> Interval:
    return Interval(estimate=(low + high) / 2, low=low, high=high, method="given")


SLOWER = "ResNet18 takes 4.0 times as long to train as FashionCNN"
FASTER = "ResNet18 takes 0.25 times as long to train as FashionCNN"
ALIKE = "ResNet18 takes about as long to train as FashionCNN (1.1 ×)"


@pytest.mark.parametrize(
    ("gain", "slowdown", "price", "seeds", "state", "sentence"),
    [
        (
            *((-0.004, 0.002), (3.9, 4.1), None, 3, "NOT WORTH IT"),
            (
                f"{SLOWER}, and its accuracy gain lies below the default margin of 0.5 percentage points "
                "(−0.1, 95 % CI −0.4 to +0.2)."
            ),
        ),
        (
            *((0.001, 0.003), (3.9, 4.1), None, 3, "NOT WORTH IT"),
            (
                f"{SLOWER}, and its accuracy gain is significant but small: it lies below the default margin of 0.5 "
                "percentage points (+0.2, 95 % CI +0.1 to +0.3)."
            ),
        ),
        (
            *((-0.03, -0.01), (3.9, 4.1), None, 3, "NOT WORTH IT"),
            f"{SLOWER}, and is significantly less accurate (−2.0 percentage points, 95 % CI −3.0 to −1.0).",
        ),
        (
            *((0.01, 0.02), (3.9, 4.1), None, 3, "WORTH IT"),
            (
                f"{SLOWER}, and its accuracy gain lies above the default margin of 0.5 percentage points "
                "(+1.5, 95 % CI +1.0 to +2.0)."
            ),
        ),
        (
            *((0.01, 0.02), (0.8, 1.8), None, 3, "WORTH IT"),
            (
                "ResNet18 does not take significantly longer to train than FashionCNN (1.3 ×), and its accuracy gain "
                "lies above the default margin of 0.5 percentage points (+1.5, 95 % CI +1.0 to +2.0)."
            ),
        ),
        (
            *((0.01, 0.02), (3.9, 4.1), 5.0, 3, "NOT WORTH IT"),
            (
                f"{SLOWER}, and its accuracy gain lies above the default margin of 0.5 percentage points "
                "(+1.5, 95 % CI +1.0 to +2.0), but the extra time costs more than the gain is worth at the stated "
                "5.0 min per pp."
            ),
        ),
        (
            *((0.01, 0.02), (3.9, 4.1), 10.0, 3, "CANNOT TELL"),
            (
                f"{SLOWER}, and its accuracy gain lies above the default margin of 0.5 percentage points "
                "(+1.5, 95 % CI +1.0 to +2.0), but whether the gain is worth the extra time at the stated "
                "10.0 min per pp is open."
            ),
        ),
        (
            *((0.0, 0.02), (3.9, 4.1), 5.0, 3, "NOT WORTH IT"),
            (
                f"{SLOWER}, and the extra time costs more than the gain is worth at the stated 5.0 min per pp, even at "
                "the upper limit of its gain (+1.0, 95 % CI 0.0 to +2.0)."
            ),
        ),
        (
            *((0.006, 0.014), (3.9, 4.1), None, 1, "CANNOT TELL"),
            (
                f"{SLOWER}, and its accuracy gain lies above the default margin of 0.5 percentage points "
                "(+1.0, 95 % CI +0.6 to +1.4), but one seed does not show the variation between seeds."
            ),
        ),
        (
            *((-0.001, 0.011), (3.9, 4.1), None, 3, "CANNOT TELL"),
            (
                f"{SLOWER}; whether its accuracy gain reaches the default margin of 0.5 percentage points is open "
                "(+0.5, 95 % CI −0.1 to +1.1)."
            ),
        ),
        (
            *((0.001, 0.003), (0.8, 1.8), None, 3, "CANNOT TELL"),
            (
                "The accuracy gain of ResNet18 lies below the default margin of 0.5 percentage points (+0.2, 95 % CI "
                "+0.1 "
                "to +0.3); whether it takes longer to train than FashionCNN is open (1.3 × as long, 95 % CI 0.8 to "
                "1.8)."
            ),
        ),
        (
            *((-0.002, 0.002), (1.0, 1.2), None, 3, "TIE"),
            (
                f"{ALIKE}, and its accuracy differs by no more than the default margin of 0.5 percentage points "
                "(0.0, 95 % CI −0.2 to +0.2)."
            ),
        ),
        (
            *((-0.005, 0.005), (1.0, 1.2), None, 3, "TIE"),
            (
                f"{ALIKE}, and its accuracy differs by no more than the default margin of 0.5 percentage points "
                "(0.0, 95 % CI −0.5 to +0.5)."
            ),
        ),
        (
            *((0.0, 0.004), (0.2, 0.3), None, 3, "WORTH IT"),
            f"{FASTER}, and is no less accurate (+0.2 percentage points, 95 % CI 0.0 to +0.4).",
        ),
        (
            *((0.0, 0.02), (0.2, 0.3), None, 3, "WORTH IT"),
            f"{FASTER}, and is no less accurate (+1.0 percentage points, 95 % CI 0.0 to +2.0).",
        ),
        (
            *((-0.004, 0.002), (0.2, 0.3), None, 3, "CANNOT TELL"),
            f"{FASTER}; whether it is as accurate is open (−0.1 percentage points, 95 % CI −0.4 to +0.2).",
        ),
    ],
)
def test_the_sentence_gives_the_reason_of_the_rule(
    gain: tuple[float, float], slowdown: tuple[float, float], price: float | None, seeds: int, state: str, sentence: str
) -> None:
    thresholds = Thresholds(margin=0.005, price_minutes_per_pp=price)
    evidence = weigh(interval(*gain), interval(*slowdown), interval(15.0, 15.0), seeds, is_reliable=True)
    decided = judge(evidence, thresholds)

    found = describe_finding(("fashioncnn", "resnet18"), decided, evidence, thresholds, "")

    assert decided == state
    assert found.replace(units.SPACE, " ") == sentence


def test_only_the_default_margin_is_called_so() -> None:
    thresholds = Thresholds(margin=0.02, price_minutes_per_pp=None)
    evidence = Evidence(gain=interval(0.0, 0.01), slowdown=interval(3.9, 4.1), extra_minutes=interval(15.0, 15.0))

    found = describe_finding(("fashioncnn", "resnet18"), "NOT WORTH IT", evidence, thresholds, "")

    assert "lies below the margin of 2 percentage points" in found


@pytest.mark.parametrize(
    ("gain", "position"),
    [((0.01, 0.02), "lies above"), ((-0.01, 0.004), "lies below"), ((0.0, 0.02), "may or may not reach")],
)
def test_a_time_that_does_not_count_is_named_with_its_reason(gain: tuple[float, float], position: str) -> None:
    evidence = Evidence(gain=interval(*gain), slowdown=None, extra_minutes=None)
    thresholds = Thresholds(margin=0.005, price_minutes_per_pp=None)

    found = describe_finding(("fashioncnn", "resnet18"), "CANNOT TELL", evidence, thresholds, "4.0 × as long, but why")

    assert found.startswith(f"The accuracy gain of ResNet18 {position} the default margin of 0.5 percentage points (")
    assert found.endswith("); the training time does not count (4.0 × as long, but why).")
