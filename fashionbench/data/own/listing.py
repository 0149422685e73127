"""The folders and files within a folder, without foreign ones and links that lead out, and what other files are."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fashionbench.data.own.halves import Half
from fashionbench.errors import InputError
from fashionbench.opening import leads_out_of

__all__ = ["IMAGE_SUFFIXES", "NAMED_BY", "Folder", "Layout", "name_format", "scan"]

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

OTHER_FORMATS: Final = (
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"%PDF", "a PDF"),
    (b"<svg", "an SVG"),
    (b"<!doctype", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "XML"),
    (b"\x00\x00\x00\x0cjP", "JPEG 2000"),
    (b"\x00\x00\x00\x0cJXL", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"8BPS", "a Photoshop file"),
    (b"\x93NUMPY", "an array of NumPy"),
)
"""How they begin, and what they are called."""

LFS_POINTER: Final = b"version https://git-lfs"

DICOM_AT: Final = 128
"""Bytes before the letters DICM in a medical image."""

NAMED_BY: Final = DICOM_AT + 4
"""So many bytes of a file say which format it has."""

DEEPEST: Final = 64
"""Folders within folders; people have some five."""

MOST_FOLDERS: Final = 20_000


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
class Folder:
    """A folder with what is in it, but for foreign files and folders."""

    path: Path
    files: list[Path] = field(default_factory=list)
    folders: "dict[str, Folder]" = field(default_factory=dict)

    def has_files(self) -> bool:
        """Return whether there is a file in it, however deep."""
        return bool(self.files) or any(each.has_files() for each in self.folders.values())

    def walk(self) -> Iterator[Path]:
        """Yield all files in it, however deep."""
        yield from self.files
        for each in self.folders.values():
            yield from each.walk()


def scan(folder: Path, listing: Layout, above: tuple[Path, ...]) -> Folder:
    """List a folder and those within; ``above`` are the folders on the way, without links."""
    found = Folder(path=folder)
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
            found.folders[entry.name] = scan(path, listing, (*above, real))
        elif entry.is_symlink() and leads_out_of(listing.root, real / entry.name):
            listing.refused[path] = "a link that leads out of the folder"
        else:
            found.files.append(path)
    return found


def name_format(beginning: bytes) -> str:
    """Return which format a file has that is not read, by its first ``NAMED_BY`` bytes."""
    if not beginning:
        return "empty"
    if beginning.startswith(LFS_POINTER):
        return "a pointer of Git LFS: run git lfs pull"
    if beginning[DICOM_AT:] == b"DICM":
        return "DICOM, a format that is not read"
    if beginning[4:8] == b"ftyp":
        return f"{beginning[8:12].decode('ascii', errors='replace').strip().upper()}, a format that is not read"
    for magic, name in OTHER_FORMATS:
        if beginning.lower().startswith(magic.lower()):
            return f"{name}, a format that is not read"
    return "damaged, or not an image"
