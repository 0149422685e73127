"""The verdict: from records to a decision on each device and over all devices."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from fashionbench import units
from fashionbench.errors import InputError
from fashionbench.judging.budgets import judge_budgets
from fashionbench.judging.claims import check_claims
from fashionbench.judging.findings import DeviceVerdict, ModelResult, Verdict
from fashionbench.judging.prices import Money
from fashionbench.judging.rule import (
    DEFAULT_MARGIN_PP,
    NO_MONEY,
    Evidence,
    State,
    Thresholds,
    deciding_half_width,
    find_open_parts,
    judge,
    weigh,
    weigh_at_budget,
)
from fashionbench.judging.statistics.differences import mcnemar_exact, paired_outcomes
from fashionbench.judging.statistics.gains import (
    accuracy_interval,
    detectable_gain,
    gain_interval,
    gain_probabilities,
    mean_score,
    probability_of_winning,
    seeds_needed,
    true_classes,
)
from fashionbench.judging.statistics.intervals import (
    Interval,
    correct_predictions,
    look_confidence,
)
from fashionbench.judging.statistics.targets import list_targets
from fashionbench.judging.statistics.times import (
    mean_minutes,
    others_share,
    price_interval,
    training_extra,
    training_slowdown,
)
from fashionbench.judging.wording import (
    advise_on_accuracy,
    advise_on_cost,
    describe_agreement,
    describe_changes,
    describe_doubts,
    describe_finding,
)
from fashionbench.options.option import Score
from fashionbench.records.grouping import at_largest_budget, device_labels, finished_trainings, machine, select
from fashionbench.records.record import DISTURBING_SHARE, InferenceRecord, TrainingRecord, TrainingResult

__all__ = ["DeviceVerdict", "Verdict", "decide", "decide_by", "list_results"]


def decide(
    records: Iterable[TrainingRecord | InferenceRecord],
    *,
    score: Score = "accuracy",
    margin_pp: float = DEFAULT_MARGIN_PP,
    price_minutes_per_pp: float | None = None,
    money: Money = NO_MONEY,
) -> Verdict | None:
    """Compare the model with most parameters with the one with fewest, on each device and over all devices.

    Classical baselines, which have no layers, are compared only if there are fewer than two networks.

    Args:
        records: Any mix of records. Only finished trainings count; of a repeated case, the newest record of the newest
            code.
        score: What is compared: accuracy, or balanced accuracy, the mean recall of the classes.
        margin_pp: The smallest gain in it that matters, in percentage points.
        price_minutes_per_pp: The acceptable price of a percentage point, in minutes of training; None: no limit.
        money: The price of an hour on each device, and the acceptable price of a percentage point in money.

    Returns:
        The verdict; None if no two models finished with the same seed on the same device.

    Raises:
        InputError: The records have several recipes of one name, several data sets, or different test images.

    """
    return decide_by(
        records,
        Thresholds(score=score, margin=margin_pp / 100, price_minutes_per_pp=price_minutes_per_pp, money=money),
    )


def decide_by(records: Iterable[TrainingRecord | InferenceRecord], thresholds: Thresholds) -> Verdict | None:
    """Decide as ``decide`` does, with thresholds that were read from options."""
    everything = select(records).records
    _require_alike(finished_trainings(everything))
    records = at_largest_budget(everything)
    finished = finished_trainings(records)
    pair = _smallest_and_biggest(finished)
    if pair is None:
        return None
    judged = (
        _judge_device(label, [each for each in finished if machine(each) == key], pair, thresholds)
        for key, label in device_labels(records).items()
    )
    devices = tuple(each for each in judged if each is not None)
    if not devices:
        return None
    verdict = _over_devices(pair, thresholds, devices, is_result=all(each.recipe.is_result for each in finished))
    budgets = judge_budgets(everything, pair, thresholds)
    found = {
        "models": list_results(records, thresholds.score),
        "targets": list_targets(finished, pair, thresholds.target),
        "budgets": budgets,
        "claims": check_claims(records, verdict),
    }
    sentences = [each.sentence if len(budgets) == 1 else f"On {each.device}: {each.sentence}" for each in budgets]
    if len(budgets) == len(devices) and all(sentences):  # else the sentence is of devices without budgets, too
        return verdict.model_copy(update={**found, "sentence": " ".join(sentences)})
    return verdict.model_copy(update=found)


def _require_alike(finished: Sequence[TrainingRecord]) -> None:
    recipes: dict[tuple[str, str], set[str]] = {}
    for each in finished:  # with a budget, the epochs differ by device
        key = each.recipe.label, each.device if each.recipe.budget_minutes is not None else ""
        recipes.setdefault(key, set()).add(each.recipe.model_dump_json())
    for (name, _), found in recipes.items():
        if len(found) > 1:
            raise InputError(
                f"several recipes with the name {name[:60]!r}",
                expected="one recipe of each name, because different recipes are never averaged",
                remedy="judge the records of each recipe separately",
            )
    checks: tuple[tuple[str, Callable[[TrainingRecord], object]], ...] = (
        ("data sets or releases", lambda each: (each.data.name, each.data.release)),
        ("sets of classes", lambda each: each.data.classes),
        ("sets of test images", lambda each: each.result.test_labels.data if each.result else None),
    )
    for what, part in checks:
        if len({part(each) for each in finished}) > 1:
            raise InputError(
                f"records of several {what}",
                expected="one, because results on different images are never averaged",
                remedy="judge the records of each separately",
            )


def _smallest_and_biggest(finished: Sequence[TrainingRecord]) -> tuple[str, str] | None:
    """Return the models with fewest and with most parameters; None if there is only one model."""
    infos = {each.model: each.model_info for each in finished if each.model_info is not None}
    networks = {model: info for model, info in infos.items() if info.layers != 0}
    sizes = {model: info.parameters for model, info in (networks if len(networks) > 1 else infos).items()}
    if len(sizes) <= 1:
        return None
    small, *_, big = sorted(sizes, key=lambda name: (sizes[name], _mean_seconds(finished, name), name))
    return small, big


def _mean_seconds(finished: Sequence[TrainingRecord], model: str) -> float:
    """Return a model's mean training time over all records: models of equal size are ordered by it."""
    return float(np.mean([each.result.train_seconds for each in finished if each.model == model and each.result]))


