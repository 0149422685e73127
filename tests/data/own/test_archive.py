"""An .npz gives its images and labels, whatever the arrays are called and shaped, or is refused in one line."""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fashionbench.data.dataset import Dataset
from fashionbench.data.own.archive import load_npz
from fashionbench.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 4, 5), np.uint8)
IMAGES[0, 0, :2] = [0, 255]
COLOUR = np.random.default_rng(1).integers(0, 256, (20, 3, 4, 5), np.uint8)
LABELS = np.arange(20) % 3 + 5


def write(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def keras(**changed: Any) -> dict[str, Any]:
    """Return 12 training and 8 test images as Keras names them, some arrays changed."""
    halves = {"x_train": IMAGES[:12], "y_train": LABELS[:12], "x_test": IMAGES[12:], "y_test": LABELS[12:]}
    return {name: array for name, array in {**halves, **changed}.items() if array is not None}


def read(path: Path) -> tuple[Dataset, list[str]]:
    """Return the data set, and what was said but of the pixels' range."""
    said: list[str] = []
    found = load_npz(path, said.append)
    return found, [line for line in said if "multiplied by 255" not in line]


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as refused:
        read(path)
    return str(refused.value)


def assert_as_written(found: Dataset, images: NDArray[np.uint8] = IMAGES) -> None:
    shaped = images.reshape(20, -1, 4, 5)
    assert (found.train_images.numpy() == shaped[:12]).all()
    assert (found.test_images.numpy() == shaped[12:]).all()
    assert [found.classes[label] for label in found.train_labels] == LABELS[:12].astype(str).tolist()
    assert [found.classes[label] for label in found.test_labels] == LABELS[12:].astype(str).tolist()


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("X_train", "Y_train", "X_test", "Y_test"),
        ("trainX", "trainY", "testX", "testY"),
        ("training_data", "training_targets", "testing_data", "testing_targets"),
        ("train_imgs", "train_lbls", "test_imgs", "test_lbls"),
        ("train_features", "train_classes", "test_features", "test_classes"),
    ],
)
def test_arrays_are_found_by_their_usual_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    halves = [IMAGES[:12], LABELS[:12], IMAGES[12:], LABELS[12:]]

    found, said = read(write(tmp_path / "own.npz", **dict(zip(names, halves, strict=True))))

    assert (found.name, found.source, said) == ("own", "an .npz file", [])
    assert_as_written(found)


def test_other_arrays_are_named_as_not_used(tmp_path: Path) -> None:
    found, said = read(write(tmp_path / "own.npz", **keras(val_images=IMAGES, about=np.array("me"))))

    assert_as_written(found)
    assert said == ["own.npz: not used: about, val_images"]
    assert found.source == "an .npz file; not used: about, val_images"


def test_validation_images_stay_so_and_without_test_images_they_are_for_the_test(tmp_path: Path) -> None:
    medmnist = {"val_images": IMAGES[10:], "val_labels": LABELS[10:, None]}

    of_three, said = read(write(tmp_path / "a.npz", **keras(**medmnist)))
    of_two, said_of_two = read(write(tmp_path / "b.npz", **keras(x_test=None, y_test=None, **medmnist)))

    assert_as_written(of_three)
    assert of_three.validation_images is not None
    assert (of_three.validation_images[:, 0].numpy() == IMAGES[10:]).all()
    assert said == []
    assert (len(of_two.test_images), of_two.validation_images) == (10, None)
    assert said_of_two == ["b.npz: val_images has the test images"]


def test_a_fifth_is_drawn_for_the_test_where_all_images_are_in_one_array(tmp_path: Path) -> None:
    found, said = read(write(tmp_path / "own.npz", images=IMAGES, labels=LABELS))

    assert (len(found.train_images), len(found.test_images)) == (16, 4)
    assert said == ["own.npz: a fifth of each class was drawn for the test"]


