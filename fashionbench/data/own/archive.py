"""Read the user's images from an ``.npz``: arrays of training and test images, or of all images."""

import math
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from fashionbench.data.arrays import (
    CHANNELS,
    DRAWN,
    MAX_LABEL,
    channels_first,
    check_memory,
    make_dataset,
    name_labels,
    scale_pixels,
)
from fashionbench.data.dataset import Dataset, draw_test_images
from fashionbench.data.own.flat import describe_order, find_shape, is_by_planes, shape_images
from fashionbench.errors import FashionBenchError, InputError
from fashionbench.opening import open_regular

__all__ = ["load_npz"]

KINDS: Final = (
    ("images", "x|images?|imgs?|data|features?|pixels"),
    ("labels", "y|labels?|lbls?|targets?|class(?:es)?"),
)

UNNAMED: Final = re.compile(r"arr_\d+")
"""How ``numpy.savez`` calls arrays that are given without a name."""

HALVES: Final = (
    ("train", "train|training"),
    ("test", "test|testing"),
    ("validation", "val|valid|validation|dev"),
    ("", ""),
)
"""How arrays are named, in any letter case: ``x_train`` in Keras, ``train_images`` in MedMNIST."""

EXPECTED_NAMES: Final = (
    "x_train, y_train, x_test and y_test, or train_images, train_labels, test_images and test_labels"
)

FLAT: Final = 2
"""Axes of images whose pixels stand in one row."""

AXES: Final = (3, 4)
"""Of images without and with channels."""

NUMBERS, TEXTS = "buif", "SU"
"""NumPy's letters for their kinds."""

MESSAGE_CHARACTERS: Final = 200

SIZES: Final = ("file_size", "compress_size")
"""Of a member of an archive: unpacked and stored."""

Role = tuple[str, str]
"""What an array is for: train, test, validation or "" for all images; and images or labels."""


def load_npz(path: Path, announce: Callable[[str], None]) -> Dataset:
    """Read an ``.npz`` with arrays as in Keras or in MedMNIST.

    Images are (N, H, W), (N, H, W, channels) or (N, channels, H, W); labels are (N,), (N, 1) or one-hot. Where all
    images are in one array, a fifth of each class is drawn for the test.

    Args:
        path: The file.
        announce: Called with a line about what was found by a rule, and about arrays that are not used.

    Raises:
        InputError: The file is no archive of arrays, or an array is missing or has another form.

    """
    try:
        with open_regular(path) as stream, zipfile.ZipFile(stream) as archive:
            members = {name.removesuffix(".npy"): archive.getinfo(name) for name in archive.namelist()}
            found = _name_by_order(path, archive, members) or {name: _find_role(name) for name in members}
            names, unused = _assign_roles(path, found)
            _check_headers(path, archive, names)
            arrays = {role: _read_array(archive, name) for role, name in names.items()}
    except FashionBenchError:
        raise
    except Exception as error:
        # a damaged archive makes zipfile and numpy raise a dozen kinds of error, few of them OSError or ValueError
        raise InputError(
            f"{path} is not an .npz of arrays ({str(error).partition(chr(10))[0][:MESSAGE_CHARACTERS]})",
            expected="a file that numpy.savez wrote",
            remedy="write it again",
        ) from error
    said = [f"not used: {', '.join(unused)[:MESSAGE_CHARACTERS]}"] if unused else []
    if all(map(UNNAMED.fullmatch, names.values())):
        said.append(", ".join(f"{name} has the {' '.join(role).strip()}" for role, name in names.items()))
    images_of = [role for role in names if role[1] == "images"]
    images = [_move_channels(path, names[role], arrays[role], arrays[role[0], "labels"].shape) for role in images_of]
    pixels = scale_pixels(
        images, lambda place, index: f"{path}: {names[images_of[place]]}, image {index[0] + 1}: a pixel", said.append
    )
    if any(each.ndim == FLAT for each in pixels):
        pixels = _shape_rows(path, [names[role] for role in images_of], pixels, said.append)
    labels = [
        _flatten_labels(path, names[half, "labels"], arrays[half, "labels"], len(each))
        for (half, _), each in zip(images_of, pixels, strict=True)
    ]
    halves = {half: (each, label) for (half, _), each, label in zip(images_of, pixels, labels, strict=True)}
    if "validation" in halves and "test" not in halves:
        said.append(f"{names['validation', 'images']} has the test images")
        halves["test"] = halves.pop("validation")
    if "test" not in halves:
        said.append(DRAWN)
        halves["train"], halves["test"] = draw_test_images(*halves.popitem()[1])
    for line in said:
        announce(f"{path.name}: {line}")
    source = "; ".join(["an .npz file", *said])
    return make_dataset(path.stem, source, None, halves["train"], halves["test"], halves.get("validation"))