def _judge_device(
    label: str, trainings: Sequence[TrainingRecord], pair: tuple[str, str], thresholds: Thresholds
) -> DeviceVerdict | None:
    small_results, big_results = (_by_seed(trainings, model) for model in pair)
    seeds = tuple(sorted(small_results.keys() & big_results.keys()))
    if not seeds:
        return None
    small, big = ([results[seed] for seed in seeds] for results in (small_results, big_results))
    small_correct, big_correct = (correct_predictions(results) for results in (small, big))
    looks = tuple(sorted({look for each in trainings for look in each.looks}))
    confidence = look_confidence(len(seeds), looks)
    classes = true_classes(small, thresholds.score)
    gain = gain_interval(big_correct, small_correct, confidence, classes)
    slowdown = training_slowdown(big, small, confidence)
    extra = training_extra(big, small, confidence)
    others = others_share([*small, *big])
    is_reliable = others is None or others <= DISTURBING_SHARE
    thresholds = thresholds.on(trainings[0].device)
    budget = trainings[0].recipe.budget_minutes
    evidence = weigh(gain, slowdown, extra, len(seeds), is_reliable=is_reliable)
    doubt = (
        f"{units.ratio(slowdown.estimate)} as long, but {describe_doubts(slowdown, None if is_reliable else others)}"
    )
    if budget is not None:
        evidence, doubt = weigh_at_budget(gain, len(seeds)), f"both models have {units.budget(budget)}"
    state = judge(evidence, thresholds)
    open_parts = find_open_parts(evidence, thresholds, slowdown=slowdown.estimate, extra_minutes=extra.estimate)
    needed = None
    if open_parts == ("gain",):
        required = deciding_half_width(evidence, thresholds)
        needed = seeds_needed(big_correct, small_correct, required, confidence, classes)
    return DeviceVerdict(
        device=label,
        device_word=trainings[0].device,
        device_name=trainings[0].device_name,
        budget_minutes=budget,
        seeds=seeds,
        test_images=big_correct.shape[1],
        looks=looks,
        confidence=confidence,
        small_minutes=mean_minutes(small),
        big_minutes=mean_minutes(big),
        small_accuracy=mean_score(small_correct, classes),
        big_accuracy=mean_score(big_correct, classes),
        gain=gain,
        slowdown=slowdown,
        extra_minutes=extra,
        others_cpu_share=others,
        times_are_reliable=is_reliable,
        probabilities=gain_probabilities(big_correct, small_correct, thresholds.margin, classes),
        probability_of_winning=probability_of_winning(big_correct, small_correct, classes),
        detectable_gain=detectable_gain(big_correct, small_correct, confidence, classes),
        outcomes=paired_outcomes(big_correct, small_correct),
        mcnemar_p=tuple(
            mcnemar_exact(int((one & ~other).sum()), int((~one & other).sum()))
            for one, other in zip(big_correct, small_correct, strict=True)
        ),
        price_limit=thresholds.price_minutes_per_pp,
        price_minutes_per_pp=_price(evidence),
        state=state,
        open=open_parts,
        provisional=len(seeds) == 1,
        seeds_needed=needed,
        sentence=describe_finding(pair, state, evidence, thresholds, doubt),
    )