@pytest.mark.parametrize("images", [COLOUR, COLOUR.transpose(0, 2, 3, 1)])
def test_channels_come_first_or_last(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    found, _ = read(write(tmp_path / "own.npz", **keras(x_train=images[:12], x_test=images[12:])))

    assert_as_written(found, COLOUR)


@pytest.mark.parametrize(
    "images",
    [
        (IMAGES / 255).astype(np.float32),
        (IMAGES / 255).astype(np.float16),
        IMAGES.astype(">f8"),
        IMAGES.astype(np.int64),
        IMAGES.astype(">u2"),
    ],
)
def test_pixels_of_other_kinds_of_numbers_are_the_same_images(tmp_path: Path, images: NDArray[Any]) -> None:
    found, _ = read(write(tmp_path / "own.npz", **keras(x_train=images[:12], x_test=images[12:])))

    assert_as_written(found)


def test_true_is_white_and_bytes_stay_as_they_are(tmp_path: Path) -> None:
    is_white = IMAGES > 99

    white, _ = read(write(tmp_path / "a.npz", **keras(x_train=is_white[:12], x_test=is_white[12:])))
    dark, _ = read(
        write(tmp_path / "b.npz", **keras(x_train=is_white[:12] * np.uint8(1), x_test=is_white[12:] * np.uint8(1)))
    )

    assert_as_written(white, is_white * np.uint8(255))
    assert_as_written(dark, is_white * np.uint8(1))


@pytest.mark.parametrize(
    "labels",
    [
        LABELS[:, None],
        LABELS.astype(np.float64),
        LABELS.astype(np.uint8),
        LABELS.astype(str),
        LABELS.astype(bytes),
        np.eye(8)[LABELS],
        np.eye(8, dtype=bool)[LABELS],
    ],
)
def test_labels_of_each_form_are_the_same_classes(tmp_path: Path, labels: NDArray[Any]) -> None:
    path = write(tmp_path / "own.npz", **keras(y_train=labels[:12], y_test=labels[12:]))

    assert_as_written(read(path)[0])


def test_names_are_classes_and_may_meet_numbers(tmp_path: Path) -> None:
    names = np.array(["cat", "dog", "eel"])[LABELS - 5]

    found, _ = read(write(tmp_path / "a.npz", **keras(y_train=names[:12], y_test=names[12:])))
    mixed, _ = read(write(tmp_path / "b.npz", **keras(y_train=LABELS[:12].astype(str))))

    assert found.classes == ("cat", "dog", "eel")
    assert found.test_labels.tolist() == (LABELS[12:] - 5).tolist()
    assert_as_written(mixed)


def spoilt(index: tuple[int, ...], value: float) -> NDArray[np.float64]:
    images = IMAGES[:12] / 255
    images[index] = value
    return images


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"y_test": None}, "has no array of test labels, only x_train, y_train, x_test. Expected x_train, y_train"),
        ({"train_images": IMAGES}, "has both 'x_train' and 'train_images'. Expected one array of each kind"),
        ({"x_train": spoilt((3, 2, 1), -0.5)}, "x_train, image 4: a pixel is -0.5. Expected pixels"),
        ({"x_train": spoilt((3, 2, 1), np.nan)}, "x_train, image 4: a pixel is nan"),
        ({"x_train": spoilt((3, 2, 1), 1.5)}, "a pixel is "),
        ({"x_train": IMAGES[:12] * np.int64(300)}, "a pixel is "),
        ({"x_train": np.array([object()] * 12)}, "x_train is of Python objects. Expected an array of numbers"),
        ({"x_train": np.array(["2026"] * 12, "datetime64")}, "x_train is datetime64[Y]. Expected an array of numbers"),
        ({"x_train": np.array(["cat"] * 12)}, "x_train is <U3. Expected an array of numbers"),
        (
            {"x_train": IMAGES[:12].reshape(12, 20)},
            "x_train and x_test have rows of 20 and 20 pixels. Expected as many",
        ),
        ({"x_train": np.ones(12)}, "x_train is of shape (12). Expected (N, height, width)"),
        ({"x_train": np.zeros((12, 4, 5, 2), np.uint8)}, "x_train is of shape (12, 4, 5, 2). Expected"),
        ({"x_train": np.zeros((12, 3, 5, 3), np.uint8)}, "x_train is of shape (12, 3, 5, 3). Expected"),
        (
            {"x_train": np.moveaxis(COLOUR[:12], 0, 3)},
            "with 1 or 3 channels. Move the last axis to the front: numpy.moveaxis(images, -1, 0).",
        ),
        ({"x_train": np.moveaxis(IMAGES[:12], 0, 2)}, "x_train is of shape (4, 5, 12). Expected (N, height, width)"),
        ({"y_train": LABELS[:12] / 2}, "labels y_train of shape (12): image 1 has 2.5. Expected an integer or a name"),
        ({"y_train": np.full(12, np.nan)}, "image 1 has nan"),
        ({"y_train": np.eye(8)[LABELS[:12]] * 0.5}, "labels y_train of shape (12, 8): image 1 has 0.0, 0.0"),
        ({"y_train": np.ones((12, 2))}, "image 1 has 1.0, 1.0. Expected an integer or a name for each image, or a row"),
        ({"y_train": np.array([["a", "b"]] * 12)}, "image 1 has 'a', 'b'"),
        ({"y_train": np.array([*["a"] * 11, ""])}, "y_train, image 12, has the label ''"),
        ({"y_test": LABELS[12:] + 1}, "class 8 is only in the test images. Expected the same classes in"),
        ({"y_train": np.arange(12) * 0 + 5}, "1 class in the training images. Expected 2 to 256. Check the labels"),
        ({"y_train": np.int64(3)}, "12 training images of 1 x 4 x 5 with 1 labels"),
        ({"y_train": LABELS[:11]}, "12 training images of 1 x 4 x 5 with 11 labels"),
        ({"y_test": LABELS[12:] * 0}, "class 5 is not in the test images, class 6 is not in the test images"),
        ({"x_test": np.ones((8, 4, 4), np.uint8)}, "8 test images of 1 x 4 x 4"),
        ({"x_train": IMAGES[:12] * 0, "x_test": IMAGES[12:] * 0}, "all 20 images are equal. Expected images that"),
        ({"x_train": IMAGES[:0], "y_train": LABELS[:0]}, "0 classes in the training images"),
    ],
)
def test_arrays_that_cannot_be_meant_are_refused(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    assert words in refusal(write(tmp_path / "own.npz", **keras(**changed)))


def test_one_array_of_images_needs_as_many_labels(tmp_path: Path) -> None:
    assert "20 images with 19 labels" in refusal(write(tmp_path / "own.npz", x=IMAGES, y=LABELS[1:]))


def test_labels_in_another_file_are_to_be_written_with_their_images(tmp_path: Path) -> None:
    found = refusal(write(tmp_path / "own.npz", arr_0=IMAGES))

    assert "has no array of labels, only arr_0. Expected x_train" in found
    assert "Write the images with their labels, which may be in another file, with numpy.savez(" in found


def test_an_archive_without_arrays_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "empty.npz")
    (tmp_path / "cut.npz").write_bytes(b"PK\3\4 and no more")
    os.mkfifo(tmp_path / "pipe.npz")

    assert "has no array of images, only none at all" in refusal(tmp_path / "empty.npz")
    assert "is not an .npz of arrays (File is not a zip file)" in refusal(tmp_path / "cut.npz")
    assert "not a regular file" in refusal(tmp_path / "pipe.npz")


