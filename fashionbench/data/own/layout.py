"""Which files of a folder are images of which class and half, by the names of its folders; no file is opened."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from fashionbench.data.arrays import is_name
from fashionbench.data.own.halves import Half, find_half
from fashionbench.data.own.listing import IMAGE_SUFFIXES, Folder, Layout, scan
from fashionbench.errors import InputError

__all__ = ["list_images"]

INPUTS: Final = frozenset({"images", "image", "imgs", "img", "jpegimages"})

TARGETS: Final = frozenset(
    {"annotations", "annotation", "labels", "label", "masks", "mask", "segmentation", "trimaps", "bboxes", "xmls"}
)
"""Next to a folder of images, such a folder says what is where in each image: the two are no classes."""

MASK: Final = re.compile(r"(?P<image>.+?)[ _-](?:mask|seg|segmentation)s?(?:[ _-]?\d+)?", re.IGNORECASE)
"""The stem of a mask's file next to that of its image, as in ``benign (1)_mask.png``."""

FEWEST_CLASSES: Final = 2

NAMES_SHOWN: Final = 5


def list_images(path: Path) -> Layout:
    """List the files of a folder with one folder per class, directly or in folders such as ``train`` and ``test``.

    Halves are found by their usual names. They may also stand below the classes (``cat/train``). A folder that contains
    nothing but one other folder is entered. Of a training and a validation half the latter is for the test.

    Raises:
        InputError: The folder cannot be read, or its folders do not show which files belong to which class.

    """
    listing = Layout(root=path.resolve())
    try:
        top = scan(listing.root, listing, ())
    except OSError as error:
        raise InputError(
            f"folder {error.filename or path} cannot be read ({error.strerror})",
            expected="readable folders",
            remedy="check their permissions",
        ) from error
    top = _unwrap(top, listing)
    trees: dict[Half, dict[str, list[Folder]]] = {}
    if halves := _find_halves(path, top, listing, are_of_classes=True):
        trees = {half: _classes(each, listing) for half, each in halves.items()}
        _remark({half: each.path.relative_to(listing.root).as_posix() for half, each in halves.items()}, listing)
    elif len(top.folders) >= FEWEST_CLASSES and all(map(_has_training, top.folders.values())):
        for name, each in top.folders.items():
            for half, inner in _find_halves(path, each, listing, are_of_classes=False).items():
                trees.setdefault(half, {}).setdefault(_normal(name), []).append(inner)
        _remark({half: f"{half} below each class" for half in trees}, listing)
    else:
        _refuse_halves_without_classes(path, top)
        _refuse_repeated_classes(path, top)
        trees = {"train": _classes(top, listing)}
    if "validation" in trees and "test" not in trees:
        trees["test"] = trees.pop("validation")
    classes = _check_classes(path, trees)
    numbers = {name: number for number, name in enumerate(classes)}
    for half, tree in trees.items():
        for name in sorted(tree):
            for folder in tree[name]:
                listing.files.update((file, (half, numbers[name])) for file in folder.walk())
    _pass_over_masks(listing)
    _remark_depth(trees, listing)
    return replace(listing, classes=classes)


def _normal(name: str) -> str:
    """Return a name in the form in which each letter with its accents is one character."""
    return unicodedata.normalize("NFC", name)


def _has_training(folder: Folder) -> bool:
    return any(find_half(name)[0] == "train" for name in folder.folders)


def _has_images(folder: Folder) -> bool:
    """Return whether images lie directly in a folder."""
    return any(map(_is_named_image, folder.files))


def _unwrap(folder: Folder, listing: Layout) -> Folder:
    """Enter a folder that contains only one other with images, as archives unpacked into their own name do."""
    while folder.folders and not _has_images(folder):
        several = len(folder.folders) > 1
        inner = [each for each in folder.folders.values() if not several or _contains_classes(each)]
        others = [name for name, each in folder.folders.items() if each not in inner]
        if len(inner) != 1 or not inner[0].folders or any(map(_says_half, folder.folders)):
            break
        if any(_is_named_image(file) for name in others for file in folder.folders[name].walk()):
            break
        if others and all(map(_says_half, inner[0].folders)):  # images/train next to labels/train
            break
        if others:
            listing.remarks.append(f"{inner[0].path.name} has the folders of the classes; not used: {_list(others)}")
        listing.passed_over.update(file.name for file in folder.files)
        folder = inner[0]
    return folder


