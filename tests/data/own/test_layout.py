"""The names of folders say which images are of which class and half, or a line says why they do not."""

from pathlib import Path

import pytest

from fashionbench.data.own import listing
from fashionbench.data.own.halves import find_half
from fashionbench.data.own.layout import list_images
from fashionbench.data.own.listing import Layout
from fashionbench.errors import InputError


def make(root: Path, *files: str) -> Layout:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"x")
    return list_images(root)


def places(layout: Layout) -> dict[str, tuple[str, str]]:
    return {
        file.relative_to(layout.root).as_posix(): (half, layout.classes[label])
        for file, (half, label) in layout.files.items()
    }


@pytest.mark.parametrize(
    ("name", "half", "rest"),
    [
        ("train", "train", ()),
        ("Training", "train", ()),
        ("training_set", "train", ()),
        ("seg_train", "train", ()),
        ("asl_alphabet_train", "train", ("asl", "alphabet")),
        ("TEST", "test", ()),
        ("test-images", "test", ()),
        ("valid", "validation", ()),
        ("Validation", "validation", ()),
        ("mnist_test", "test", ("mnist",)),
        ("TrainData", "train", ()),
        ("validationset", "validation", ()),
        ("imgtest", "test", ()),
        ("train_test", None, ()),
        ("trained", None, ("trained",)),
        ("cats", None, ("cats",)),
    ],
)
def test_a_name_says_a_half_by_one_of_its_words(name: str, half: str | None, rest: tuple[str, ...]) -> None:
    assert find_half(name) == (half, rest)


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "val", "test"),
        ("Training", "Validation", "Testing"),
        ("seg_train", "seg_val", "seg_test"),
        ("train/train", "valid", "test/test"),
        ("archive/data/train", "archive/data/dev", "archive/data/test"),
        ("asl_train", "asl_val", "asl_test"),
        ("1_train", "2_val", "3_test"),
        ("TrainImages", "ValImages", "TestImages"),
    ],
)
def test_halves_are_found_by_their_names(tmp_path: Path, train: str, validation: str, test: str) -> None:
    halves = {"train": train, "validation": validation, "test": test}

    found = make(tmp_path, *(f"{each}/{name}/1.png" for each in halves.values() for name in ("cat", "dog")))

    assert places(found) == {
        f"{each}/{name}/1.png": (half, name) for half, each in halves.items() for name in ("cat", "dog")
    }
    assert (
        found.remarks
        == [f"{train} has the training images, {test} has the test images, {validation} has the validation images"]
        or found.remarks[0].count(" has the ") == 3
    )


def test_of_a_training_and_a_validation_half_the_latter_is_for_the_test(tmp_path: Path) -> None:
    found = make(tmp_path, "train/cat/1.png", "train/dog/2.png", "val/cat/3.png", "val/dog/4.png")

    assert places(found)["val/dog/4.png"] == ("test", "dog")
    assert found.remarks == ["train has the training images, val has the test images"]


def test_train_and_test_need_no_remark(tmp_path: Path) -> None:
    found = make(tmp_path, "train/cat/1.png", "train/dog/2.png", "test/cat/3.png", "test/dog/4.png")

    assert found.remarks == []


def test_halves_below_the_classes_are_found(tmp_path: Path) -> None:
    found = make(tmp_path, "cat/train/1.png", "cat/test/2.png", "dog/train/3.png", "dog/test/4.png")

    assert places(found) == {
        "cat/train/1.png": ("train", "cat"),
        "cat/test/2.png": ("test", "cat"),
        "dog/train/3.png": ("train", "dog"),
        "dog/test/4.png": ("test", "dog"),
    }


@pytest.mark.parametrize("root", ["", "archive/", "archive/photos/"])
def test_folders_of_classes_without_halves_are_for_training_however_deep(tmp_path: Path, root: str) -> None:
    found = make(tmp_path, f"{root}cat/1.png", f"{root}cat/black/2.png", f"{root}dog/3.png", f"{root}readme.txt")

    assert places(found) == {
        f"{root}cat/1.png": ("train", "cat"),
        f"{root}cat/black/2.png": ("train", "cat"),
        f"{root}dog/3.png": ("train", "dog"),
    }
    assert found.passed_over["readme.txt"] == 1


def test_a_test_folder_without_classes_is_not_used_and_a_line_says_so(tmp_path: Path) -> None:
    found = make(tmp_path, "train/cat/1.png", "train/dog/2.png", "test/3.png", "sample/note.txt")

    assert {*places(found)} == {"train/cat/1.png", "train/dog/2.png"}
    assert "test is not used: it has no folders of classes" in found.remarks
    assert found.passed_over == {"test": 1, "sample": 1}


@pytest.mark.parametrize("half", ["val/images", "test/test", "test/unknown"])
def test_a_half_whose_only_folder_is_no_class_is_not_used(tmp_path: Path, half: str) -> None:
    found = make(tmp_path, "train/cat/1.png", "train/dog/2.png", f"{half}/3.png")

    assert {*places(found)} == {"train/cat/1.png", "train/dog/2.png"}
    assert f"{half.partition('/')[0]} is not used: it has no folders of classes" in found.remarks


