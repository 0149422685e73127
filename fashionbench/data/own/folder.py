"""Read the user's images from a folder: ``train`` and ``test``, each with one folder of images per class."""

import os
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from fashionbench.data.arrays import channels_first, check_memory, make_dataset
from fashionbench.data.dataset import Dataset
from fashionbench.data.own.picture import Header, PictureError, UnknownFormatError, read_header, read_pixels
from fashionbench.errors import InputError

__all__ = ["load_folder"]

HALVES: Final = ("train", "test")

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

MOST_NAMED: Final = 10

MOST_KINDS_NAMED: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    """What was found in a folder of images so far."""

    root: Path
    """The folder itself, without links."""
    files: dict[Path, tuple[int, int]] = field(default_factory=dict)
    """Half and class of each file that may be an image."""
    passed_over: Counter[str] = field(default_factory=Counter)
    """Names of foreign files and folders, and of files that are no images."""
    refused: dict[Path, str] = field(default_factory=dict)
    """Why a file cannot be used."""


def load_folder(path: Path, announce: Callable[[str], None]) -> Dataset:
    """Read a folder with ``train`` and ``test``, each with one folder of images per class.

    Args:
        path: The folder.
        announce: Called with a line about what was passed over.

    Raises:
        InputError: The folder has another layout, images that cannot be used, or images of several sizes.

    """
    listing = _Listing(root=path.resolve())
    try:
        classes = _list_classes(path, listing)
        for place, half in enumerate(HALVES):
            for label, name in enumerate(classes):
                _list_files(listing.root / half / name, (place, label), listing, (listing.root,))
    except OSError as error:
        raise InputError(
            f"folder {error.filename or path} cannot be read ({error.strerror})",
            expected="readable folders",
            remedy="check their permissions",
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about tags that do not change what an image looks like
        headers = _read_headers(listing)
        _check_classes(path, classes, headers, listing)
        halves = _read_halves(path, headers, listing)
    if listing.passed_over:
        count, names = listing.passed_over.total(), [*listing.passed_over]
        shown = f"{', '.join(names[:MOST_KINDS_NAMED])[:200]}{' and others' if len(names) > MOST_KINDS_NAMED else ''}"
        announce(f"Passed over {count:,} files and folders that are no images of a class: {shown}")
    return make_dataset(listing.root.name, "a folder of images", classes, *halves)


def _list_classes(path: Path, listing: _Listing) -> tuple[str, ...]:
    if not all((path / half).is_dir() for half in HALVES):
        raise InputError(
            f"folder {path} does not contain the folders train and test",
            expected="both, each with one folder of images per class",
            remedy="move the images there",
        )
    listing.passed_over.update(name for name in sorted(each.name for each in path.iterdir()) if name not in HALVES)
    found: list[tuple[str, ...]] = []
    for half in HALVES:
        entries = sorted(os.scandir(listing.root / half), key=lambda each: each.name)
        classes = tuple(entry.name for entry in entries if entry.is_dir() and not _is_foreign(entry.name))
        listing.passed_over.update(entry.name for entry in entries if entry.name not in classes)
        found.append(classes)
    train, test = found
    if train != test or not all(name.isprintable() for name in train):
        raise InputError(
            f"folder {path}: classes {', '.join(train)[:80] or 'none'} in train, {', '.join(test)[:80] or 'none'} in "
            "test",
            expected="folders of the same names in both, of letters that can be printed",
            remedy="rename the folders",
        )
    return train


def _is_foreign(name: str) -> bool:
    return name.startswith((".", "~$")) or name.lower() in FOREIGN


def _list_files(folder: Path, half_and_class: tuple[int, int], listing: _Listing, above: tuple[Path, ...]) -> None:
    """List the files of a class and of the folders within; ``above`` are the folders on the way, without links."""
    real = Path(os.path.realpath(folder))
    if not real.is_relative_to(listing.root):
        listing.refused[folder] = "a link that leads out of the folder"
        return
    if any(each.is_relative_to(real) for each in above):
        listing.refused[folder] = "a link to a folder that contains it"
        return
    for entry in sorted(os.scandir(folder), key=lambda each: each.name):
        path = folder / entry.name
        if _is_foreign(entry.name):
            listing.passed_over[entry.name] += 1
        elif entry.is_dir():
            _list_files(path, half_and_class, listing, (*above, real))
        elif entry.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(listing.root):
            listing.refused[path] = "a link that leads out of the folder"
        else:
            listing.files[path] = half_and_class


def _read_headers(listing: _Listing) -> dict[Path, Header]:
    headers = {}
    for path in listing.files:
        try:
            headers[path] = read_header(path)
        except PictureError as error:
            if isinstance(error, UnknownFormatError) and path.suffix.lower() not in IMAGE_SUFFIXES:
                listing.passed_over[path.name] += 1
            else:
                listing.refused[path] = str(error)
    return headers


def _check_classes(path: Path, classes: tuple[str, ...], headers: dict[Path, Header], listing: _Listing) -> None:
    filled = {listing.files[image] for image in headers}
    empty = [
        f"{half}/{name}"
        for place, half in enumerate(HALVES)
        for label, name in enumerate(classes)
        if (place, label) not in filled
    ]
    if empty and not listing.refused:
        raise InputError(
            f"folder {path}: {len(empty)} class folders contain no images ({', '.join(empty)[:200]})",
            expected="images of each class in train and in test",
            remedy="add some, or remove the class from both",
        )


def _read_halves(
    path: Path, headers: dict[Path, Header], listing: _Listing
) -> list[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Decode all images: (N, channels, H, W), with one channel if all are grey."""
    sizes = Counter((header.width, header.height) for header in headers.values())
    if len(sizes) != 1:
        _refuse(path, listing)
        _refuse_sizes(path, headers, sizes, listing)
    ((width, height),) = sizes
    is_grey = all(header.is_grey for header in headers.values())
    channels = 1 if is_grey else 3
    check_memory(f"folder {path} with {len(headers):,} images", len(headers) * channels * height * width)
    halves = []
    for place, _ in enumerate(HALVES):
        files = [image for image in headers if listing.files[image][0] == place]
        images = np.empty((len(files), channels, height, width), np.uint8)
        for number, image in enumerate(files):
            try:
                pixels = channels_first(read_pixels(image, grey=is_grey)[None])[0]
            except PictureError as error:
                listing.refused[image] = str(error)
                continue
            if pixels.shape == images.shape[1:]:
                images[number] = pixels
            else:
                listing.refused[image] = "not of the size that its header said"
        halves.append((images, np.array([listing.files[image][1] for image in files], np.int64)))
    _refuse(path, listing)
    return halves


def _refuse(path: Path, listing: _Listing) -> None:
    """Refuse the folder if some of its files cannot be used, and name them all at once."""
    if not listing.refused:
        return
    named = [
        f"{image.relative_to(listing.root).as_posix()} ({reason})"
        for image, reason in sorted(listing.refused.items())[:MOST_NAMED]
    ]
    more = len(listing.refused) - len(named)
    raise InputError(
        f"folder {path}: {len(listing.refused):,} files cannot be used: {', '.join(named)}"
        f"{f' and {more:,} more' if more else ''}",
        expected="PNG, JPEG, BMP, PPM, TIFF or WebP images of one page in 8 or 16 bits",
        remedy="replace or remove these files",
    )


def _refuse_sizes(
    path: Path, headers: dict[Path, Header], sizes: Counter[tuple[int, int]], listing: _Listing
) -> NoReturn:
    shown = [f"{count:,} of {width} x {height}" for (width, height), count in sizes.most_common(MOST_KINDS_NAMED)]
    common = sizes.most_common(1)[0][0]
    other = next(image for image, header in headers.items() if (header.width, header.height) != common)
    raise InputError(
        f"folder {path}: images of {len(sizes)} sizes, width x height: {', '.join(shown)}"
        f"{' and others' if len(sizes) > MOST_KINDS_NAMED else ''}; {other.relative_to(listing.root).as_posix()} is "
        f"{headers[other].width} x {headers[other].height}",
        expected="images of one size",
        remedy="resize them",
    )
