"""Read the user's images from a folder: one folder of images per class, in halves or not, of one size or of many."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from fashionbench.data.arrays import DRAWN, check_class_count, check_memory, make_dataset
from fashionbench.data.dataset import AS_STORED, Dataset, Reading, draw_test_places
from fashionbench.data.own.decoded import FEWEST_KEPT, Copy, find_copy, keep_copy, name_copy
from fashionbench.data.own.halves import Half
from fashionbench.data.own.layout import list_images
from fashionbench.data.own.listing import IMAGE_SUFFIXES, Layout
from fashionbench.data.own.picture import (
    Header,
    PictureError,
    UnknownFormatError,
    describe_fit,
    read_header,
    read_pixels,
)
from fashionbench.errors import InputError

__all__ = ["load_folder"]

MOST_NAMED: Final = 10

MOST_KINDS_NAMED: Final = 5

LARGEST_FOUND: Final = 64
"""Pixels of a side, at most, where images have several sizes and none is given: a CPU trains on these in minutes."""

T = TypeVar("T")
S = TypeVar("S")


def load_folder(
    path: Path, announce: Callable[[str], None], reading: Reading = AS_STORED, cache: Path | None = None
) -> Dataset:
    """Read a folder with one folder of images per class, directly or in halves such as ``train`` and ``test``.

    Without test images, a fifth of each class is drawn. Images of several sizes are brought to one.

    Args:
        path: The folder.
        announce: Called with a line about each thing that was taken for another, found by a rule, or passed over.
        reading: The size of the images, and how they are fitted to it.
        cache: Where decoded copies of large folders are kept; None: nowhere.

    Raises:
        InputError: The folder has another layout, or images that cannot be used.

    """
    layout = list_images(path)
    check_class_count(layout.root.name, len(layout.classes))
    name = "" if cache is None or len(layout.files) < FEWEST_KEPT else name_copy(layout, reading)
    copy = find_copy(cache, name) if cache is not None and name else None
    if copy is None:
        copy = _decode(path, layout, reading)
        if cache is not None and name:
            keep_copy(cache, name, copy)
    for remark in copy.remarks:
        announce(f"{layout.root.name}: {remark}")
    halves = copy.halves
    return make_dataset(
        layout.root.name,
        "; ".join(["a folder of images", *copy.remarks]),
        layout.classes,
        halves["train"],
        halves["test"],
        halves.get("validation"),
    )


def _decode(path: Path, layout: Layout, reading: Reading) -> Copy:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about tags that do not change what an image looks like
        headers = _read_headers(layout)
        _check_classes(path, headers, layout)
        size, remarks = _choose_size(path, headers, layout, reading)
        places = _place([file for file in layout.files if file in headers or file in layout.refused], layout)
        is_grey = all(header.is_grey for header in headers.values())
        shape = (1 if is_grey else 3, *size)
        check_memory(
            f"folder {path} with {len(headers):,} images",
            len(headers) * int(np.prod(shape)),
            None if remarks else sum(header.stored_bytes for header in headers.values()),
        )
        images = {half: np.empty((len(files), *shape), np.uint8) for half, files in places.items()}

        fitted = size if remarks else None  # else a file that changes while it is read is noticed

        def decode(task: tuple[Half, int, Path]) -> None:
            half, number, file = task
            try:
                pixels = read_pixels(file, grey=is_grey, size=fitted, fit=reading.fit)
            except PictureError as error:
                layout.refused[file] = str(error)
                return
            if pixels.shape[:2] == size:
                images[half][number] = pixels if is_grey else np.moveaxis(pixels, 2, 0)
            else:
                layout.refused[file] = "not of the size that its header said"

        tasks = [
            (half, number, file)
            for half, files in places.items()
            for number, file in enumerate(files)
            if file in headers  # what its header refuses is never decoded
        ]
        for _ in _in_parallel(decode, tasks, "Decoding images"):
            pass
    _refuse(path, layout)
    labels = {half: np.array([layout.files[file][1] for file in files], np.int64) for half, files in places.items()}
    return Copy(
        halves={half: (images[half], labels[half]) for half in places},
        remarks=(*layout.remarks, *remarks, *_passed_over(layout)),
    )


def _in_parallel(function: Callable[[T], S], tasks: Sequence[T], title: str) -> Iterator[S]:
    """Call a function for each task in as many threads as PyTorch has, and show a progress bar on a terminal."""
    console = Console(stderr=True)
    threads = ThreadPoolExecutor(torch.get_num_threads())  # Pillow decodes outside Python's lock
    try:
        results: Iterable[S] = threads.map(function, tasks)
        is_hidden = not console.is_terminal
        yield from track(results, title, total=len(tasks), console=console, transient=True, disable=is_hidden)
    finally:
        threads.shutdown(cancel_futures=True)  # after Ctrl-C, too


def _read_headers(layout: Layout) -> dict[Path, Header]:
    def read(file: Path) -> Header | PictureError:
        try:
            return read_header(file)
        except PictureError as error:
            return error

    headers = {}
    files = [*layout.files]
    for file, found in zip(files, _in_parallel(read, files, "Reading headers"), strict=True):
        if isinstance(found, Header):
            headers[file] = found
        elif isinstance(found, UnknownFormatError) and file.suffix.lower() not in IMAGE_SUFFIXES:
            layout.passed_over[file.name] += 1
        else:
            layout.refused[file] = str(found)
    return headers


def _check_classes(path: Path, headers: dict[Path, Header], layout: Layout) -> None:
    filled = {layout.files[image] for image in headers}
    halves: dict[Half, None] = dict.fromkeys(half for half, _ in layout.files.values() if half != "validation")
    empty = [
        f"{half}/{name}" if len(halves) > 1 else name
        for half in halves or ("train",)
        for label, name in enumerate(layout.classes)
        if (half, label) not in filled
    ]
    if empty and not layout.refused:
        raise InputError(
            f"folder {path}: {len(empty)} class folders contain no images ({', '.join(empty)[:200]})",
            expected="images in the folder of each class",
            remedy="add some, or remove the folders of that class",
        )


def _choose_size(
    path: Path, headers: dict[Path, Header], layout: Layout, reading: Reading
) -> tuple[tuple[int, int], list[str]]:
    """Return the height and width of all images, and what to say about it."""
    sizes = Counter((header.height, header.width) for header in headers.values())
    if not sizes:
        _refuse(path, layout)
    ((height, width), _), *others = sizes.most_common()
    if reading.image_size is None and not others:
        return (height, width), []
    side = min(int(np.median([min(header.height, header.width) for header in headers.values()])), LARGEST_FOUND)
    chosen = reading.image_size or (side, side)
    if {*sizes} == {chosen}:
        return chosen, []
    shown = ", ".join(f"{count:,} of {w} x {h}" for (h, w), count in sizes.most_common())
    if len(sizes) > MOST_KINDS_NAMED:
        heights, widths = (_describe_range(sides) for sides in zip(*sizes, strict=True))
        shown = f"{widths} x {heights}"
    found = f"{len(sizes):,} sizes" if others else "one size"
    how = f"{describe_fit(chosen, reading)}{'' if reading.image_size else ', a size that --image-size changes'}"
    return chosen, [f"images of {found}, width x height: {shown}; {how}"]


def _describe_range(sides: tuple[int, ...]) -> str:
    lowest, highest = min(sides), max(sides)
    return f"{lowest} to {highest}" if lowest < highest else f"{lowest}"


def _place(files: list[Path], layout: Layout) -> dict[Half, list[Path]]:
    """Return the images of each half; where none is for the test, a fifth of each class is drawn."""
    found: dict[Half, list[Path]] = {}
    for file in files:
        found.setdefault(layout.files[file][0], []).append(file)
    if "test" not in found:
        layout.remarks.append(DRAWN)
        train, test = draw_test_places(np.array([layout.classes[layout.files[file][1]] for file in files]))
        found["train"], found["test"] = [files[place] for place in train], [files[place] for place in test]
    return found


def _passed_over(layout: Layout) -> list[str]:
    if not layout.passed_over:
        return []
    count, names = layout.passed_over.total(), [*layout.passed_over]
    shown = f"{', '.join(names[:MOST_KINDS_NAMED])[:200]}{' and others' if len(names) > MOST_KINDS_NAMED else ''}"
    return [f"passed over {count:,} files and folders that are no images of a class: {shown}"]


def _refuse(path: Path, layout: Layout) -> None:
    """Refuse the folder if some of its files cannot be used, and name them all at once."""
    if not layout.refused:
        return
    named = [
        f"{image.relative_to(layout.root).as_posix()} ({reason})"
        for image, reason in sorted(layout.refused.items())[:MOST_NAMED]
    ]
    more = len(layout.refused) - len(named)
    raise InputError(
        f"folder {path}: {len(layout.refused):,} files cannot be used: {', '.join(named)}"
        f"{f' and {more:,} more' if more else ''}",
        expected="PNG, JPEG, BMP, PPM, TIFF, WebP or GIF images of one page in 8 or 16 bits",
        remedy="convert or replace these files, or remove them",
    )
