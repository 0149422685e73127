"""A folder of images becomes a data set of what a viewer shows, or all its unusable files are named in one line."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from fashionbench.data.dataset import AS_STORED, Dataset, Reading
from fashionbench.data.own import decoded, folder
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


def read(path: Path, reading: Reading = AS_STORED, cache: Path | None = None) -> tuple[Dataset, list[str]]:
    """Return the data set, and what was said about it."""
    said: list[str] = []
    return load_folder(path, said.append, reading, cache), said


def refusal(path: Path, reading: Reading = AS_STORED) -> str:
    with pytest.raises(InputError) as refused:
        read(path, reading)
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
    assert line.startswith("pets: passed over 12 files and folders that are no images of a class: .ipynb_checkpoints, ")
    assert found.source.endswith(line.removeprefix("pets: "))


def test_an_image_whose_name_does_not_say_so_is_read(pets: Path) -> None:
    (pets / "train" / "cat" / "0.png").rename(pets / "train" / "cat" / "0")

    found, said = read(pets)

    assert (len(found.train_images), said) == (6, [])


def test_all_files_that_cannot_be_used_are_named_at_once(pets: Path) -> None:
    for half, name, cut in (("train", "cat/0.png", 60), ("test", "dog/3.png", 20), ("test", "dog/7.png", 0)):
        path = pets / half / name
        path.write_bytes(path.read_bytes()[:cut])
    (pets / "train" / "dog" / "a.jpg").write_bytes(b"\0\0\0\x18ftypheic")
    os.mkfifo(pets / "train" / "dog" / "pipe.png")

    found = refusal(pets)

    assert "5 files cannot be used: test/dog/3.png (damaged" in found
    assert "test/dog/7.png (empty), train/cat/0.png (damaged" in found
    assert "train/dog/a.jpg (HEIC, a format that is not read), train/dog/pipe.png (not a regular file)" in found
    assert found.endswith("in 8 or 16 bits. Convert or replace these files, or remove them.")


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


def photo(path: Path, size: tuple[int, int], shade: int = 0) -> None:
    """Write a bright image of a width and height with a black left half."""
    image = Image.new("L", size, 255 - shade)
    image.paste(0, (0, 0, size[0] // 2, size[1]))
    image.save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of two classes without halves, with images of five sizes."""
    for number in range(20):
        path = tmp_path / "photos" / ("cat", "dog")[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo(path, (20 + number // 4 * 4, 12 + number // 4 * 4), shade=number)
    return tmp_path / "photos"


def test_images_of_several_sizes_get_one_and_a_line_says_which(photos: Path) -> None:
    found, said = read(photos)

    assert found.task.shape == (1, 20, 20)
    assert (len(found.train_images), len(found.test_images)) == (16, 4)
    assert said == [
        "photos: a fifth of each class was drawn for the test",
        (
            "photos: images of 5 sizes, width x height: 4 of 20 x 12, 4 of 24 x 16, 4 of 28 x 20, "
            "4 of 32 x 24, 4 of 36 x 28; resized to 20 x 20 (the shorter side, then the centre cropped), a size that "
            "--image-size changes"
        ),
    ]
    assert all(line.removeprefix("photos: ") in found.source for line in said)


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        ("crop", [0, 0, 0, 0, 255, 255, 255, 255]),  # of 16 columns the middle eight
        ("stretch", [0, 0, 0, 0, 255, 255, 255, 255]),
        ("pad", [0, 0, 0, 0, 255, 255, 255, 255]),
    ],
)
def test_an_image_of_another_shape_is_cropped_padded_or_stretched(
    tmp_path: Path, fit: Any, expected: list[int]
) -> None:
    for number in range(10):
        path = tmp_path / ("a", "b")[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        photo(path, (16, 8), shade=number)

    found, said = read(tmp_path, Reading(image_size=(8, 8), fit=fit))

    assert said[1].startswith(f"{tmp_path.name}: images of one size, width x height: 10 of 16 x 8; resized to 8 x 8 (")
    image = found.train_images[0, 0].numpy()
    assert np.abs(image[4].astype(int) - expected).max() <= 64
    assert (image[[0, 1, -2, -1]] == 0).all() == (fit == "pad")


def test_a_height_and_a_width_are_given_in_this_order(photos: Path) -> None:
    assert read(photos, Reading(image_size=(6, 9)))[0].task.shape == (1, 6, 9)


def test_large_images_of_several_sizes_become_small(tmp_path: Path) -> None:
    for number in range(10):
        path = tmp_path / ("a", "b")[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        photo(path, (300 + number, 200), shade=number)

    assert read(tmp_path)[0].task.shape == (1, 64, 64)


def test_a_class_too_small_for_the_draw_is_named_with_its_count(photos: Path) -> None:
    for path in sorted((photos / "dog").iterdir())[1:]:
        path.unlink()

    found = refusal(photos)

    assert "A fifth of 11 images cannot be drawn for the test: class 'dog' has 1 image. Expected five" in found
    assert "Add images of that class, remove the class, or give test images of your own." in found


def test_validation_images_of_their_own_stay_so(pets: Path) -> None:
    for name in ("cat", "dog"):
        (pets / "val" / name).mkdir(parents=True)
        Image.fromarray(255 - DIGITS[0]).save(pets / "val" / name / "0.png")

    found, said = read(pets)

    assert found.validation_images is not None
    assert found.validation_labels is not None
    assert (found.validation_images[:, 0].numpy() == 255 - DIGITS[0]).all()
    assert found.validation_labels.tolist() == [0, 1]
    assert said == ["pets: test has the test images, train has the training images, val has the validation images"]


@pytest.fixture
def _kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep decoded copies of small folders, too."""
    monkeypatch.setattr(folder, "FEWEST_KEPT", 20)


@pytest.mark.usefixtures("_kept")
def test_a_large_folder_is_decoded_once(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, said = read(photos, cache=tmp_path / "cache")
    monkeypatch.setattr(folder, "read_pixels", None)

    again, said_again = read(photos, cache=tmp_path / "cache")

    assert (again.digests, again.source, said_again) == (first.digests, first.source, said)
    with pytest.raises(TypeError, match="not callable"):  # another size is another copy
        read(photos, Reading(image_size=(5, 5)), cache=tmp_path / "cache")
    (photos / "cat" / "00.png").write_bytes((photos / "cat" / "02.png").read_bytes())
    with pytest.raises(TypeError, match="not callable"):  # another content, too
        read(photos, cache=tmp_path / "cache")


@pytest.mark.usefixtures("_kept")
def test_a_damaged_copy_is_decoded_again_and_old_copies_are_deleted(photos: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first, _ = read(photos, cache=cache)
    (copy,) = (cache / "decoded").iterdir()
    copy.write_bytes(copy.read_bytes()[:-300])

    assert read(photos, cache=cache)[0].digests == first.digests
    for size in range(3, 9):
        read(photos, Reading(image_size=(size, size)), cache=cache)
    assert len([*(cache / "decoded").iterdir()]) == decoded.COPIES_KEPT


def test_images_that_all_come_out_equal_are_refused(pets: Path) -> None:
    for path in pets.rglob("*.png"):
        with Image.open(path) as image:
            Image.merge("LA", [Image.new("L", image.size, 255), image.convert("L")]).save(path)

    assert refusal(pets).startswith("Data set pets: all 12 images are equal. Expected images that differ.")


def test_images_that_need_too_much_memory_are_refused_before_they_are_decoded(
    pets: Path, memory: Callable[[int], None]
) -> None:
    memory(1000)

    assert "with 12 images needs 0.0 GB of memory. Expected at most half" in refusal(pets)


def test_a_file_that_changes_while_it_is_read_is_refused(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_after_a_change(path: Path, *, grey: bool, **how: Any) -> NDArray[np.uint8]:
        if path.name == "3.png":
            Image.new("L", (9, 9)).save(path)
        return read_pixels(path, grey=grey, **how)

    monkeypatch.setattr(folder, "read_pixels", read_after_a_change)

    assert "1 files cannot be used: test/dog/3.png (not of the size that its header said)" in refusal(pets)


def test_a_folder_of_another_layout_is_refused(pets: Path) -> None:
    (pets / "test" / "dog").rename(pets / "test" / "wolf")
    assert "classes dog only in train, wolf only in test" in refusal(pets)
    (pets / "test" / "wolf").rename(pets / "test" / "dog")

    for path in (pets / "test" / "dog").iterdir():
        path.unlink()
    assert "1 class folders contain no images (test/dog)" in refusal(pets)

    for path in (pets / "train").iterdir():
        for file in path.iterdir():
            file.rename(pets / file.name)
    assert "Expected images in the folder of each class" in refusal(pets)


def test_a_folder_that_cannot_be_read_is_refused(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(path: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", scandir)  # root, who runs the tests in a container, may read everything

    assert "cannot be read (Permission denied). Expected readable folders." in refusal(pets)


def test_small_files_of_large_images_are_refused_before_they_are_decoded(pets: Path) -> None:
    for half in ("train", "test"):
        for name in ("cat", "dog"):
            for path in (pets / half / name).iterdir():
                path.unlink()
            for number in range(3):
                Image.new("L", (4_000, 4_000), number).save(pets / half / name / f"{number}.png")

    assert "with 12 images needs 192 MB of memory, but its files have only 0." in refusal(pets)


def test_of_many_sizes_the_range_is_told(tmp_path: Path) -> None:
    for number in range(12):
        path = tmp_path / ("a", "b")[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        photo(path, (20 + number, 40 - number), shade=number)

    assert "images of 12 sizes, width x height: 20 to 31 x 29 to 40; resized to" in read(tmp_path)[1][1]


def test_a_side_that_is_the_same_in_all_images_is_no_range(tmp_path: Path) -> None:
    for number in range(12):
        path = tmp_path / ("a", "b")[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        photo(path, (20 + number, 48), shade=number)

    assert "images of 12 sizes, width x height: 20 to 31 x 48; resized to" in read(tmp_path)[1][1]


def test_an_image_that_its_header_refuses_is_not_decoded(tmp_path: Path) -> None:
    for place in range(10):
        folder = tmp_path / "ab"[place % 2]
        folder.mkdir(exist_ok=True)
        Image.new("L", (8, 8), place).save(folder / f"{place}.png")
    Image.new("L", (6_000, 6_000)).save(tmp_path / "a" / "large.png")

    with pytest.raises(InputError, match=r"a/large\.png \(6000 x 6000 pixels in only [\d,]+ bytes\)"):
        load_folder(tmp_path, lambda _: None)