def _name_by_order(
    path: Path, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]
) -> dict[str, Role | None]:
    """Return the roles of ``arr_0``, ``arr_1`` and so on by their shapes; empty for arrays with names.

    Images have three axes or more. With two arrays of images, those for training come first; their labels are as many.
    """
    if not members or not all(map(UNNAMED.fullmatch, members)):
        return {}
    check_memory(str(path), *(sum(getattr(each, size) for each in members.values()) for size in SIZES))
    shapes = {name: _read_npy_header(archive, info)[0] for name, info in members.items()}
    images = [name for name, shape in shapes.items() if len(shape) >= AXES[0]]
    halves = ("",) if len(images) == 1 else ("train", "test")
    found: dict[str, Role | None] = dict.fromkeys(members)
    for half, name in zip(halves, images, strict=False):
        found[name] = half, "images"
        alike = [each for each in members if each not in images and shapes[each][:1] == shapes[name][:1]]
        if len(alike) == 1:
            found[alike[0]] = half, "labels"
    return found


def _assign_roles(path: Path, roles: Mapping[str, Role | None]) -> tuple[dict[Role, str], list[str]]:
    """Return the name of the array for each role that is needed, and the names of the other arrays."""
    names: dict[Role, str] = {}
    unused = []
    for name, role in roles.items():
        if role in names:
            raise InputError(
                f"{path} has both {names[role]!r} and {name!r}",
                expected=f"one array of each kind: {EXPECTED_NAMES}",
                remedy="rename or remove one of them",
            )
        if role is None:
            unused.append(name)
        else:
            names[role] = name
    halves = [""] if not any(half for half, _ in names) else ["train"]
    if halves == ["train"]:
        halves += ["test"] * any(("test", kind) in names for kind, _ in KINDS)
        halves += ["validation"] * all(("validation", kind) in names for kind, _ in KINDS)
    needed = [(half, kind) for half in halves for kind, _ in KINDS]
    if missing := [role for role in needed if role not in names]:
        found = ", ".join([*names.values(), *unused])[:MESSAGE_CHARACTERS]
        raise InputError(
            f"{path} has no array of {' '.join(missing[0]).strip()}, only {found or 'none at all'}",
            expected=EXPECTED_NAMES,
            remedy="rename the arrays"
            if len(roles) >= len(needed)
            else "write the images with their labels, which may be in another file, with "
            'numpy.savez("own.npz", images=images, labels=labels)',
        )
    return {role: names[role] for role in needed}, unused + [names[role] for role in names if role not in needed]


def _find_role(name: str) -> Role | None:
    for half, half_pattern in HALVES:
        for kind, kind_pattern in KINDS:
            for first, second in ((half_pattern, kind_pattern), (kind_pattern, half_pattern)):
                if re.fullmatch(f"(?:{first})[_. -]?(?:{second})", name, re.IGNORECASE):
                    return half, kind
    return None


def _check_headers(path: Path, archive: zipfile.ZipFile, names: dict[Role, str]) -> None:
    """Check kind and size of each array before any memory is allocated for it."""
    members = [archive.getinfo(f"{name}.npy") for name in names.values()]

    check_memory(str(path), *(sum(getattr(each, size) for each in members) for size in SIZES))
    for (_, kind), name in names.items():
        info = archive.getinfo(f"{name}.npy")
        shape, dtype, stored = _read_npy_header(archive, info)
        if dtype.kind not in (NUMBERS if kind == "images" else NUMBERS + TEXTS):
            raise InputError(
                f"{path}: {name} is {'of Python objects' if dtype.hasobject else dtype}",
                expected="an array of numbers",
                remedy="convert it, such as with numpy.stack and astype",
            )
        if math.prod(shape) * dtype.itemsize != stored:
            raise InputError(
                f"{path}: {name} contains {stored:,} bytes",
                expected=f"{math.prod(shape) * dtype.itemsize:,}, as its header says",
                remedy="write the file again",
            )


