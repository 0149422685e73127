"""A record that is rightly sealed is refused in one line where its parts do not fit together; else its report is whole.

``tests/test_hostile.py`` and ``nox -s fuzz`` change many more places.
"""

import json
from pathlib import Path

import pytest
from hostile import places, replaced, seal_whatever
from readers import READERS
from synthetic import make_training

from fashionbench.errors import InputError
from fashionbench.report.page import write_report


def test_each_kind_of_a_contradiction_is_refused_and_the_record_itself_is_taken(tmp_path: Path) -> None:
    document = json.loads(make_training("resnet18", seed=1, images=60).model_dump_json())

    assert READERS["sealed training"].refusal(tmp_path, seal_whatever(document)) == ""
    for path in places(document):
        if path[:1] == ("result",) and path != ("result",):
            spoiled = seal_whatever(replaced(document, path, 10**400))
            assert READERS["sealed training"].refusal(tmp_path, spoiled), path


def test_times_that_no_machine_has_are_still_reported(tmp_path: Path) -> None:
    records = [
        make_training(model, seed=seed, images=60, train_seconds=10.0 ** (step + 1))
        for model, steps in (("fashioncnn", (8, -8, 0)), ("resnet18", (0, 8, -8)))
        for seed, step in enumerate(steps)
    ]

    assert write_report(records, tmp_path, formats=["md", "json"]).conclusion


def test_records_of_other_classes_are_not_put_side_by_side(tmp_path: Path) -> None:
    small = make_training("fashioncnn", images=60)
    names = ("another", *small.data.classes[1:])

    with pytest.raises(InputError, match=r"Records of several sets of classes\. Expected one"):
        write_report([small, make_training("resnet18", images=60, classes=names)], tmp_path, formats=["md"])