def _contains_classes(folder: Folder) -> bool:
    """Return whether images lie in several folders within a folder."""
    return sum(any(map(_is_named_image, each.walk())) for each in folder.folders.values()) >= FEWEST_CLASSES


def _is_named_image(file: Path) -> bool:
    return file.suffix.lower() in IMAGE_SUFFIXES


def _says_half(name: str) -> bool:
    return find_half(name)[0] is not None


def _list(names: Sequence[str]) -> str:
    """Return some names, separated by commas."""
    return f"{', '.join(names[:NAMES_SHOWN])}{' and others' if len(names) > NAMES_SHOWN else ''}"


def _find_halves(path: Path, folder: Folder, listing: Layout, *, are_of_classes: bool) -> dict[Half, Folder]:
    """Return the folders for training, validation and test by their names; none where there is no training folder."""

    def is_usable(each: Folder) -> bool:
        return bool(each.folders) if are_of_classes else each.has_files()

    named = {name: find_half(name) for name in folder.folders}
    trains = [name for name, (half, _) in named.items() if half == "train" and is_usable(folder.folders[name])]
    if not trains:
        return {}
    rest = named[trains[0]][1]
    alike = {name: half for name, (half, other) in named.items() if half is not None and other == rest}
    says = Counter(half for half, _ in named.values())
    alike |= {  # 1_train and 2_test
        name: half
        for name, (half, _) in named.items()
        if half is not None and says[half] == 1 and half not in alike.values()
    }
    twice = [half for half, count in Counter(alike.values()).items() if count > 1]
    if len(trains) > 1 or twice:
        raise InputError(
            f"folder {path}: {' and '.join(trains if len(trains) > 1 else [n for n in alike if alike[n] in twice])} "
            "could be the same half",
            expected="one folder of training images, and at most one for validation and one for the test",
            remedy="rename or remove one of them",
        )
    others = [name for name in folder.folders if name not in alike and folder.folders[name].has_files()]
    if len(alike) == 1 and any(_has_images(folder.folders[name]) for name in others):
        raise InputError(
            f"folder {path}: {trains[0]} could be the training images, or a class like {others[0]}",
            expected="one folder per class, or a training and a test folder with those",
            remedy=f"rename {trains[0]}, or move {others[0]} away",
        )
    found = {half: folder.folders[name] for name, half in alike.items()}
    usable: dict[Half, Folder] = {half: _unwrap_half(each) for half, each in found.items() if is_usable(each)}
    if are_of_classes:
        classes = {*usable["train"].folders}
        usable = {half: each for half, each in usable.items() if half == "train" or not _is_bare(each, classes)}
    listing.remarks.extend(
        f"{each.path.name} is not used: it has no folders of classes"
        for half, each in found.items()
        if half not in usable and each.has_files()
    )
    listing.passed_over.update(name for name in folder.folders if alike.get(name) not in usable)
    listing.passed_over.update(file.name for file in folder.files)
    return usable


def _is_bare(folder: Folder, classes: set[str]) -> bool:
    """Return whether all images of a half are in one folder that is no class, such as ``val/images``."""
    return (
        len(folder.folders) == 1
        and not classes & {*folder.folders}
        and not any(each.folders for each in folder.folders.values())
    )


def _refuse_halves_without_classes(path: Path, folder: Folder) -> None:
    """Refuse folders such as ``train`` and ``test`` that contain images directly: these are no classes."""
    halves = [name for name in folder.folders if find_half(name) in {("train", ()), ("validation", ()), ("test", ())}]
    is_training = [find_half(name)[0] for name in halves] == ["train"]
    if len(halves) > 1 or (is_training and len(folder.folders) == FEWEST_CLASSES):
        raise InputError(
            f"folder {path}: {' and '.join(halves)} contain{'s' * (len(halves) == 1)} no folders of classes",
            expected="one folder of images per class, in the folder itself or in each of train and test",
            remedy="move the images of each class into a folder of its own",
        )