@pytest.mark.parametrize(
    ("inner", "other"),
    [
        ("Images", "Annotation/cat/cat_1"),
        ("101_ObjectCategories", "Annotations/cat/a.mat"),
        ("images", "meta/test.txt"),
    ],
)
def test_the_only_folder_with_folders_of_images_is_entered(tmp_path: Path, inner: str, other: str) -> None:
    found = make(tmp_path, f"{inner}/cat/1.png", f"{inner}/dog/2.png", other, "README.txt")

    assert places(found) == {f"{inner}/cat/1.png": ("train", "cat"), f"{inner}/dog/2.png": ("train", "dog")}
    assert found.remarks == [f"{inner} has the folders of the classes; not used: {other.partition('/')[0]}"]
    assert found.passed_over == {"README.txt": 1}


def test_a_class_whose_images_have_no_known_ends_stays_a_class(tmp_path: Path) -> None:
    assert make(tmp_path, "cat/1", "dog/1.png", "dog/2.png").classes == ("cat", "dog")


def test_masks_next_to_their_images_are_not_used(tmp_path: Path) -> None:
    masks = ["cat/a (1)_mask.png", "cat/a (1)_mask_1.png", "dog/B-Segmentation.tif"]
    found = make(tmp_path, "cat/a (1).png", "cat/face_mask.png", "dog/B.jpg", *masks)

    assert {*places(found)} == {"cat/a (1).png", "cat/face_mask.png", "dog/B.jpg"}
    assert found.remarks == ["3 masks next to images not used, such as a (1)_mask.png"]


def test_a_line_says_that_folders_below_a_class_belong_to_it(tmp_path: Path) -> None:
    deep = make(tmp_path / "a", "colour/cat/1.png", "colour/dog/2.png", "grey/cat/3.png", "grey/eel/4.png")
    usual = make(tmp_path / "b", "cat/images/1.png", "dog/images/2.png", "dog/boxes.txt")

    assert (deep.classes, deep.remarks) == (
        ("colour", "grey"),
        ["the folders below a class, such as colour/cat, belong to it"],
    )
    assert usual.remarks == []


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    found = make(tmp_path, "bus/1.png", "train/2.png", "car/3.png")

    assert found.classes == ("bus", "car", "train")


def test_unlike_spellings_of_the_same_letters_are_one_class(tmp_path: Path) -> None:
    found = make(tmp_path, "train/café/1.png", "train/한국/2.png", "test/cafe\u0301/3.png", "test/한국/4.png")

    assert found.classes == ("café", "한국")
    assert {half for half, _ in places(found).values()} == {"train", "test"}


def test_emoji_and_words_with_invisible_joiners_are_names(tmp_path: Path) -> None:
    names = ("👩‍🚀", "می‌خواهم", "ภาษาไทย", "عربي")

    assert set(make(tmp_path, *(f"{name}/1.png" for name in names)).classes) == set(names)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["1.png"], "no folders of images. Expected one folder of images per class"),
        (["images/1.png", "labels.csv"], "only 'images' contains images. Expected one folder of images per class"),
        (["a\nb/1.png", "c/1.png"], "class 'a\\nb'. Expected"),
        (
            ["train/cat/1.png", "train/dog/1.png", "test/dog/1.png", "test/wolf/1.png"],
            "classes cat only in train, wolf only in test. Expected folders of the",
        ),
        (["train/cat/1.png", "training/cat/1.png"], "train and training could be the same half"),
        (["train/cat/1.png", "test/cat/1.png", "testing/cat/1.png"], "test and testing could be the same half"),
        (["train/cat.1.png", "test/1.png"], "test and train contain no folders of classes. Expected one folder of"),
        (["train/cat.1.png", "test1/1.png"], "train contains no folders of classes"),
        (["images/1.png", "masks/1.png"], "masks looks like the targets of detection or segmentation"),
        (["images/a.png", "annotations/trimaps/a.png"], "annotations looks like the targets"),
        (["images/train/1.png", "labels/train/1.txt"], "labels looks like the targets"),
        (["train/images/1.png", "train/labels/1.txt", "valid/images/1.png"], "labels looks like the targets"),
        (
            ["color/cat/1.png", "color/dog/1.png", "grayscale/cat/1.png", "grayscale/dog/1.png"],
            "its folders color, grayscale all contain the folders cat, dog, so that either could be the classes.",
        ),
        (["fold1/a/1.png", "fold1/b/1.png", "fold2/a/2.png", "fold2/b/2.png"], "either could be the classes"),
        (["train/steam/1.png", "bus/1.png"], "train could be the training images, or a class like bus. Expected one"),
    ],
)
def test_folders_that_do_not_say_it_are_refused(tmp_path: Path, files: list[str], words: str) -> None:
    with pytest.raises(InputError) as refused:
        make(tmp_path, *files)

    assert words in str(refused.value)


def test_folders_nested_without_end_are_refused(tmp_path: Path) -> None:
    found = make(tmp_path, "cat/1.png", "/".join(["dog", *["deep"] * 80, "1.png"]))

    assert [*found.refused.values()] == ["nested too deeply"]


def test_links_that_make_a_few_folders_countless_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_FOLDERS", 1_000)
    make(tmp_path / "own", "cat/1.png", "dog/1.png")
    for depth in range(40):  # each folder has two links to the next: 2^40 ways
        (tmp_path / "own" / "deep" / str(depth)).mkdir(parents=True)
        for name in "ab":
            (tmp_path / "own" / "deep" / str(depth) / name).symlink_to(tmp_path / "own" / "deep" / str(depth + 1))

    with pytest.raises(InputError, match=r"own contains over 1,000 folders\. Expected .*\. Remove links to folders"):
        list_images(tmp_path / "own")