def _read_npy_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return the shape and the kind of an array, and of how many bytes it consists."""
    with archive.open(info) as member:
        read_header = npy.read_array_header_1_0 if npy.read_magic(member) == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read_header(member)
        return shape, dtype, info.file_size - member.tell()


def _read_array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as member:
        return np.asarray(npy.read_array(member, allow_pickle=False))


def _move_channels(path: Path, name: str, images: NDArray[Any], labels: tuple[int, ...]) -> NDArray[Any]:
    """Return images as (N, channels, H, W), or as they are if their pixels stand in one row; labels have a shape."""
    is_matlabs = images.ndim in AXES and images.shape[-1] in labels and images.shape[0] not in labels
    is_last, is_first = (images.ndim == AXES[1] and images.shape[axis] in CHANNELS for axis in (-1, 1))
    if is_matlabs or images.ndim not in (FLAT, *AXES) or (images.ndim == AXES[1] and is_last == is_first):
        raise InputError(
            f"{path}: {name} is of shape ({', '.join(map(str, images.shape))})",
            expected="(N, height, width), (N, height, width, channels) or (N, channels, height, width), with 1 or 3 "
            "channels",
            remedy="move the last axis to the front: numpy.moveaxis(images, -1, 0)"
            if is_matlabs
            else "reshape the images",
        )
    return images if is_first or images.ndim == FLAT else channels_first(images)


def _shape_rows(
    path: Path, names: Sequence[str], pixels: Sequence[NDArray[np.uint8]], announce: Callable[[str], None]
) -> list[NDArray[np.uint8]]:
    """Return images whose pixels stand in one row as (N, channels, H, W)."""
    counts = [math.prod(each.shape[1:]) for each in pixels]
    shape = find_shape(counts[0])
    if shape is None or {*counts} != {counts[0]}:
        raise InputError(
            f"{path}: {' and '.join(names)} have rows of {' and '.join(map(str, counts))} pixels",
            expected="as many pixels for each image, those of a square in one channel or in three",
            remedy="reshape the images to (N, height, width)",
        )
    by_planes = is_by_planes(pixels[0], shape)
    order = f", {describe_order(by_planes=by_planes)}" if shape[0] > 1 else ""
    announce(f"rows of {counts[0]:,} pixels are images of {shape[2]} x {shape[1]}{order}")
    return [shape_images(each, shape, by_planes=by_planes) for each in pixels]


def _flatten_labels(path: Path, name: str, labels: NDArray[Any], images: int) -> NDArray[Any]:
    """Return labels of so many images as integers or names, (N,)."""
    labels = labels[0] if labels.shape == (1, images) else labels
    rows = labels.reshape(len(labels), -1) if labels.ndim and labels.size else labels.reshape(-1, 1)
    if rows.dtype.kind in TEXTS and rows.shape[1] == 1:
        texts = [each.decode(errors="replace") if isinstance(each, bytes) else each for each in rows[:, 0].tolist()]
        return name_labels(texts, lambda place: f"{path}: {name}, image {place + 1},")
    if rows.dtype.kind in TEXTS:
        wrong = np.ones(len(rows), bool)
    elif rows.shape[1] > 1:  # one-hot
        wrong = ((rows != 0) & (rows != 1)).any(axis=1) | ((rows == 1).sum(axis=1) != 1)
    else:
        wrong = ~(np.abs(rows[:, 0]) < MAX_LABEL) | (rows[:, 0] != np.floor(rows[:, 0]))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise InputError(
            f"{path}: labels {name} of shape ({', '.join(map(str, labels.shape))}): image {first + 1} has "
            f"{str(rows[first].tolist())[1:-1][:MESSAGE_CHARACTERS]}",
            expected="an integer or a name for each image, or a row with a single 1",
            remedy="convert the labels",
        )
    return np.asarray(rows.argmax(axis=1)) if rows.shape[1] > 1 else rows[:, 0].astype(np.int64)