def _by_seed(trainings: Sequence[TrainingRecord], model: str) -> dict[int, TrainingResult]:
    return {each.seed: each.result for each in trainings if each.model == model and each.result is not None}


def _price(evidence: Evidence) -> Interval | None:
    extra = evidence.extra_minutes
    if extra is None or evidence.gain.low <= 0 or extra.estimate <= 0:
        return None
    return price_interval(extra, evidence.gain)


def _over_devices(
    pair: tuple[str, str], thresholds: Thresholds, devices: tuple[DeviceVerdict, ...], *, is_result: bool
) -> Verdict:
    small, big = pair
    states = {device.state for device in devices}
    state: State = devices[0].state if len(states) == 1 else "CANNOT TELL"
    agreement = describe_agreement(devices)
    return Verdict(
        small=small,
        big=big,
        is_result=is_result,
        thresholds=thresholds,
        devices=devices,
        state=state,
        provisional=any(device.provisional for device in devices),
        agreement=agreement,
        sentence=devices[0].sentence if len(states) == 1 else f"The verdict {agreement}.",
        where_cost_matters=advise_on_cost(pair, thresholds, state, devices),
        where_only_accuracy_counts=advise_on_accuracy(pair, thresholds, devices),
        would_change=describe_changes(pair, thresholds, devices),
    )


def list_results(
    records: Iterable[TrainingRecord | InferenceRecord], score: Score = "accuracy"
) -> tuple[ModelResult, ...]:
    """Return what each model reached on each device, the model with fewest parameters first, of selected records."""
    records = tuple(records)
    labels = device_labels(records)
    groups: dict[tuple[str, str], list[TrainingRecord]] = {}
    for each in finished_trainings(records):
        groups.setdefault((labels[machine(each)], each.model), []).append(each)
    found = [_summarise(label, trainings, score) for (label, _), trainings in groups.items()]
    order = list(dict.fromkeys(each.device for each in found))
    return tuple(sorted(found, key=lambda each: (order.index(each.device), each.parameters or 0, each.model)))


def _summarise(label: str, trainings: Sequence[TrainingRecord], score: Score) -> ModelResult:
    results = [each.result for each in trainings if each.result is not None]
    info = trainings[0].model_info
    return ModelResult(
        device=label,
        model=trainings[0].model,
        seeds=tuple(each.seed for each in trainings),
        minutes=mean_minutes(results),
        accuracy=accuracy_interval(results, score),
        macro_f1=float(np.mean([each.scores.macro_f1 for each in results])),
        parameters=info.parameters if info else None,
        reachable_parameters=info.reachable_parameters if info else None,
        training_flops=info.training_flops if info else None,
        peak_host_bytes=max(each.peak_host_bytes for each in results),
        peak_device_bytes=max((each.peak_device_bytes for each in results if each.peak_device_bytes), default=None),
    )
