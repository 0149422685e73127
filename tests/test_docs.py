"""Each command in the docs is one that the command line takes: as far as the first training, or to its end."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ray.cluster_utils import Cluster as RayCluster
from sklearn.datasets import load_digits
from synthetic import make_study

from fashionbench import cli
from fashionbench.records.store import write_record
from fashionbench.running import engine as engine_module
from fashionbench.running import preflight as preflight_module

DOCS = Path(__file__).parents[1] / "docs"
COMMANDS = [
    (path.name, line)
    for path in sorted(DOCS.glob("*.md"))
    for block in re.findall(r"^```console\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    for line in block.replace("\\\n", " ").splitlines()
]
OURS = [(name, line.lstrip("!")) for name, line in COMMANDS if line.lstrip("!").startswith("fashionbench ")]
LOCAL = [each for each in OURS if "--engine ray" not in each[1]]
SPREAD = [each for each in OURS if each not in LOCAL]


@pytest.fixture
def folder(tmp_path: Path, sample_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder that has what the docs speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(preflight_module, "SECONDS_PER_ESTIMATE", 0.0)
    (python,) = re.findall(r"^```python\n(.*?)^```", (DOCS / "own-model.md").read_text(), re.DOTALL | re.MULTILINE)
    Path("mynets.py").write_text(python)
    Path("tiny.toml").write_text((sample_folder / "tiny.toml").read_text())
    (recipe,) = re.findall(r"^```toml\n(.*?)^```", (DOCS / "ci.md").read_text(), re.DOTALL | re.MULTILINE)
    Path("short.toml").write_text(recipe.replace("train_images = 12000", "train_images = 300"))
    digits = load_digits()
    rows = np.column_stack([digits.target, digits.images.reshape(len(digits.images), -1)]).astype(int)
    np.savetxt("own.csv", rows, fmt="%d", delimiter=",", header="label", comments="")
    for half in ("train", "test"):
        for place, name in enumerate(("cat", "dog")):
            for number in range(20):
                image = Path("pets", half, name, f"{number}.png")
                image.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (32, 32), (100 * place, number, 0)).save(image)
    for out in ("before", "after", "after/records", "reports/records", "study/records", "swift/records"):
        for record in make_study(1):
            write_record(Path(out), record)
    yield tmp_path
    sys.modules.pop("mynets", None)


def test_there_are_commands_to_try() -> None:
    assert {name for name, _ in OURS} >= {"own-model.md", "own-data.md", "ci.md", "colab.md", "cluster.md"}
    assert SPREAD


@pytest.mark.parametrize(("page", "command"), LOCAL)
@pytest.mark.usefixtures("folder")
def test_a_command_of_the_docs_is_taken(
    page: str, command: str, sample_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status = take(shlex.split(command), sample_folder, monkeypatch)

    assert status == expected_of(command), (page, capsys.readouterr().err)


@pytest.mark.slow
@pytest.mark.parametrize(("page", "command"), SPREAD)
@pytest.mark.usefixtures("folder")
def test_a_command_of_the_docs_for_a_cluster_is_taken(
    page: str,
    command: str,
    nodes: RayCluster,
    sample_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    address = str(nodes.address)
    monkeypatch.setenv("RAY_ADDRESS", address)
    status = take(shlex.split(command.replace("head:6379", address)), sample_folder, monkeypatch)

    assert status == expected_of(command), (page, capsys.readouterr().err)


def expected_of(command: str) -> int:
    """Return the exit status to expect: a run is interrupted, all else ends well."""
    return 130 if command.startswith("fashionbench run") else 0


def take(arguments: list[str], sample_folder: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Call the command line as the docs do, let go of a run at its first training, and return the exit status."""
    if arguments[1] == "run":
        arguments = shlex.split(re.sub(r"--recipe \w+(?= )", "--recipe tiny.toml", shlex.join(arguments)))
        arguments += ["--devices", "cpu", *([] if "--recipe" in arguments else ["--recipe", "tiny.toml"])]
        arguments += [] if "--dataset" in arguments else ["--data", str(sample_folder)]

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine_module, "run_trainings", interrupt)
    monkeypatch.setattr(sys, "argv", arguments)

    with pytest.raises(SystemExit) as left:
        cli.main()
    return left.value.code