def _refuse_repeated_classes(path: Path, folder: Folder) -> None:
    """Refuse folders that all contain the same several folders: versions or parts of a data set, whose classes repeat.

    Examples are ``color`` and ``grayscale``, ``fold1`` and ``fold2``, or the places where images were taken.
    """
    outer = [*folder.folders.values()]
    repeated = sorted(set[str].intersection(*({*each.folders} for each in outer))) if outer else []
    if len(outer) >= FEWEST_CLASSES and len(repeated) >= FEWEST_CLASSES and not any(map(_has_images, outer)):
        raise InputError(
            f"folder {path}: its folders {_list([*folder.folders])} all contain the folders {_list(repeated)}, so that "
            "either could be the classes",
            expected="one folder of images per class",
            remedy=f"give the path of one of them, such as {path / outer[0].path.name}, or move all images of a class "
            "into one folder",
        )


def _unwrap_half(folder: Folder) -> Folder:
    """Enter ``train/train``; a single folder with images is a class."""
    while len(folder.folders) == 1 and not _has_images(folder):
        (inner,) = folder.folders.values()
        if len(inner.folders) < FEWEST_CLASSES:
            break
        folder = inner
    return folder


def _classes(folder: Folder, listing: Layout) -> dict[str, list[Folder]]:
    """Return the folders of each class; two spellings of the same letters are one name."""
    listing.passed_over.update(file.name for file in folder.files)
    found: dict[str, list[Folder]] = {}
    for name, each in folder.folders.items():
        found.setdefault(_normal(name), []).append(each)
    return found


def _remark(names: Mapping[Half, str], listing: Layout) -> None:
    """Say which folders are the training, validation and test images, unless they are train and test."""
    if {*names.items()} == {("train", "train"), ("test", "test")}:
        return
    what = {str(half): f"{half} images" for half in names} | {"train": "training images"}
    if "test" not in names and "validation" in names:
        what["validation"] = "test images"
    listing.remarks.append(", ".join(f"{name} has the {what[half]}" for half, name in names.items()))


def _pass_over_masks(listing: Layout) -> None:
    """Take no mask for an image: ``1_mask.png`` next to ``1.png`` marks its parts."""
    stems = {file.with_suffix("") for file in listing.files}
    masks = [
        file
        for file in listing.files
        if (found := MASK.fullmatch(file.stem)) and (file.with_name(found["image"])) in stems
    ]
    for mask in masks:
        del listing.files[mask]
    if masks:
        listing.remarks.append(f"{len(masks):,} masks next to images not used, such as {masks[0].name}")


def _remark_depth(trees: Mapping[Half, Mapping[str, list[Folder]]], listing: Layout) -> None:
    """Say where the images of a class lie in several folders below it: these may be the classes."""
    every = (each for tree in trees.values() for several in tree.values() for each in several)
    if deep := next((each for each in every if len(each.folders) > 1 and not _has_images(each)), None):
        inner = next(iter(deep.folders.values())).path.relative_to(listing.root).as_posix()
        listing.remarks.append(f"the folders below a class, such as {inner}, belong to it")


def _check_classes(path: Path, trees: Mapping[Half, Mapping[str, list[Folder]]]) -> tuple[str, ...]:
    """Return the classes, by name, of folders that agree about them."""
    train = trees["train"]
    names = {name.lower(): name for name in train}
    if names.keys() & INPUTS and (targets := [names[each] for each in sorted(names.keys() & TARGETS)]):
        raise InputError(
            f"folder {path}: {targets[0]} looks like the targets of detection or segmentation, not like a class",
            expected="one folder of images per class",
            remedy="move the images of each class into a folder of its own, and the other files away",
        )
    unprintable = [name for name in train if not is_name(name)]
    if len(train) < FEWEST_CLASSES or unprintable:
        alone = f"only {next(iter(train))!r} contains images" if train else "no folders of images"
        raise InputError(
            f"folder {path}: {f'class {unprintable[0]!r}' if unprintable else alone}",
            expected="one folder of images per class, with a printable name, in the folder itself or in each of train "
            "and test",
            remedy="rename the folder" if unprintable else "move the images of each class into a folder of its own",
        )
    for half, tree in trees.items():
        only = [*(f"{name} only in train" for name in train if name not in tree and half == "test")]
        only += [f"{name} only in {half}" for name in tree if name not in train]
        if only:
            raise InputError(
                f"folder {path}: classes {_list(only)}",
                expected=f"folders of the same names for training and {half}",
                remedy=f"rename the folders; without a folder of {half} images, some are drawn from the others",
            )
    return tuple(sorted(train))
