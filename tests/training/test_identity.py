"""A case is the same case as long as nothing that decides its numbers has changed."""

import re
import shutil
from pathlib import Path

import pytest
import sklearn
from cases import tiny_case

from fashionbench.data.dataset import Dataset
from fashionbench.recipe.fields import Recipe
from fashionbench.training.identity import MEASURING, PACKAGE, code_digest, identify, identify_trial, model_digest


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the package that a test may change."""
    return Path(shutil.copytree(PACKAGE, tmp_path / "fashionbench", ignore=shutil.ignore_patterns("__pycache__")))


def test_the_code_digest_covers_the_files_that_decide_numbers_and_no_others(copied: Path) -> None:
    code_digest.cache_clear()
    before = code_digest(copied)
    code_digest.cache_clear()
    for room in ("options", "tuning", "running", "judging", "report", "records"):
        (copied / room / "__init__.py").write_text('"""A comment more."""\n')
    (copied / "cli.py").write_text((copied / "cli.py").read_text() + "# a comment more\n")

    assert code_digest(copied) == before
    for name in MEASURING:
        path = copied / name if name.endswith(".py") else copied / name / "__init__.py"
        path.write_text(path.read_text() + "# a comment more\n")
        code_digest.cache_clear()
        after = code_digest(copied)
        assert after != before, name
        before = after


def test_every_room_is_declared_to_decide_numbers_or_not_to() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}

    assert rooms - {*MEASURING} == {"options", "tuning", "running", "judging", "report", "records"}


def test_the_library_that_splits_the_data_is_part_of_the_identity(
    sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = identify(tiny_case(), "0", sample)

    monkeypatch.setattr(sklearn, "__version__", "1.0")

    assert identify(tiny_case(), "0", sample) != before


def test_what_decides_numbers_changes_the_identity(sample: Dataset) -> None:
    case = tiny_case()
    others = [tiny_case("resnet18"), tiny_case(seed=1), tiny_case(recipe=Recipe(name="tiny", epochs=3))]

    identities = {identify(each, model_digest(each.model), sample) for each in (case, *others)}

    assert len(identities) == 4
    assert identify(tiny_case(), "0", sample) == identify(case, "0", sample) != identify(case, "1", sample)
    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in identities)


def test_a_trial_is_that_of_the_kind_of_step_and_not_of_its_rates(sample: Dataset) -> None:
    def trial(**fields: object) -> str:
        recipe = Recipe.model_validate({"name": "any", "weight_decay": 0.1, "label_smoothing": 0.1, **fields})
        return identify_trial(tiny_case("fashioncnn", recipe), sample)

    usual = trial()

    assert trial(learning_rate=0.1, weight_decay=0.2, label_smoothing=0.3) == usual
    changes: list[dict[str, object]] = [
        {"weight_decay": 0.0},
        {"label_smoothing": 0.0},
        {"batch_size": 7},
        {"optimizer": "adamw"},
        {"warmup_fraction": 0.5},
        {"freeze": "all but head"},
        {"normalize": "imagenet"},
    ]
    assert len({usual, *(trial(**each) for each in changes)}) == len(changes) + 1