def test_a_header_is_not_believed_and_memory_not_spent(tmp_path: Path, memory: Callable[[int], None]) -> None:
    path = write(tmp_path / "own.npz", **keras())
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents["x_train.npy"] = contents["x_train.npy"].replace(b"(12, 4, 5), }  ", b"(12, 4, 5000)} ")
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)

    assert "bytes. Expected 240,000, as its header says" in refusal(tmp_path / "lie.npz")
    memory(1000)
    assert "own.npz needs 0.0 GB of memory. Expected at most half" in refusal(path)


def test_a_small_archive_of_huge_arrays_is_refused_before_any_is_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "own.npz", **keras(x_train=np.zeros((12, 4_000, 4_000), np.uint8)))
    with zipfile.ZipFile(tmp_path / "header.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x02\x00\x00\x00\x00\x04" + bytes(2**26))

    assert "own.npz needs 192 MB of memory, but its files have only 0.2 MB. Expected at most 200" in refusal(
        tmp_path / "own.npz"
    )
    assert "header.npz needs 268 MB of memory" in refusal(tmp_path / "header.npz")


def test_names_of_classes_that_cannot_be_printed_are_refused(tmp_path: Path) -> None:
    for name in ("cat\x1b[2J", "\u202ecat", "x" * 201):
        labels = np.array([name, "dog"] * 6)
        path = write(tmp_path / "own.npz", **keras(y_train=labels, y_test=labels[:8]))

        assert "Expected 1 to 200 letters that can be printed. Rename the class." in refusal(path)


def test_labels_may_stand_in_one_row_as_matlab_has_them(tmp_path: Path) -> None:
    assert_as_written(
        read(write(tmp_path / "own.npz", **keras(y_train=LABELS[None, :12], y_test=LABELS[None, 12:])))[0]
    )


SQUARE = IMAGES[:, :, :4]  # (20, 4, 4)


def test_arrays_without_names_are_known_by_their_shapes(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", LABELS, IMAGES)
    np.savez(tmp_path / "four.npz", IMAGES[:12], IMAGES[12:], LABELS[:12], LABELS[12:])
    np.savez(tmp_path / "alike.npz", IMAGES[:10], IMAGES[10:], LABELS[:10], LABELS[10:])

    two, said = read(tmp_path / "two.npz")
    four, said_of_four = read(tmp_path / "four.npz")

    assert len(two.train_images) == 16
    assert said[0] == "two.npz: arr_1 has the images, arr_0 has the labels"
    assert_as_written(four)
    assert said_of_four[0].startswith("four.npz: arr_0 has the train images, arr_2 has the train labels")
    assert "has no array of train labels, only arr_0, arr_1, arr_2, arr_3" in refusal(tmp_path / "alike.npz")


@pytest.mark.parametrize(
    ("flat", "images", "order"),
    [
        (SQUARE.reshape(20, 16), SQUARE, ""),
        ((SQUARE / 255).reshape(20, 16), SQUARE, ""),
        (np.repeat(SQUARE.reshape(20, 16), 3, axis=1), np.stack([SQUARE] * 3, axis=1), ", red, green and blue of a"),
    ],
)
def test_images_whose_pixels_stand_in_one_row_are_square(
    tmp_path: Path, flat: NDArray[Any], images: NDArray[np.uint8], order: str
) -> None:
    found, said = read(write(tmp_path / "own.npz", **keras(x_train=flat[:12], x_test=flat[12:])))

    assert (found.train_images.numpy() == images[:12].reshape(12, -1, 4, 4)).all()
    assert f"rows of {flat.shape[1]} pixels are images of 4 x 4{order}" in said[-1]
