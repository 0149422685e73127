"""A case's share of peak performance is its useful work over its seconds; the larger share limits it."""

from collections.abc import Sequence

from synthetic import make_inference, make_study, make_training

from fashionbench.records.record import InferenceRecord, Peak, TrainingRecord
from fashionbench.report.chapters.models import peak_share_table
from fashionbench.report.context import make_context
from fashionbench.report.view import Table

PEAK = Peak(product_flops_per_second=100e9, convolution_flops_per_second=200e9, copy_bytes_per_second=10e9)


def table_of(records: Sequence[TrainingRecord | InferenceRecord], peak: Peak | None = PEAK) -> Table | None:
    return peak_share_table(make_context([each.model_copy(update={"peak": peak}) for each in records], None))


def test_a_training_is_compared_with_the_better_of_products_and_convolutions() -> None:
    record = make_training("resnet18", train_seconds=450.0)  # 10 epochs of 45,000 images of 0.105 GFLOP: 47,250 GFLOP

    table = table_of([record])

    assert table is not None
    (row,) = table.rows
    # memory: 22,500 steps of 10 passes over 4,228,554 weights, 450,000 images of 4 over 140,000 numbers, 4 bytes each
    assert [each.text for each in row] == ["ResNet18", "cpu", "training, batch 20", "105.0", "52", "107", "memory"]
    assert "cpu: 100 GFLOP/s in matrix products, 200 in convolutions, 10 GB/s in copies" in table.note


def test_inference_comes_after_training() -> None:
    table = table_of(make_study(3))

    assert table is not None
    assert [row[2].text for row in table.rows] == [
        "training, batch 100",
        "training, batch 20",
        *["forward, batch 1"] * 2,
        *["forward, batch 256"] * 2,
    ]


def test_without_a_peak_there_is_no_table() -> None:
    assert table_of([make_training(), make_inference()], None) is None


def test_an_unfinished_case_has_no_share() -> None:
    lost = make_training(status="failed", reason="lost")

    table = table_of([lost, make_inference()])

    assert table is not None
    assert [row[2].text for row in table.rows] == ["forward, batch 1"]
