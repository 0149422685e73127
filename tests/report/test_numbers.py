"""Every number of the page that is derived from others on it follows from them as they are shown."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from synthetic import MODEL_INFO, make_inference, make_study, make_training

from fashionbench import read_records, units
from fashionbench.judging.rule import Thresholds
from fashionbench.judging.verdict import decide_by
from fashionbench.records.record import InferenceRecord, Peak, SelfCheck, TrainingRecord
from fashionbench.report.page import make_view
from fashionbench.report.view import CaptionedFigure, DeviceSubsection, Prose, Table, View

ROOT = Path(__file__).parents[2]
Records = Sequence[TrainingRecord | InferenceRecord]
PEAK = Peak(product_flops_per_second=212.4e9, convolution_flops_per_second=222.6e9, copy_bytes_per_second=37e9)


def with_peak(records: Records) -> Records:
    return [each.model_copy(update={"peak": PEAK}) for each in records]


def twelve_models() -> Records:
    small = MODEL_INFO["fashioncnn"]
    made: list[TrainingRecord | InferenceRecord] = []
    for number in range(12):
        info = small.model_copy(update={"parameters": 1_475_338 + 1_000 * number})
        for seed in range(2):
            record = make_training(
                f"model{number}",
                seed=seed,
                accuracy=0.85 + 0.0053 * number,
                train_seconds=37.0 * (number + 1) + 0.7 * seed,
            )
            made.append(record.model_copy(update={"model_info": info}))
        made.append(make_inference().model_copy(update={"model": f"model{number}", "model_info": info}))
    return made


def checked_twice() -> Records:
    first, *others = make_study(3, gain=0.012)
    assert isinstance(first, TrainingRecord)
    assert first.result is not None
    check = SelfCheck(train_seconds=first.result.train_seconds * 1.023, differing_losses=0, differing_predictions=0)
    return [first.model_copy(update={"result": first.result.model_copy(update={"self_check": check})}), *others]


SETS: dict[str, Callable[[], Records]] = {
    "reference": lambda: read_records(ROOT / "reports" / "reference" / "benchmark.json"),
    "two devices": lambda: with_peak(make_study(3, gain=0.012, devices=("cpu", "cuda"))),
    "twelve models": lambda: with_peak(twelve_models()),
    "one seed": lambda: make_study(1),
    "checked twice": checked_twice,
}


@pytest.fixture(scope="module", params=SETS)
def view(request: pytest.FixtureRequest) -> View:
    records = SETS[request.param]()
    return make_view(records, decide_by(records, Thresholds.read({"price_per_hour": "cpu=0.05,cuda=1.20"})))


def plain(text: str) -> str:
    return text.replace(units.SPACE, " ")


def number(shown: str) -> float:
    """Return the first number of a text."""
    found = re.search(r"[−+]?[\d,]+(\.\d+)?", shown)
    assert found is not None, shown
    return float(found[0].replace(",", "").replace("−", "-"))


def places(shown: str) -> int:
    found = re.search(r"\d+\.(\d+)", shown)
    return len(found[1]) if found else 0


def follows(shown: str, computed: float) -> bool:
    """Say whether a number is the computed one, rounded as it is shown."""
    return number(shown) == pytest.approx(number(units.fixed(computed, places(shown))), abs=1e-9)


def follows_roughly(shown: str, computed: float) -> bool:
    """Say the same of a number that is rounded to significant digits."""
    return number(shown) == pytest.approx(computed, rel=0.006)


def blocks(view: View, kind: type) -> Iterator[object]:
    for section in view.sections:
        for block in section.blocks:
            for inner in block.blocks if isinstance(block, DeviceSubsection) else (block,):
                if isinstance(inner, kind):
                    yield inner


def tables(view: View, caption: str) -> list[Table]:
    return [each for each in blocks(view, Table) if isinstance(each, Table) and each.caption.startswith(caption)]


def column(table: Table, label: str) -> list[str]:
    (index,) = [place for place, each in enumerate(table.header) if each.startswith(label)]
    return [plain(row[index].text) for row in table.rows]


def minutes(shown: str) -> float:
    return number(shown) / (60 if shown.endswith(" s") else 1)


def parts_of(tile: tuple[str, str]) -> tuple[str, str]:
    big, small = plain(tile[0]).split(" vs ")
    return big, small


def test_the_reason_follows_from_the_key_figures(view: View) -> None:
    big, small = map(number, parts_of(view.card.tiles[0]))
    sentence = plain(view.card.sentence)
    gain = re.search(r"\(([−+]?[\d.]+),? ?(?:percentage points)?, 95 % CI", sentence)
    ratio = re.search(r"takes ([\d.]+) times as long", sentence)

    assert gain is not None
    assert ratio is not None
    assert follows(gain[1], big - small)
    longer, shorter = map(number, parts_of(view.card.tiles[1]))
    assert follows(ratio[1], longer / shorter)


def test_the_probabilities_of_the_three_regions_add_up(view: View) -> None:
    assert len(view.card.probabilities) == len(tables(view, "Results on"))
    for sentence in view.card.probabilities:
        shares = re.findall(r"(under |over )?(\d+) %[;.]", plain(sentence))
        whole = [{"under ": 0, "over ": 100}.get(bound, int(share)) for bound, share in shares]
        assert len(whole) == 4
        assert sum(whole[:3]) == 100


def test_the_reasons_follow_from_the_key_figures(view: View) -> None:
    big, small = map(number, parts_of(view.card.tiles[1]))
    saved = plain(view.reasons[1]).partition(" saves ")[2]

    assert follows(saved, abs(big - small))


def test_the_serving_ratio_follows_from_the_times(view: View) -> None:
    value, description = view.card.tiles[2]
    times = re.search(r"\(([\d.,]+) vs ([\d.,]+) ms\)", plain(description))

    if times is None:
        assert "min per pp" in plain(value)
    else:
        assert follows(plain(value), number(times[1]) / number(times[2]))


def test_the_groups_of_images_add_up_to_the_accuracies(view: View) -> None:
    found = [each for each in blocks(view, CaptionedFigure) if isinstance(each, CaptionedFigure) and each.tiles]

    for figure in found:
        both, only_big, only_small, neither = (number(value) for value, _ in figure.tiles)
        images = both + only_big + only_small + neither
        assert f"{images:,.0f} test images" in figure.explanation
        assert f"right on {only_big:,.0f} images" in figure.caption
        if figure is found[0]:
            for shown, right in zip(parts_of(view.card.tiles[0]), (both + only_big, both + only_small), strict=True):
                assert number(shown) == pytest.approx(100 * right / images, abs=0.51 * 10 ** -places(shown) + 0.005)


def test_the_cost_of_the_gain_follows_from_the_results(view: View) -> None:
    (cost,) = tables(view, "Training cost")

    for index, results in enumerate(tables(view, "Results on")):
        accuracies, times = column(results, "accuracy"), column(results, "training")
        unit = next(each for each in results.header if each.startswith("training")).split(", ")[1]
        gain, extra = (column(cost, label)[index] for label in ("gain", "extra"))
        assert follows(gain, number(accuracies[-1]) - number(accuracies[0])) or places(gain) > places(accuracies[0])
        assert follows(column(cost, "slowdown")[index], number(times[-1]) / number(times[0]))
        difference = (number(times[-1]) - number(times[0])) / (60 if unit == "s" else 1)
        assert minutes(extra) == pytest.approx(difference, abs=0.051)
        if any(each.startswith("price") for each in cost.header) and "n/a" not in (
            price := column(cost, "price")[index]
        ):
            assert follows(price, minutes(extra) / number(gain))


def test_the_share_of_reachable_parameters_follows(view: View) -> None:
    (sizes,) = tables(view, "Parameters and operations")

    for row in sizes.rows:
        parameters, reachable, share = (each.text for each in row[2:5])
        assert follows(share, 100 * number(reachable) / number(parameters))


def test_a_rate_is_operations_times_images_a_second_in_every_row_and_below_the_peak(view: View) -> None:
    (sizes,) = tables(view, "Parameters and operations")
    operations = {
        (row[0].text, kind): row[place].text for row in sizes.rows for kind, place in (("forward", 5), ("training", 6))
    }

    for table in tables(view, "Time and throughput"):
        for row in table.rows:
            name, workload, milliseconds, rate = (each.text for each in row[:4])
            kind, _, batch = workload.partition(", batch ")
            assert follows_roughly(rate, 1000 * number(batch) / number(milliseconds))
            if len(row) > 4 and row[4].text != units.MISSING:
                megaflops, gigaflops, share = (each.text for each in row[4:7])
                peak = number(plain(table.note).partition("The peak is ")[2])
                assert megaflops == operations[name, kind]
                assert follows_roughly(gigaflops, number(megaflops) * number(rate) / 1000)
                assert follows(share, 100 * number(gigaflops) / peak)


def test_no_accuracy_is_called_unreached_that_the_table_shows(view: View) -> None:
    for table in tables(view, "Validation accuracy after equal"):
        ends = [row[1 + place].text for place, row in enumerate(table.rows)]
        for place, row in enumerate(table.rows):
            reached = [each.text for each in row[1:3] if each.text not in {"not run", units.MISSING}]
            if row[3].text == "never":
                assert all(number(each) < number(ends[1 - place]) for each in reached)


def test_the_clock_shows_the_seconds_of_the_results(view: View) -> None:
    (clock,) = tables(view, "Seconds per training")
    shown = {(row[0].text, number(text)) for row, text in zip(clock.rows, column(clock, "training"), strict=True)}

    for results in tables(view, "Results on"):
        scale = 60 if any(each == "training, min" for each in results.header) else 1
        for row in results.rows:
            assert any(
                row[0].text == name
                and number(row[1].text) == pytest.approx(seconds / scale, abs=0.51 * 10 ** -places(row[1].text))
                for name, seconds in shown
            )


def test_the_classes_that_are_counted_are_those_of_the_table(view: View) -> None:
    captions = [each.caption for each in blocks(view, CaptionedFigure) if isinstance(each, CaptionedFigure)]
    counted = [each for each in captions if "has the higher precision in" in each]
    for caption, table in zip(counted, tables(view, "Precision, recall and F1"), strict=True):
        counts = [int(each) for each in re.findall(r"in (\d+)", caption)]
        for metric, count in enumerate(counts):
            pairs = [(number(row[1 + 2 * metric].text), number(row[2 + 2 * metric].text)) for row in table.rows]
            assert sum(big > small for small, big in pairs) <= count <= sum(big >= small for small, big in pairs)


def test_the_money_follows_from_times_and_prices(view: View) -> None:
    (money,) = tables(view, "Cost in money")
    rates = {"cpu": 0.05, "cuda": 1.2}
    times = {
        (results.caption.split(" ")[2], row[0].text): number(row[1].text)
        * (1 if "training, s" in results.header else 60)
        for results in tables(view, "Results on")
        for row in results.rows
    }

    for row in money.rows:
        device = row[1].text if "device" in money.header else "cpu"
        shown = column(money, "per training")[money.rows.index(row)]
        assert number(shown) == pytest.approx(times[device, row[0].text] / 3600 * rates[device], rel=0.06, abs=0.00501)


def test_the_noise_of_a_repetition_follows_from_its_times(view: View) -> None:
    texts = [each.facts.get("self_checks", "") for each in blocks(view, Prose) if isinstance(each, Prose)]
    for first, second, apart in re.findall(r"twice: ([\d.,]+) s and ([\d.,]+) s, ([\d.]+) %", plain(" ".join(texts))):
        assert follows(apart, 100 * abs(number(second) - number(first)) / number(first))


DERIVED = {
    r"(gain|slowdown|price)\b.*", "extra training time", "reachable, %", "images/s", "GFLOP/s", "% of peak",
    r"(seconds|minutes) to reach the other.*", r"after [\d.,]+ (s|min) \(.*\)", "per training",
}  # fmt: skip
"""Columns that the tests above derive from others."""

MEASURED = {
    *(
        "model",
        "device",
        "verdict",
        "workload",
        "class",
        "claim of the study",
        "outcome",
        "measured here",
        "limited by",
    ),
    *(r"training, (s|min)", "accuracy, %", "macro F1, %", "parameters", r"peak .*memory.*, MiB", "seeds"),
    *(
        r"detectable gain.*",
        "layers",
        "reachable",
        "forward, MFLOP",
        "training, MFLOP",
        "MFLOP/image",
        "batch size",
    ),
    *(r"ms per batch \(25th–75th percentile\)", "% of bandwidth", "training", "model build", "warm-up", "validation"),
    *("test", "per hour", "per million predictions", "status", "reason", "case"),
}
"""Columns whose parts are not on the page."""


def test_each_column_of_the_page_is_known_to_be_measured_or_derived(view: View) -> None:
    models = {row[0].text for results in tables(view, "Results on") for row in results.rows}
    for table in (each for each in blocks(view, Table) if isinstance(each, Table)):
        for label in map(plain, table.header):
            known = any(re.fullmatch(each, label) for each in DERIVED | MEASURED)
            assert known or label in models, (table.caption, label)
