"""A record that is rightly sealed is refused in one line where its parts do not fit together; else its report is whole.

``nox -s fuzz`` changes many more places.
"""

import json
from pathlib import Path

import pytest
from hostile import places, replaced, resealed, seal_whatever
from hypothesis import given
from synthetic import make_inference, make_training

from fashionbench.errors import FashionBenchError, InputError
from fashionbench.judging.comparison import compare
from fashionbench.judging.rule import DEFAULT_THRESHOLDS
from fashionbench.records.reading import read_records
from fashionbench.records.record import InferenceRecord, TrainingRecord
from fashionbench.report.comparison import compare_view
from fashionbench.report.page import write_report
from fashionbench.report.render import render_html

SMALL, BIG = (make_training(model, images=60) for model in ("fashioncnn", "resnet18"))
TIMED = make_inference()


def refusal(content: bytes, folder: Path, formats: tuple[str, ...] = ("md", "json")) -> str:
    """Read, judge, report and compare a record among others; return the message where it is refused, else nothing."""
    path = folder / "hostile.json"
    path.write_bytes(content)
    others: list[TrainingRecord | InferenceRecord] = [SMALL, BIG, TIMED]
    try:
        found = [*read_records([path]), *others]
        report = write_report(found, folder, formats=formats)
        found_page = compare_view(compare(others, found, DEFAULT_THRESHOLDS), ())
    except FashionBenchError as error:
        return str(error)
    assert report.conclusion
    assert render_html(found_page)
    return ""


def is_clean(message: str) -> bool:
    """Return whether a message is one printable line that says what was expected; or there is none."""
    return not message or (message.isprintable() and len(message) < 2_000 and ". Expected " in message)


@given(content=resealed(make_training("resnet18", seed=1, images=60)))
def test_a_training_with_other_values(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    assert is_clean(refusal(content, tmp_path_factory.getbasetemp()))


@given(content=resealed(make_inference("resnet18", batch_size=256)))
def test_a_timing_with_other_values(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    assert is_clean(refusal(content, tmp_path_factory.getbasetemp()))


def test_each_kind_of_a_contradiction_is_refused_and_the_record_itself_is_taken(tmp_path: Path) -> None:
    document = json.loads(make_training("resnet18", seed=1, images=60).model_dump_json())

    assert refusal(seal_whatever(document), tmp_path) == ""
    for path in places(document):
        if path[:1] == ("result",) and path != ("result",):
            message = refusal(seal_whatever(replaced(document, path, 10**400)), tmp_path)
            assert message, path
            assert is_clean(message), path


def test_times_that_no_machine_has_are_still_reported(tmp_path: Path) -> None:
    records = [
        make_training(model, seed=seed, images=60, train_seconds=10.0 ** (step + 1))
        for model, steps in (("fashioncnn", (8, -8, 0)), ("resnet18", (0, 8, -8)))
        for seed, step in enumerate(steps)
    ]

    assert write_report(records, tmp_path, formats=["md", "json"]).conclusion


def test_records_of_other_classes_are_not_put_side_by_side(tmp_path: Path) -> None:
    names = ("another", *SMALL.data.classes[1:])

    with pytest.raises(InputError, match=r"Records of several sets of classes\. Expected one"):
        write_report([SMALL, make_training("resnet18", images=60, classes=names)], tmp_path, formats=["md"])
