"""Readers of images, tables and arrays of one's own, which need torch and not torchvision."""

import gzip
import io
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from hostile import Reader, zipped
from PIL import ExifTags, Image

from fashionbench.data.own.archive import load_npz
from fashionbench.data.own.folder import load_folder
from fashionbench.data.own.tables.table import load_table

OWN_CSV = ("label,p0,p1,p2,p3\n" + "\n".join(f"{row % 2},1,2,{row},255" for row in range(20))).encode()
STREAM = io.BytesIO()
np.savez_compressed(
    STREAM,
    x_train=np.arange(16, dtype=np.uint8).reshape(4, 2, 2),
    y_train=np.array([0, 1, 0, 1]),
    x_test=np.zeros((2, 2, 2), np.uint8),
    y_test=np.array([0, 1]),
)
NPZ = STREAM.getvalue()


def draw_pictures() -> tuple[bytes, ...]:
    """Return a small image in each format, and in the kinds of each that are decoded by code of their own."""
    grey = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4)
    colour = Image.merge("RGB", [grey, grey.rotate(90), grey.rotate(180)])
    with_alpha = Image.merge("LA", [grey, grey.rotate(90)])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    kinds: list[tuple[str, Image.Image, dict[str, Any]]] = [
        *(("PNG", image, {}) for image in (grey, colour, with_alpha, colour.quantize(16), grey.convert("1"))),
        *(("JPEG", image, {"exif": exif}) for image in (grey, colour, colour.convert("CMYK"))),
        *(("JPEG", colour, {"progressive": True}), ("BMP", grey, {}), ("BMP", colour, {}), ("PPM", colour, {})),
        *(("TIFF", colour, {"compression": each}) for each in (None, "tiff_lzw", "jpeg", "tiff_adobe_deflate")),
        *(("TIFF", grey.convert("1"), {"compression": each}) for each in ("group3", "group4", "packbits")),
        *(("WEBP", colour, {"lossless": each}) for each in (True, False)),
    ]
    found = []
    for kind, image, how in kinds:
        stream = io.BytesIO()
        image.save(stream, kind, **how)
        found.append(stream.getvalue())
    return tuple(found)


PICTURES = draw_pictures()


def ignore(_: str) -> None:
    """Leave what is said of a file unsaid."""


def read_folder(path: Path) -> None:
    """Read a folder with that file among others."""
    root = path.parents[1]
    for place in range(10):
        other = root / "ab"[place % 2] / f"{place}.png"
        other.parent.mkdir(parents=True, exist_ok=True)
        if not other.exists():
            other.write_bytes(PICTURES[place % 3])
    load_folder(root, ignore)


READERS = MappingProxyType(
    {
        "npz": Reader(
            name="own.npz",
            whole=(NPZ,),
            read=lambda path: load_npz(path, ignore),
            inputs=8_000,
            bombs=lambda: (zipped(f"{name}.npy" for name in ("x_train", "y_train", "x_test", "y_test")),),
        ),
        "csv": Reader(
            name="own.csv",
            whole=(OWN_CSV,),
            read=lambda path: load_table(path, ignore),
            inputs=8_000,
            bombs=lambda: (
                gzip.compress(OWN_CSV) + 300 * gzip.compress(b"\n0,1,2,3,4" * 100_000),
                b"label," + b"p," * 20_000_000,
            ),
        ),
        "image": Reader(
            name="own/a/hostile.png",
            whole=PICTURES,
            read=read_folder,
            inputs=12_000,
        ),
    }
)
