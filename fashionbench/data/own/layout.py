"""Which files of a folder are images of which class and half, by the names of its folders; no file is opened."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from fashionbench.data.arrays import is_name
from fashionbench.errors import InputError
from fashionbench.opening import leads_out_of

__all__ = ["IMAGE_SUFFIXES", "Half", "Layout", "find_half", "list_images"]

Half = Literal["train", "validation", "test"]

HALF_NAMES: Final[Mapping[Half, frozenset[str]]] = MappingProxyType(
    {
        "train": frozenset({"train", "training", "trn", "trainset"}),
        "validation": frozenset({"val", "valid", "validation", "dev", "valset"}),
        "test": frozenset({"test", "testing", "tst", "testset", "eval", "evaluation", "holdout"}),
    }
)

FILLERS: Final = frozenset({"", "set", "data", "dataset", "image", "images", "img", "imgs", "split", "seg", "folder"})
"""In the name of a half these mean nothing: ``training_set``, ``seg_train``, ``test-images``."""

FOREIGN: Final = frozenset(
    {
        *("__macosx", "@eadir", "#recycle", "@recycle", "$recycle.bin", "system volume information", "lost+found"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__pycache__"),
    }
)
"""What systems leave in folders, in lower case; all that begins with a dot is foreign too."""

IMAGE_SUFFIXES: Final = frozenset(
    {
        *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".tif", ".tiff", ".webp"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".gif", ".svg", ".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl"),
        *(".eps", ".ps", ".pdf", ".psd", ".ico", ".tga", ".dds", ".dcm", ".dng", ".cr2", ".nef", ".arw", ".raw"),
        *(".fits", ".exr", ".hdr", ".npy", ".pcx", ".xpm", ".xbm"),
    }
)
"""A file of another name that is no image, such as ``labels.txt``, is passed over."""

FEWEST_CLASSES: Final = 2

DEEPEST: Final = 64
"""Folders within folders; people have some five."""

MOST_FOLDERS: Final = 20_000

NAMES_SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the names of folders say of their files."""

    root: Path
    """The folder itself, without links."""
    classes: tuple[str, ...] = ()
    files: dict[Path, tuple[Half, int]] = field(default_factory=dict)
    """Half and class of each file that may be an image; ``train`` where there are no halves."""
    passed_over: Counter[str] = field(default_factory=Counter)
    """Names of foreign files and folders, and of files that are no images."""
    refused: dict[Path, str] = field(default_factory=dict)
    """Why a file cannot be used."""
    remarks: list[str] = field(default_factory=list)
    """What was taken for what, for the user."""
    folders: list[Path] = field(default_factory=list)
    """All that were listed; by links, a few may be many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Folder:
    path: Path
    files: list[Path] = field(default_factory=list)
    folders: "dict[str, _Folder]" = field(default_factory=dict)

    def has_files(self) -> bool:
        return bool(self.files) or any(each.has_files() for each in self.folders.values())

    def walk(self) -> Iterator[Path]:
        yield from self.files
        for each in self.folders.values():
            yield from each.walk()


def list_images(path: Path) -> Layout:
    """List the files of a folder with one folder per class, directly or in folders such as ``train`` and ``test``.

    Halves are found by their usual names. They may also stand below the classes (``cat/train``). A folder that contains
    nothing but one other folder is entered. Of a training and a validation half the latter is for the test.

    Raises:
        InputError: The folder cannot be read, or its folders do not show which files belong to which class.

    """
    listing = Layout(root=path.resolve())
    try:
        top = _scan(listing.root, listing, ())
    except OSError as error:
        raise InputError(
            f"folder {error.filename or path} cannot be read ({error.strerror})",
            expected="readable folders",
            remedy="check their permissions",
        ) from error
    top = _unwrap(top, listing)
    trees: dict[Half, dict[str, list[_Folder]]] = {}
    if halves := _find_halves(path, top, listing, are_of_classes=True):
        trees = {half: _classes(each, listing) for half, each in halves.items()}
        _remark({half: each.path.relative_to(listing.root).as_posix() for half, each in halves.items()}, listing)
    elif len(top.folders) >= FEWEST_CLASSES and all(map(_has_training, top.folders.values())):
        for name, each in top.folders.items():
            for half, inner in _find_halves(path, each, listing, are_of_classes=False).items():
                trees.setdefault(half, {}).setdefault(_normal(name), []).append(inner)
        _remark({half: f"{half} below each class" for half in trees}, listing)
    else:
        trees = {"train": _classes(top, listing)}
    if "validation" in trees and "test" not in trees:
        trees["test"] = trees.pop("validation")
    classes = _check_classes(path, trees)
    numbers = {name: number for number, name in enumerate(classes)}
    for half, tree in trees.items():
        for name in sorted(tree):
            for folder in tree[name]:
                listing.files.update((file, (half, numbers[name])) for file in folder.walk())
    return replace(listing, classes=classes)


def find_half(name: str) -> tuple[Half | None, tuple[str, ...]]:
    """Return which half a name says, and the rest of its words: ``sign_mnist_train`` gives train and sign, mnist."""
    words = re.split(r"[^a-z0-9]+", name.lower())
    found = {half for half, names in HALF_NAMES.items() if names & {*words}}
    rest = tuple(
        word for word in words if word not in FILLERS and not any(word in each for each in HALF_NAMES.values())
    )
    return (next(iter(found)) if len(found) == 1 else None), rest


def _scan(folder: Path, listing: Layout, above: tuple[Path, ...]) -> _Folder:
    """List a folder and those within; ``above`` are the folders on the way, without links."""
    found = _Folder(path=folder)
    real = Path(os.path.realpath(above[-1] / folder.name if above else folder))  # links on the way are not read again
    listing.folders.append(folder)
    if len(listing.folders) > MOST_FOLDERS:
        raise InputError(
            f"folder {listing.root} contains over {MOST_FOLDERS:,} folders",
            expected="one folder of images per class",
            remedy="remove links to folders",
        )
    if not real.is_relative_to(listing.root):
        listing.refused[folder] = "a link that leads out of the folder"
        return found
    if any(each.is_relative_to(real) for each in above) or len(above) > DEEPEST:
        listing.refused[folder] = (
            "a link to a folder that contains it" if len(above) <= DEEPEST else "nested too deeply"
        )
        return found
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        path = folder / entry.name
        if entry.name.startswith((".", "~$")) or entry.name.lower() in FOREIGN:
            listing.passed_over[entry.name] += 1
        elif entry.is_dir():
            found.folders[entry.name] = _scan(path, listing, (*above, real))
        elif entry.is_symlink() and leads_out_of(listing.root, real / entry.name):
            listing.refused[path] = "a link that leads out of the folder"
        else:
            found.files.append(path)
    return found


def _normal(name: str) -> str:
    """Return a name in the form in which each letter with its accents is one character."""
    return unicodedata.normalize("NFC", name)


def _has_training(folder: _Folder) -> bool:
    return any(find_half(name)[0] == "train" for name in folder.folders)


def _has_images(folder: _Folder) -> bool:
    """Return whether images lie directly in a folder."""
    return any(file.suffix.lower() in IMAGE_SUFFIXES for file in folder.files)


def _unwrap(folder: _Folder, listing: Layout) -> _Folder:
    """Enter a folder that contains only one other, as archives unpacked into their own name do."""
    while len(folder.folders) == 1 and not _has_images(folder):
        (inner,) = folder.folders.values()
        if not inner.folders:
            break
        listing.passed_over.update(file.name for file in folder.files)
        folder = inner
    return folder


def _find_halves(path: Path, folder: _Folder, listing: Layout, *, are_of_classes: bool) -> dict[Half, _Folder]:
    """Return the folders for training, validation and test by their names; none where there is no training folder."""

    def is_usable(each: _Folder) -> bool:
        return bool(each.folders) if are_of_classes else each.has_files()

    named = {name: find_half(name) for name in folder.folders}
    trains = [name for name, (half, _) in named.items() if half == "train" and is_usable(folder.folders[name])]
    if not trains:
        return {}
    rest = named[trains[0]][1]
    alike = {name: half for name, (half, other) in named.items() if half is not None and other == rest}
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
    usable: dict[Half, _Folder] = {half: _unwrap_half(each) for half, each in found.items() if is_usable(each)}
    listing.remarks.extend(
        f"{each.path.name} is not used: it has no folders of classes"
        for half, each in found.items()
        if half not in usable and each.has_files()
    )
    listing.passed_over.update(name for name in folder.folders if alike.get(name) not in usable)
    listing.passed_over.update(file.name for file in folder.files)
    return usable


def _unwrap_half(folder: _Folder) -> _Folder:
    """Enter ``train/train``; a single folder with images is a class."""
    while len(folder.folders) == 1 and not _has_images(folder):
        (inner,) = folder.folders.values()
        if len(inner.folders) < FEWEST_CLASSES:
            break
        folder = inner
    return folder


def _classes(folder: _Folder, listing: Layout) -> dict[str, list[_Folder]]:
    """Return the folders of each class; two spellings of the same letters are one name."""
    listing.passed_over.update(file.name for file in folder.files)
    found: dict[str, list[_Folder]] = {}
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


def _check_classes(path: Path, trees: Mapping[Half, Mapping[str, list[_Folder]]]) -> tuple[str, ...]:
    """Return the classes, by name, of folders that agree about them."""
    train = trees["train"]
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
            shown = f"{', '.join(only[:NAMES_SHOWN])}{' and others' if len(only) > NAMES_SHOWN else ''}"
            raise InputError(
                f"folder {path}: classes {shown}",
                expected=f"folders of the same names for training and {half}",
                remedy=f"rename the folders; without a folder of {half} images, some are drawn from the others",
            )
    return tuple(sorted(train))
