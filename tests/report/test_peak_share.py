"""A case's share of peak performance is its useful work over its seconds; the larger share limits it."""

from collections.abc import Sequence

from synthetic import make_inference, make_study, make_training

from fashionbench.records.record import InferenceRecord, Peak, TrainingRecord
from fashionbench.report.chapters.models import speed
from fashionbench.report.context import make_context
from fashionbench.report.view import Table

PEAK = Peak(product_flops_per_second=100e9, convolution_flops_per_second=200e9, copy_bytes_per_second=10e9)


def table_of(records: Sequence[TrainingRecord | InferenceRecord], peak: Peak | None = PEAK) -> Table:
    (table,) = speed(make_context([each.model_copy(update={"peak": peak}) for each in records], None))
    assert isinstance(table, Table)
    return table


def test_a_training_is_compared_with_the_better_of_products_and_convolutions() -> None:
    record = make_training("resnet18", train_seconds=450.0)  # 10 epochs of 45,000 images of 0.105 GFLOP: 47,250 GFLOP

    table = table_of([record])

    (row,) = table.rows
    # memory: 22,500 steps of 10 passes over 4,228,554 weights, 450,000 images of 4 over 140,000 numbers, 4 bytes each
    assert [each.text for each in row] == [
        *("ResNet18", "training, batch 20", "20.0", "1,000", "105.0", "105", "52", "107", "memory")
    ]
    assert "The peak is 200 GFLOP/s: the better of matrix products (100) and convolutions (200)" in table.note


def test_a_workload_far_below_both_peaks_is_limited_by_neither() -> None:
    table = table_of([make_training("resnet18", train_seconds=4_500.0)])

    assert [each.text for each in table.rows[0][-3:]] == ["5", "11", "overhead"]


def test_trainings_come_first_and_have_the_geometric_mean_of_their_seeds() -> None:
    records = [make_training(seed=seed, train_seconds=seconds) for seed, seconds in ((0, 100.0), (1, 400.0))]

    table = table_of([make_inference(), *records])

    assert [row[1].text for row in table.rows] == ["training, batch 100", "forward, batch 1"]
    assert table.rows[0][3].text == "2,250"  # 450,000 images in 200 seconds


def test_inference_comes_after_training() -> None:
    table = table_of(make_study(3))

    assert [row[1].text for row in table.rows] == [
        "training, batch 100",
        "training, batch 20",
        *["forward, batch 1"] * 2,
        *["forward, batch 256"] * 2,
    ]


def test_inference_is_sorted_by_batch_size_then_by_the_size_of_the_model() -> None:
    info = make_training().model_info
    assert info is not None
    timed = [
        make_inference().model_copy(
            update={
                "model": f"model{number}",
                "batch_size": batch,
                "model_info": info.model_copy(update={"parameters": 1_000 + number}),
            }
        )
        for number in (10, 9)
        for batch in (256, 1)
    ]

    table = table_of(timed)

    assert [(row[0].text, row[1].text) for row in table.rows] == [
        *(("model9", "forward, batch 1"), ("model10", "forward, batch 1")),
        *(("model9", "forward, batch 256"), ("model10", "forward, batch 256")),
    ]


def test_without_a_peak_only_times_and_rates_are_shown() -> None:
    table = table_of([make_training(), make_inference()], None)

    assert table.header == ("model", "workload", "ms per batch (25th–75th percentile)", "images/s")
    assert {len(row) for row in table.rows} == {4}
    assert "peak" not in table.note


def test_a_case_without_known_operations_has_dashes_next_to_others() -> None:
    unknown = make_inference().model_copy(update={"model_info": None})

    table = table_of([make_inference("resnet18"), unknown])

    assert [each.text for each in table.rows[0]][4:] == ["–"] * 5


def test_an_unfinished_case_has_no_row() -> None:
    lost = make_training(status="failed", reason="lost")

    assert [row[1].text for row in table_of([lost, make_inference()]).rows] == ["forward, batch 1"]
