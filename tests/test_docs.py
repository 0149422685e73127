"""Each command in the README and the docs is one that the command line accepts, with models and data that exist."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from commands import call
from PIL import Image
from sklearn.datasets import load_digits
from synthetic import make_study

from fashionbench import cli
from fashionbench.data.dataset import Dataset, Task
from fashionbench.data.load import load_dataset
from fashionbench.judging.rule import Thresholds
from fashionbench.models.registry import build_model
from fashionbench.options.run import DATASET, FORMAT
from fashionbench.records.store import write_record
from fashionbench.running.plan import RunOptions, make_plan
from fashionbench.running.preflight import check_fit

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


LINES = [
    (page.name, line.lstrip("!"))
    for page in PAGES
    for block in [*blocks(page, "console"), *re.findall(r"`([a-z][^`\n]*)`", page.read_text(encoding="utf-8"))]
    for line in block.replace("\\\n", " ").splitlines()
]
COMMANDS = [
    (page, tuple(words))
    for page, line in LINES
    if re.match(r"fashionbench [a-z]+ |nox -s bench -- ", line)
    for _, *words in [shlex.split(re.sub("^nox -s bench -- ", "fashionbench run ", line), comments=True)]
]
RUNS = [each for each in COMMANDS if each[1][0] == "run"]
OTHERS = [each for each in COMMANDS if each[1][0] != "run"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has what the docs speak of."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "mynets.py").write_text(*blocks(ROOT / "docs" / "own-model.md", "python"))
    (folder / "finetune.toml").write_text(blocks(ROOT / "docs" / "own-model.md", "toml")[-1])
    torch.save(build_model("resnet18", Task(shape=(3, 8, 8), classes=5), 0).state_dict(), folder / "half.pth")
    (folder / "short.toml").write_text(*blocks(ROOT / "docs" / "ci.md", "toml"))
    (folder / "reports").mkdir()
    (folder / "reports" / "tuned.toml").write_text("[model.resnet18]\nlearning_rate = 0.002\n")
    digits = load_digits()
    rows = np.column_stack([digits.target, digits.images.reshape(len(digits.images), -1)]).astype(int)
    header = ",".join(["label", *(f"pixel{number}" for number in range(64))])
    np.savetxt(folder / "own.csv", rows[:300], fmt="%d", delimiter=",", header=header, comments="")
    for half in ("train", "test"):
        for label, name in enumerate(("cat", "dog")):
            for number in range(20):
                image = folder / "pets" / half / name / f"{number}.png"
                image.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (32, 32), (100 * label, number, 0)).save(image)
    for record in make_study(1):
        write_record(folder / "after" / "records", record)
    return folder


@pytest.fixture
def folder(written: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same as the current folder, for whose models Python looks there."""
    monkeypatch.chdir(written)
    monkeypatch.syspath_prepend(written)
    yield written
    sys.modules.pop("mynets", None)


def parse(words: tuple[str, ...]) -> dict[str, Any]:
    """Return what the command line gives to a command for its arguments and options."""
    group = typer.main.get_command(cli.app)
    assert isinstance(group, typer.core.TyperGroup)
    return group.commands[words[0]].make_context(words[0], [*words[1:]]).params


def load(word: str, sample: Dataset, folder: Path) -> Dataset:
    if word == DATASET.default:
        return sample
    return load_dataset(word, None, environ={}, cache=folder / "cache", announce=lambda _: None)


def test_there_are_commands_to_try() -> None:
    assert {page for page, _ in COMMANDS} >= {
        *("README.md", "own-model.md", "own-data.md", "ci.md", "colab.md", "cluster.md", "swift.md", "execution.md")
    }
    assert {words[0] for _, words in COMMANDS} == {"run", "report", "compare", "tune", "data", "devices", "models"}
    assert any("ray" in words for _, words in RUNS)


@pytest.mark.parametrize(("page", "words"), RUNS)
def test_a_run_of_the_docs_can_be_planned(page: str, words: tuple[str, ...], folder: Path, sample: Dataset) -> None:
    asked = RunOptions.read(parse(words))

    plan = make_plan(asked)

    assert len(plan.cases()) >= len(plan.models) * len(asked.seeds), page
    if "--models" in words or "--dataset" in words:
        dataset = load(plan.dataset, sample, folder)
        for case in {case.model: case for case in plan.cases()}.values():
            check_fit(case, dataset)


@pytest.mark.parametrize(("page", "words"), OTHERS)
def test_another_command_of_the_docs_can_be_read(
    page: str, words: tuple[str, ...], folder: Path, sample: Dataset
) -> None:
    given = parse(words)

    assert Thresholds.read(given).margin > 0, page
    assert FORMAT.read(given)
    assert len(load(DATASET.read(given), sample, folder).classes) > 1


def test_a_command_of_the_docs_runs_to_its_end(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (words,) = [words for page, words in OTHERS if page == "ci.md" and words[0] == "report"]

    assert call(*words) == 0
    assert capsys.readouterr().out.endswith("Wrote summary/report.md\n")
    assert (folder / "summary" / "report.md").stat().st_size > 1_000


def test_each_session_of_the_docs_is_one_of_nox() -> None:
    sessions = re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.MULTILINE)

    named = {name for _, line in LINES for name in re.findall(r"nox -s (\w+)", line)}

    assert named
    assert named <= {*sessions}
