"""Accuracy against training budget: what each model reaches in so many minutes, and from when the big one is worth it.

The records are those of a run with ``--budgets``; each of its budgets is called a rung.
"""

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from fashionbench import units
from fashionbench.catalogue import model_label
from fashionbench.judging.rule import State, Thresholds, judge, weigh_at_budget
from fashionbench.judging.statistics.crossover import Crossover, find_crossover
from fashionbench.judging.statistics.gains import accuracy_interval, gain_interval, true_classes
from fashionbench.judging.statistics.intervals import Interval, correct_predictions
from fashionbench.judging.statistics.times import mean_minutes
from fashionbench.options.option import Score
from fashionbench.records.grouping import at_largest_budget, device_labels, machine
from fashionbench.records.record import InferenceRecord, TrainingRecord, TrainingResult

__all__ = ["BudgetVerdict", "Reached", "Rung", "judge_budgets"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Reached(_Frozen):
    """What a model reached with a budget."""

    epochs: int
    minutes: float
    """Measured, geometric mean over the seeds."""
    accuracy: Interval
    """Mean over the seeds, a fraction."""


class Rung(_Frozen):
    """Both models with the same budget."""

    minutes: float
    """The budget."""
    seeds: tuple[int, ...]
    """Those with which both models finished."""
    small: Reached | None
    """None if no training of it finished."""
    big: Reached | None
    gain: Interval | None
    """Big minus small score, a fraction; None if only one of the models finished."""
    state: State | None
    """By the rule, where time does not count: both have the same."""
    missing: tuple[str, ...] = ()
    """Why trainings have no result, a sentence each."""


class BudgetVerdict(_Frozen):
    """The rungs of a device, and its crossover."""

    device: str
    """The label of the device, as in ``DeviceVerdict``."""
    rungs: tuple[Rung, ...]
    """By budget, ascending."""
    crossover: Crossover | None
    """None if both models finished at fewer than two rungs."""
    sentence: str
    """What to take with which budget; empty without a crossover."""


def judge_budgets(
    records: Iterable[TrainingRecord | InferenceRecord], pair: tuple[str, str], thresholds: Thresholds
) -> tuple[BudgetVerdict, ...]:
    """Judge selected records at each budget of each device; nothing if they have no budgets.

    Args:
        records: Selected ones, of all budgets.
        pair: The small and the big model.
        thresholds: The rule's; a price does not count, as at a budget no model takes more time.

    """
    records = tuple(records)
    labels = {_place(each): label for each, label in _labels(records)}
    places: dict[object, list[TrainingRecord]] = {place: [] for place in labels}
    for each in records:
        if isinstance(each, TrainingRecord) and each.recipe.budget_minutes is not None and _place(each) in places:
            places[_place(each)].append(each)
    return tuple(_judge_place(labels[place], found, pair, thresholds) for place, found in places.items())


def _labels(records: Sequence[TrainingRecord | InferenceRecord]) -> list[tuple[TrainingRecord, str]]:
    """Return a finished training of each device at the largest budget, with the device's label in the report."""
    largest = at_largest_budget(records)
    labels = device_labels(largest)
    return [
        (each, labels[machine(each)])
        for each in largest
        if isinstance(each, TrainingRecord) and each.result is not None and each.recipe.budget_minutes is not None
    ]


def _place(record: TrainingRecord) -> object:
    """Return the machine and recipe of a training, without its budget."""
    return machine(record)._replace(recipe=record.recipe.name)


def _judge_place(
    label: str, trainings: Sequence[TrainingRecord], pair: tuple[str, str], thresholds: Thresholds
) -> BudgetVerdict:
    budgets = sorted({each.recipe.budget_minutes for each in trainings if each.recipe.budget_minutes is not None})

    def side(model: str, minutes: float) -> Side:
        return {each.seed: each for each in trainings if (each.model, each.recipe.budget_minutes) == (model, minutes)}

    found = {minutes: (side(pair[0], minutes), side(pair[1], minutes)) for minutes in budgets}
    rungs = tuple(_judge_rung(minutes, found[minutes], thresholds) for minutes in budgets)
    compared = [each.minutes for each in rungs if each.gain is not None]
    if len(compared) <= 1:
        return BudgetVerdict(device=label, rungs=rungs, crossover=None, sentence="")
    pairs = [_paired(*found[minutes]) for minutes in compared]
    correct = [(correct_predictions(big), correct_predictions(small)) for small, big in pairs]
    crossover = find_crossover(correct, compared, thresholds.margin, true_classes(pairs[0][0], thresholds.score))
    return BudgetVerdict(device=label, rungs=rungs, crossover=crossover, sentence=_conclude(pair, rungs, crossover))


Side = dict[int, TrainingRecord]
"""The trainings of a model at a budget, by seed."""


def _results(side: Side) -> dict[int, TrainingResult]:
    return {seed: each.result for seed, each in side.items() if each.result is not None}


def _paired(small: Side, big: Side) -> tuple[list[TrainingResult], list[TrainingResult]]:
    """Return the results of the seeds with which both models finished."""
    one, other = _results(small), _results(big)
    seeds = sorted(one.keys() & other.keys())
    return [one[seed] for seed in seeds], [other[seed] for seed in seeds]


def _judge_rung(minutes: float, sides: tuple[Side, Side], thresholds: Thresholds) -> Rung:
    small, big = sides
    ones, others = _paired(small, big)
    gain = state = None
    if ones:
        classes = true_classes(ones, thresholds.score)
        gain = gain_interval(correct_predictions(others), correct_predictions(ones), classes=classes)
        state = judge(weigh_at_budget(gain, len(ones)), thresholds)
    reasons = [
        f"{model_label(each.model)}, {units.budget(minutes)}: {each.reason}"
        for side in sides
        for each in side.values()
        if each.result is None
    ]
    return Rung(
        minutes=minutes,
        seeds=tuple(sorted(_results(small).keys() & _results(big).keys())),
        small=_reach(small, ones, thresholds.score),
        big=_reach(big, others, thresholds.score),
        gain=gain,
        state=state,
        missing=tuple(dict.fromkeys(reasons)),
    )


def _reach(side: Side, paired: Sequence[TrainingResult], score: Score) -> Reached | None:
    """Return what a model reached: with the seeds of both, or with all of its own if the other did not finish."""
    results = paired or list(_results(side).values())
    if not results:
        return None
    return Reached(
        epochs=len(results[0].epoch_seconds),
        minutes=mean_minutes(results),
        accuracy=accuracy_interval(results, score),
    )


def _conclude(pair: tuple[str, str], rungs: Sequence[Rung], crossover: Crossover) -> str:
    """Return what to take with which budget, in one sentence."""
    small, big = map(model_label, pair)
    largest = units.budget(rungs[-1].minutes)
    if crossover.minutes is None:
        return _conclude_without(f"{big} is", f"worth it over {small}", rungs)
    first = next(each for each in rungs if each.gain is not None)
    if crossover.minutes <= first.minutes:
        start = f"{big} is worth it over {small} from {units.budget(first.minutes)} on, the smallest budget with both"
        return f"{start} models{_describe_interval(crossover, largest)}."
    about = units.minutes(crossover.minutes, units.decimals(crossover.minutes))
    advice = f"{_advise(rungs, small, crossover.minutes)} about {about} on, {big} is worth it"
    return f"{advice}{_describe_interval(crossover, largest)}."


def _conclude_without(verb: str, rest: str, rungs: Sequence[Rung]) -> str:
    """Return the sentence where the gain is below the margin at the largest budget, whatever it is with less."""
    last = next(each.state for each in reversed(rungs) if each.state is not None)
    worth, never, doubtful = (_with_state(rungs, state) for state in ("WORTH IT", "NOT WORTH IT", "CANNOT TELL"))
    largest = units.budget(rungs[-1].minutes)
    if worth:
        refused = f", not with {never}" if never else ""
        return f"{verb} {rest} with {worth}{refused}{_leave_open(doubtful)}."
    if not doubtful:
        return f"{verb} not {rest} with any budget up to {largest}."
    if last == "NOT WORTH IT":
        return f"{verb} not {rest} with {never}{_leave_open(doubtful)}."
    return f"Whether {verb} {rest} with a budget of up to {largest} is open."


def _with_state(rungs: Sequence[Rung], state: State) -> str:
    """Return the budgets with a state, joined; empty if there are none."""
    return units.join_phrases([units.budget(each.minutes) for each in rungs if each.state == state])


def _leave_open(budgets: str) -> str:
    return f"; with {budgets}, this is open" if budgets else ""


def _advise(rungs: Sequence[Rung], small: str, crossover: float) -> str:
    """Return the beginning of a sentence: what to take with less than the crossover."""
    before = _with_state([each for each in rungs if each.minutes < crossover], "WORTH IT")
    if before:
        return f"With {before} and from"
    first = rungs[0]
    if first.state == "NOT WORTH IT" or (first.big is None and first.small is not None):
        return f"With {units.budget(first.minutes)}, take {small}; from"
    return "From"


def _describe_interval(crossover: Crossover, largest: str) -> str:
    low, high = (
        f"more than {largest}" if each is None else units.minutes(each, units.decimals(each))
        for each in (crossover.low, crossover.high)
    )
    doubt = ", so this is open" if crossover.high is None else ""
    return f" (95 % CI {low} to {high}{doubt})"
