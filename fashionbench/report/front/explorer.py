"""The controls of the HTML page, and the data that its script recomputes the verdict from."""

from typing import Final

from fashionbench.judging.findings import DeviceVerdict
from fashionbench.report.context import Context
from fashionbench.report.view import Explorer

__all__ = ["make_explorer"]

PRICE_STEPS: Final = 200


def make_explorer(context: Context) -> Explorer | None:
    """Return the controls and their data; None if there is no verdict to recompute."""
    verdict = context.verdict
    if verdict is None:
        return None
    step = _price_step(max(each.big_minutes - each.small_minutes for each in verdict.devices))
    price = verdict.thresholds.price_minutes_per_pp
    seeds = sorted({each.seed for each in context.trainings})
    classes = context.trainings[0].data.classes
    filters = (
        ("device", "Device", "all devices", tuple((each, each) for each in context.devices)),
        ("seed", "Seed", "all seeds", tuple((str(each), f"seed {each}") for each in seeds)),
        ("class", "Class", "all classes", tuple((each, each) for each in classes)),
    )
    return Explorer(
        data={
            "devices": [_list_evidence(each) for each in verdict.devices],
            "tie_slowdown": verdict.thresholds.tie_slowdown,
            "price_step": step,
            "classes": list(classes),
        },
        margin_pp=f"{100 * verdict.thresholds.margin:g}",
        price_steps=PRICE_STEPS,
        price_position=PRICE_STEPS if price is None else min(PRICE_STEPS - 1, round(price / step)),
        filters=tuple(each for each in filters if len(each[3]) > 1),
    )


def _price_step(extra_minutes: float) -> float:
    """Return the minutes per percentage point of one slider step: the slider ends at ten times the extra minutes."""
    return max(extra_minutes, 0.1) * 10 / PRICE_STEPS


def _list_evidence(judged: DeviceVerdict) -> dict[str, object]:
    """Return what the page's script judges, as ``fashionbench.judging.rule.judge`` does."""
    evidence = judged.evidence()
    parts = {"gain": evidence.gain, "slowdown": evidence.slowdown, "extra_minutes": evidence.extra_minutes}
    return {
        "device": judged.device,
        "allowance": evidence.allowance,
        **{name: each and [each.low, each.estimate, each.high] for name, each in parts.items()},
    }
