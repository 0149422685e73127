"""``fashionbench data`` shows what was found, and wrong data are refused in one line."""

import gzip
import hashlib
import re
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from commands import call
from PIL import Image

from fashionbench.data import load
from fashionbench.data.fashion_mnist import OLDER_LABELS
from fashionbench.data.readers import CSV_HEADER, CSV_NAMES, IDX_NAMES, encode_idx

WRITTEN = ["report.html", "report.md", "report.pdf", "verdict.json"]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FASHIONBENCH_DATA", raising=False)


def test_data_says_what_was_found_with_its_digests(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    for name, count, first_labels in zip(
        IDX_NAMES, (60_000, 60_000, 10_000, 10_000), (b"", OLDER_LABELS[0], b"", OLDER_LABELS[1]), strict=True
    ):
        shape = (count, 28, 28) if "images" in name else (count,)
        array = np.zeros(shape, np.uint8)
        array.reshape(-1)[: len(first_labels)] = [*first_labels]
        (folder / name).write_bytes(encode_idx(array))
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in IDX_NAMES}

    assert call("data", "--data", folder) == 0

    said = capsys.readouterr().out
    assert (
        "Fashion-MNIST, older draw (26 Aug 2017), from the folder given with --data\n"
        "60,000 training and 10,000 test images\n" in said
    )
    assert all(f"{name}  sha256 {digest}\n" in said for name, digest in digests.items())


def test_data_shows_the_classes_and_writes_a_contact_sheet(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"

    assert call("data", "--dataset", "digits", "--preview", sheet) == 0

    said = capsys.readouterr().out
    assert "8 x 8 pixels in grey, values from 0 to 255\n" in said
    assert "\n9           144        36\nall       1,437       360\nNo two images are equal.\n" in said
    assert said.endswith(f"Wrote {sheet}\n")
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_a_contact_sheet_is_a_png(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("data", "--dataset", "digits", "--preview", "sheet.jpg") == 2

    assert "Invalid preview 'sheet.jpg'. Expected a file whose name ends in .png." in capsys.readouterr().err


def test_data_is_no_sample(capsys: pytest.CaptureFixture[str], tmp_path: Path, sample_folder: Path) -> None:
    assert call("data", "--data", sample_folder) == 2

    assert re.fullmatch(
        r"fashionbench: .*data contains 400 training and 200 test images\. Expected 60,000 and 10,000\. .*\n",
        capsys.readouterr().err,
    )
    assert not (tmp_path / "cache").exists()


def write_csv(folder: Path, *, header: str = CSV_HEADER, label: int = 9) -> None:
    for name in CSV_NAMES:
        (folder / name).write_text(f"{header}\n" + "\n".join(f"{label},{','.join('0' * 784)}" for _ in range(20)))


def cut_short(folder: Path) -> None:
    whole = gzip.compress((folder / IDX_NAMES[0]).read_bytes())
    (folder / IDX_NAMES[0]).unlink()
    (folder / f"{IDX_NAMES[0]}.gz").write_bytes(whole[: len(whole) // 2])


def put_mnist(folder: Path) -> None:
    """Write what has MNIST's names, sizes and shapes and is not Fashion-MNIST."""
    for name, count in zip(IDX_NAMES, (60_000, 60_000, 10_000, 10_000), strict=True):
        images = "images" in name
        header = struct.pack(">I", 0x803 if images else 0x801) + struct.pack(">I", count)
        (folder / name).write_bytes(
            header + (struct.pack(">II", 28, 28) + bytes(784 * count) if images else bytes(count))
        )


def put_label_ten(folder: Path) -> None:
    path = folder / IDX_NAMES[3]
    path.write_bytes(path.read_bytes()[:-1] + bytes([10]))


def keep_csv(folder: Path, **how: object) -> None:
    for name in IDX_NAMES:
        (folder / name).unlink()
    write_csv(folder, **how)  # type: ignore[arg-type]  # a test's shorthand


def mix(folder: Path) -> None:
    write_csv(folder)
    (folder / IDX_NAMES[0]).unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, r"data does not exist\. Expected a folder with .*\. Check the path"),
        (cut_short, r"train-images-idx3-ubyte\.gz .*\. Expected .*\. Download"),
        (put_mnist, r"has SHA-256 .*\. Expected .*another data set \(MNIST has the same names.*\. Download"),
        (put_label_ten, r"test label 200 is 10\. Expected 0 to 9\. Download"),
        (lambda folder: keep_csv(folder, header=CSV_HEADER.replace(",pixel784", "")), r"Expected .*pixel784.*\. "),
        (lambda folder: keep_csv(folder, label=10), r"10.*\. Expected .*\. "),
        (
            mix,
            r"3 of the 4 IDX files and 2 of the 2 CSV",
        ),
    ],
    ids=["nowhere", "truncated gz", "MNIST's files", "label 10", "CSV column missing", "CSV label 10", "IDX with CSV"],
)
def test_wrong_data_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    folder: Path,
    sample_folder: Path,
    spoil: object,
    message: str,
) -> None:
    assert callable(spoil)
    spoil(folder)
    arguments: list[str | Path] = [
        *("run", "--recipe", sample_folder / "tiny.toml", "--data", folder, "--out", tmp_path / "out"),
        *("--devices", "cpu", "--models", "fashioncnn"),
    ]

    assert call(*arguments) == 2

    said = capsys.readouterr()
    assert re.fullmatch(rf"fashionbench: .*{message}.*\n", said.err)
    assert "Traceback" not in said.out
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "cache").exists()


def test_what_was_found_by_a_rule_is_said_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for number in range(12):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.new("L", (8, 8 + number), 20 * number).save(path)

    assert call("data", "--dataset", tmp_path / "photos") == 0

    assert capsys.readouterr().out.count("images of 12 sizes") == 1


def test_an_interrupted_command_prints_how_it_continues(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(load, "load_dataset", interrupt)

    assert call("data", "--dataset", "digits") == 130

    said = capsys.readouterr().err
    assert said.startswith("Interrupted. Continue with:\n")
    assert said.endswith(" data --dataset digits\n")
