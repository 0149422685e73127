"""The controls of the HTML page, and the data that its script recomputes the verdict from."""

import math

from fashionbench.judging.findings import DeviceVerdict
from fashionbench.judging.rule import Thresholds
from fashionbench.report.context import Context
from fashionbench.report.view import Explorer

__all__ = ["make_explorer"]


def make_explorer(context: Context) -> Explorer | None:
    """Return the controls and their data; None if there is no verdict to recompute."""
    verdict = context.verdict
    if verdict is None:
        return None
    thresholds = verdict.thresholds
    in_money = thresholds.money.per_pp is not None
    price = thresholds.money.per_pp if in_money else thresholds.price_minutes_per_pp
    seeds = sorted({each.seed for each in context.trainings})
    classes = context.trainings[0].data.classes
    filters = (
        ("device", "Device", "all devices", tuple((each, each) for each in context.devices)),
        ("seed", "Seed", "all seeds", tuple((str(each), f"seed {each}") for each in seeds)),
        ("class", "Class", "all classes", tuple((each, each) for each in classes)),
    )
    return Explorer(
        data={
            "devices": [_list_evidence(each, thresholds) for each in verdict.devices],
            "tie_slowdown": thresholds.tie_slowdown,
            "classes": list(classes),
        },
        margin_label=f"percentage points of {context.score_name}",
        margin=_exact(float(f"{100 * thresholds.margin:.15g}")),
        price="" if price is None or math.isinf(price) else _exact(price),
        price_unit="money" if in_money else "minutes",
        filters=tuple(each for each in filters if len(each[3]) > 1),
    )


def _exact(value: float) -> str:
    """Return a number as the text that every language reads as the same number."""
    return repr(value).removesuffix(".0")


def _list_evidence(judged: DeviceVerdict, thresholds: Thresholds) -> dict[str, object]:
    """Return what the page's script judges, as ``fashionbench.judging.rule.judge`` does."""
    evidence, money = judged.evidence(), thresholds.money
    parts = {"gain": evidence.gain, "slowdown": evidence.slowdown, "extra_minutes": evidence.extra_minutes}
    found = {name: each and [each.low, each.estimate, each.high] for name, each in parts.items()}
    if evidence.at_budget:  # a slower model that takes no extra minutes is judged by its gain alone
        found |= {"slowdown": [2.0] * 3, "extra_minutes": [0.0] * 3}
    return {
        "device": judged.device,
        "price_per_hour": None if money.per_pp is None else money.rate(judged.device_word),
        "allowance": evidence.allowance,
        **found,
    }
