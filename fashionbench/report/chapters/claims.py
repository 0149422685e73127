"""The chapter on the claims of the original study."""

from fashionbench.judging.claims import check_claims
from fashionbench.report.context import Context, words
from fashionbench.report.view import Block, Table

__all__ = ["claims"]


def claims(context: Context) -> tuple[Block, ...]:
    """Hold the study's statements against the measurement."""
    held = check_claims(context.records, context.verdict) if context.verdict else ()
    if not held:
        return ()
    return (
        Table(
            caption="Held against this run",
            head=("statement", "here", "measured"),
            rows=tuple(
                (words(each.statement), words(each.outcome.capitalize()), words(each.evidence)) for each in held
            ),
        ),
    )
