"""Other models and other data than the study's go the whole way from the command line to the report."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commands import call
from PIL import Image
from sklearn.datasets import load_digits

from fashionbench.records.reading import read_records
from fashionbench.records.record import InferenceRecord, TrainingRecord

NETS = """
from torch import nn

def make_net(shape, classes):
    channels, height, width = shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, 32), nn.ReLU(), nn.Linear(32, classes))

def make_wrong(shape, classes):
    return nn.Linear(3, classes)

def make_tuple(shape, classes):
    return Tuple(shape, classes)

class Tuple(nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        self.net = make_net(shape, classes)

    def forward(self, images):
        return (self.net(images),)

class Shifty(nn.Sequential):
    # asks for its layer's very type, which the fast execution changes
    def __init__(self, shape, classes):
        super().__init__(nn.Conv2d(shape[0], 4, 3), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.LazyLinear(classes))

    def forward(self, images):
        return super().forward(images) * (1 + (type(self[1]) is nn.Conv2d))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a module of models; a package installed beside it offers one."""
    here, installed = tmp_path / "here", tmp_path / "installed"
    described = installed / "offering-1.0.dist-info"
    described.mkdir(parents=True)
    here.mkdir()
    (here / "mynets.py").write_text(NETS)
    (installed / "offered.py").write_text(NETS)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: offering\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(
        "[fashionbench.models]\nslim = offered:make_net\nbroken = offered:nothing\n"
    )
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(installed)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield here
    for name in ("mynets", "offered"):
        sys.modules.pop(name, None)


def test_own_models_by_entry_point_and_by_function_stand_beside_the_studys_on_another_data_set(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = "fashioncnn,slim,mynets:Shifty,dummy"
    (folder / "short.toml").write_text("epochs = 1\nbatch_size = 100\n")

    status = call(
        *("run", "--recipe", "short.toml", "--dataset", "digits", "--devices", "cpu"),
        *("--models", models, "--out", "out"),
    )

    assert status == 0
    said = capsys.readouterr().out
    assert "Data: Digits of scikit-learn, from scikit-learn's copy" in said
    assert "mynets:Shifty: its layers stay as they are, as rewritten ones might train otherwise (" in said
    records = read_records([folder / "out" / "records"])
    assert {each.model for each in records} == set(models.split(","))
    trained = [each for each in records if isinstance(each, TrainingRecord)]
    timed = [each for each in records if isinstance(each, InferenceRecord)]
    assert (len(trained), len(timed)) == (4, 8)
    assert all(each.status == "finished" for each in records)
    page = (folder / "out" / "report.html").read_text()
    for name in ("slim", "mynets:Shifty", "Most frequent class", "Digits of scikit-learn"):
        assert name in page
    for name in ("Claims of the original study", "published results"):
        assert name not in page
    verdict = json.loads((folder / "out" / "verdict.json").read_text())
    assert (verdict["small"], verdict["big"]) == ("mynets:Shifty", "fashioncnn")
    scores = {each.model: each.result.scores.accuracy for each in trained if each.result}
    assert scores["dummy"] == pytest.approx(0.1, abs=0.05)
    assert scores["fashioncnn"] > 0.2


def test_colour_images_of_a_folder_that_lie_sorted_by_class_go_the_whole_way(folder: Path) -> None:
    generator = np.random.default_rng(0)
    for half, number in (("train", 1_200), ("test", 30)):
        for place, name in enumerate(("cat", "dog")):
            (folder / "pets" / half / name).mkdir(parents=True)
            for index in range(number // 2):
                pixels = generator.integers(0, 128, (9, 8, 3)) + 100 * place
                Image.fromarray(pixels.astype(np.uint8)).save(folder / "pets" / half / name / f"{index}.png")
    (folder / "short.toml").write_text("epochs = 1\n")

    status = call(
        *("run", "--recipe", "short.toml", "--dataset", "pets", "--models", "logreg,fashioncnn"),
        *("--devices", "cpu", "--out", "out"),
    )

    assert status == 0
    scores = {
        each.model: each.result.scores.accuracy
        for each in read_records([Path("out", "records")])
        if isinstance(each, TrainingRecord) and each.result
    }
    assert scores["logreg"] > 0.9
    assert "pets" in Path("out", "report.html").read_text()


@pytest.mark.usefixtures("folder")
def test_the_classical_baselines_alone_make_a_report() -> None:
    status = call("run", "--dataset", "digits", "--models", "dummy,forest", "--devices", "cpu", "--out", "out")

    assert status == 0
    verdict = json.loads(Path("out", "verdict.json").read_text())
    assert (verdict["small"], verdict["big"]) == ("dummy", "forest")
    assert verdict["devices"][0]["gain"]["low"] > 0.5
    assert "Learning curves" not in Path("out", "report.html").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--models", "mynets:make_wrong"], "Model 'mynets:make_wrong' fails on images of 1 x 8 x 8 (RuntimeError: "),
        (
            ["--models", "mynets:make_tuple"],
            "gives tuple for 2 images of 1 x 8 x 8 in training. Expected a net",
        ),
        (["--models", "mynets:nothing"], "Model 'mynets:nothing' cannot be loaded (AttributeError: "),
        (["--models", "nowhere:make_net"], "Model 'nowhere:make_net' cannot be loaded (ModuleNotFoundError: "),
        (["--models", "broken"], "Model 'broken' cannot be loaded (AttributeError: "),
        (
            ["--models", "torchvision:vgg"],
            "Unknown model 'torchvision:vgg'. Expected a classifier of torchvision, such as torchvision:vgg19, ",
        ),
        (["--models", "torchvision:vgg11"], "Model 'torchvision:vgg11' fails on images of 1 x 8 x 8 (RuntimeError"),
        (["--dataset", "imagenet"], "Unknown dataset 'imagenet'. Expected one of fashion-mnist, "),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line_before_any_training(
    folder: Path, options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = call("run", "--dataset", "digits", "--devices", "cpu", "--out", "out", *options)

    assert status == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1
    assert not (folder / "out" / "records").exists()


@pytest.mark.usefixtures("folder")
def test_the_digits_part_the_same_way_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for _ in range(2):
        assert call("data", "--dataset", "digits") == 0
        said.append(capsys.readouterr().out)

    assert said[0] == said[1]
    assert "1,437 training and 360 test images" in said[0]


def test_an_npz_and_a_csv_of_the_same_digits_are_read_alike(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digits = load_digits()
    images = np.asarray(digits.images * 15, dtype=np.uint8)
    rows = np.column_stack([digits.target, images.reshape(len(images), -1)])
    head = ",".join(["label", *(f"pixel{place}" for place in range(64))])
    np.savetxt(folder / "digits.csv", rows, fmt="%d", delimiter=",", header=head, comments="")
    np.savez(
        folder / "digits.npz",
        x_train=images[:1437],
        y_train=digits.target[:1437],
        x_test=images[1437:],
        y_test=digits.target[1437:],
    )

    for name, kind in (("digits.csv", "a CSV file"), ("digits.npz", "an .npz file")):
        assert call("data", "--dataset", name) == 0
        said = capsys.readouterr().out
        assert f"digits, from {kind}" in said
        assert "1,437 training and 360 test images\n" in said
