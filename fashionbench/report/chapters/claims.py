"""The chapter on the claims of the original study."""

from fashionbench import units
from fashionbench.judging.claims import ACCEPTABLE_ACCURACY, RATIO_TOLERANCE
from fashionbench.report.context import Context, text_cell
from fashionbench.report.view import Block, Table

__all__ = ["study_claims"]


def study_claims(context: Context) -> tuple[Block, ...]:
    """Tabulate the study's claims and whether this run reproduces them."""
    checked = context.verdict.claims if context.verdict else ()
    if not checked:
        return ()
    return (
        Table(
            caption="Claims checked against this run",
            header=("claim of the study", "outcome", "measured here"),
            rows=tuple(
                (text_cell(each.statement), text_cell(each.outcome.capitalize()), text_cell(each.evidence))
                for each in checked
            ),
            note="The thresholds are FashionBench’s, because the study gives none: a ratio of times within a factor of "
            f"{RATIO_TOLERANCE} of the study’s counts as the same, an accuracy of "
            f"{units.percent(ACCEPTABLE_ACCURACY, 0)} or "
            "more as acceptable, and an F1 higher by more than the margin as “by far”. Claims on classes are judged by "
            "unadjusted 95 % intervals.",
        ),
    )
