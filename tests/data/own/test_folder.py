"""A folder of images becomes a data set of what a viewer shows, or all its unusable files are named in one line."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from fashionbench.data.dataset import Dataset
from fashionbench.data.own import folder
from fashionbench.data.own.folder import load_folder
from fashionbench.data.own.picture import read_pixels
from fashionbench.errors import InputError

DIGITS = np.rint(load_digits().images[:12] * 255 / 16).astype(np.uint8)  # (12, 8, 8)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """A folder with two classes, three different images in each class and half."""
    for number, image in enumerate(DIGITS):
        half, name = ("train", "test")[number % 2], ("cat", "dog")[number // 2 % 2]
        path = tmp_path / "pets" / half / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return tmp_path / "pets"


def read(path: Path) -> tuple[Dataset, list[str]]:
    """Return the data set, and what was said about it."""
    said: list[str] = []
    return load_folder(path, said.append), said


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as refused:
        read(path)
    return str(refused.value)


def test_a_folder_gives_channels_first_and_the_folders_as_classes(pets: Path) -> None:
    found, said = read(pets)

    assert (found.name, found.classes, said) == ("pets", ("cat", "dog"), [])
    assert found.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    # by name: 0, 4, 8 are cats to train with, 10, 2, 6 are dogs
    assert (found.train_images.numpy()[:, 0] == DIGITS[[0, 4, 8, 10, 2, 6]]).all()
    assert (found.test_images.numpy()[:, 0] == DIGITS[[1, 5, 9, 11, 3, 7]]).all()


def test_one_image_in_colour_gives_three_channels_to_all(pets: Path) -> None:
    colour = np.stack([DIGITS[0], DIGITS[1], DIGITS[2]], axis=-1)
    Image.fromarray(colour).save(pets / "train" / "cat" / "0.png")

    found, _ = read(pets)

    assert found.train_images.shape == (6, 3, 8, 8)
    assert (found.train_images[0].numpy() == colour.transpose(2, 0, 1)).all()
    assert (found.train_images[1].numpy() == DIGITS[4]).all()


def test_folders_within_a_class_belong_to_it(pets: Path) -> None:
    (pets / "test" / "dog" / "brown").mkdir()
    (pets / "test" / "dog" / "3.png").rename(pets / "test" / "dog" / "brown" / "3.png")

    found, _ = read(pets)

    assert found.test_labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_hidden_and_foreign_files_are_passed_over_and_counted(pets: Path) -> None:
    for name in (".ipynb_checkpoints", "__MACOSX", "@eaDir"):
        for half in ("train", "test"):
            (pets / half / name).mkdir()
            Image.fromarray(DIGITS[0]).save(pets / half / name / "0.png")
    for name in ("Thumbs.db", ".DS_Store", "._0.png", "labels.txt"):
        (pets / "train" / "cat" / name).write_bytes(b"no image")
    (pets / "test" / "README.md").write_text("about it")
    (pets / "val").mkdir()

    found, said = read(pets)

    assert found.classes == ("cat", "dog")
    assert len(found.train_images) == len(found.test_images) == 6
    (line,) = said
    assert line.startswith("Passed over 12 files and folders that are no images of a class: val, ")


def test_an_image_whose_name_does_not_say_so_is_read(pets: Path) -> None:
    (pets / "train" / "cat" / "0.png").rename(pets / "train" / "cat" / "0")

    found, said = read(pets)

    assert (len(found.train_images), said) == (6, [])


def test_all_files_that_cannot_be_used_are_named_at_once(pets: Path) -> None:
    for half, name, cut in (("train", "cat/0.png", 60), ("test", "dog/3.png", 20), ("test", "dog/7.png", 0)):
        path = pets / half / name
        path.write_bytes(path.read_bytes()[:cut])
    (pets / "train" / "dog" / "a.gif").write_bytes(b"GIF89a")
    os.mkfifo(pets / "train" / "dog" / "pipe.png")

    found = refusal(pets)

    assert "5 files cannot be used: test/dog/3.png (damaged" in found
    assert "test/dog/7.png (empty), train/cat/0.png (damaged" in found
    assert "train/dog/a.gif (a GIF, a format that is not read), train/dog/pipe.png (not a regular file)" in found
    assert found.endswith("in 8 or 16 bits. Replace or remove these files.")


def test_of_many_unusable_files_ten_are_named(pets: Path) -> None:
    for number in range(100, 113):
        (pets / "train" / "cat" / f"{number}.png").write_bytes(b"no image")

    found = refusal(pets)

    assert "13 files cannot be used: train/cat/100.png (damaged, or not an image)" in found
    assert "train/cat/109.png (damaged, or not an image) and 3 more" in found
    assert "110.png" not in found


def test_a_program_in_place_of_an_image_is_not_run(pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "gs"  # Pillow starts Ghostscript for PostScript
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/was-run\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (pets / "train" / "cat" / "0.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n%%EOF\n"
    )

    assert "train/cat/0.png (PostScript, a format that is not read)" in refusal(pets)
    assert not (tmp_path / "was-run").exists()


def test_links_may_not_lead_out_of_the_folder(pets: Path, tmp_path: Path) -> None:
    Image.fromarray(DIGITS[0]).save(tmp_path / "outside.png")
    (pets / "train" / "cat" / "inside.png").symlink_to(pets / "train" / "cat" / "0.png")
    found, _ = read(pets)
    assert len(found.train_images) == 7

    (pets / "train" / "cat" / "outside.png").symlink_to(tmp_path / "outside.png")
    (pets / "train" / "dog" / "all").symlink_to("/")
    (pets / "train" / "dog" / "again").symlink_to(pets / "train")

    found_again = refusal(pets)

    assert "3 files cannot be used" in found_again
    assert "train/cat/outside.png (a link that leads out of the folder)" in found_again
    assert "train/dog/again (a link to a folder that contains it)" in found_again
    assert "train/dog/all (a link that leads out of the folder)" in found_again


def test_images_of_several_sizes_are_refused_with_the_sizes(pets: Path) -> None:
    for number, size in enumerate([(7, 5), (7, 5), (9, 5)]):
        Image.new("RGB", size).save(pets / "test" / "dog" / f"wide{number}.png")

    found = refusal(pets)

    assert "images of 3 sizes, width x height: 12 of 8 x 8, 2 of 7 x 5, 1 of 9 x 5" in found
    assert "test/dog/wide0.png is 7 x 5. Expected images of one size." in found


def test_images_that_all_come_out_equal_are_refused(pets: Path) -> None:
    for path in pets.rglob("*.png"):
        with Image.open(path) as image:
            Image.merge("LA", [Image.new("L", image.size, 255), image.convert("L")]).save(path)

    assert refusal(pets).startswith("Data set pets: all 12 images are equal. Expected images that differ.")


def test_images_that_need_too_much_memory_are_refused_before_they_are_decoded(
    pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=1000))

    assert "with 12 images needs 0.0 GB of memory. Expected at most half" in refusal(pets)


def test_a_file_that_changes_while_it_is_read_is_refused(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_after_a_change(path: Path, *, grey: bool) -> NDArray[np.uint8]:
        if path.name == "3.png":
            Image.new("L", (9, 9)).save(path)
        return read_pixels(path, grey=grey)

    monkeypatch.setattr(folder, "read_pixels", read_after_a_change)

    assert "1 files cannot be used: test/dog/3.png (not of the size that its header said)" in refusal(pets)


def test_a_folder_of_another_layout_is_refused(pets: Path) -> None:
    (pets / "test" / "dog").rename(pets / "test" / "wolf")
    assert "classes cat, dog in train, cat, wolf in test" in refusal(pets)
    (pets / "test" / "wolf").rename(pets / "test" / "dog")

    for path in (pets / "test" / "dog").iterdir():
        path.unlink()
    assert "1 class folders contain no images (test/dog)" in refusal(pets)

    (pets / "test").rename(pets / "val")
    assert "does not contain the folders train and test" in refusal(pets)


def test_a_folder_that_cannot_be_read_is_refused(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(path: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", scandir)  # root, who runs the tests in a container, may read everything

    assert "cannot be read (Permission denied). Expected readable folders." in refusal(pets)
