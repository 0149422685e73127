"""One image file: its header, and its pixels as a viewer shows them."""

import ctypes
import logging
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, ImageOps, TiffImagePlugin, _imaging

from fashionbench.data.arrays import most_unpacked
from fashionbench.data.dataset import AS_STORED, Reading
from fashionbench.data.own.listing import NAMED_BY, name_format
from fashionbench.opening import open_regular
from fashionbench.options.option import Fit

__all__ = [
    "FORMATS",
    "Header",
    "PictureError",
    "UnknownFormatError",
    "describe_fit",
    "fit_image",
    "read_header",
    "read_pixels",
]

FORMATS: Final = ("PNG", "JPEG", "BMP", "PPM", "TIFF", "WEBP", "GIF")
"""Pillow opens no others: it would start Ghostscript for PostScript, a language that reads and writes files."""

GREY_MODES: Final = frozenset({"1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N"})

COLOUR_MODES: Final = frozenset({"RGB", "RGBA", "RGBa", "RGBX", "P", "PA", "CMYK", "YCbCr"})

MODES_IN_WORDS: Final = {"F": "floating-point pixels", "I": "32-bit or signed pixels"}

BYTES_PER_PIXEL: Final = 8
"""As Pillow decodes colours, twice: what is transparent is put on a second image, and a WebP has two canvases."""

NEW_SUBFILE_TYPE, REDUCED = 254, 1
"""The tag of a TIFF, and its bit, by which a camera's raw format marks the small preview in front."""

MAX_PIXELS: Final = 89_478_485
"""Of one image; Pillow's own bound, beyond which it warns of a file made to exhaust the memory."""

DAMAGE: Final = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, AssertionError),
    *(RuntimeError, struct.error, zlib.error, Image.DecompressionBombError),
)
"""What Pillow raises for damaged files, by format and by the place of the damage."""

TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF's orientation. ``ImageOps.exif_transpose`` also writes the tags again, and fails where one is damaged."""

QUARTER_TURNS: Final = frozenset({5, 6, 7, 8})
"""The orientations that exchange width and height."""

SHADES_OF_FEW_BITS: Final = {"L;2": 85, "L;4": 17}
"""By which Pillow multiplies a PNG's grey levels of 2 and 4 bits; it leaves their transparent level as it is."""

FILTER: Final = Image.Resampling.BILINEAR

FITS_IN_WORDS: Final = {
    "crop": "the shorter side, then the centre cropped",
    "pad": "the longer side, then padded with black",
    "stretch": "each side on its own",
}


class PictureError(Exception):
    """An image cannot be used; the message is the reason in a few words."""


class UnknownFormatError(PictureError):
    """A file has none of the known formats; it may not be meant as an image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file says of its image before it is decoded."""

    width: int
    """As shown, after turning it upright."""
    height: int
    is_grey: bool
    """Whether it stores grey levels, or a palette of greys."""
    stored_bytes: int
    """Size of the file."""


def read_header(path: Path) -> Header:
    """Read how large an image is, without decoding it.

    Raises:
        PictureError: The file is no regular file, has another format, several pages, or pixels that cannot be shown.

    """
    with _opened(path) as (image, stored):
        try:
            if (reason := _why_not(image, stored)) is not None:
                raise PictureError(reason)
            width, height = image.size
            is_grey, is_turned = _is_grey(image), _orientation(image) in QUARTER_TURNS
        except DAMAGE as error:
            raise PictureError(_damaged(error)) from error
    width, height = (height, width) if is_turned else (width, height)
    return Header(width=width, height=height, is_grey=is_grey, stored_bytes=stored)


def read_pixels(
    path: Path, *, grey: bool, size: tuple[int, int] | None = None, fit: Fit = AS_STORED.fit
) -> NDArray[np.uint8]:
    """Decode an image: upright, transparency over white, palettes and CMYK converted, 16 bits scaled to 8.

    Args:
        path: A file whose header can be read.
        grey: Whether to return (H, W); else (H, W, 3).
        size: Height and width to bring it to; None: its own.
        fit: How an image of another shape is brought to that size.

    Raises:
        PictureError: The file is damaged.

    """
    with _opened(path) as (image, _):
        try:
            shades = SHADES_OF_FEW_BITS.get(_stored_mode(image))
            if shades is not None and "transparency" in image.info:
                image.info["transparency"] *= shades
            image.load()
            turn = TURNS.get(_orientation(image))
            flat = _flatten(image)
            upright = flat if turn is None else flat.transpose(turn)
            shown = upright.convert("L" if grey else "RGB")
            return np.asarray(shown if size is None else fit_image(shown, size, fit))
        except DAMAGE as error:
            raise PictureError(_damaged(error)) from error


def fit_image(image: Image.Image, size: tuple[int, int], fit: Fit) -> Image.Image:
    """Return an image of 8 bits at a height and width: bilinear, and antialiased where it becomes smaller."""
    height, width = size
    if image.size == (width, height):
        return image
    if fit == "stretch":
        return image.resize((width, height), FILTER)
    return (ImageOps.pad if fit == "pad" else ImageOps.fit)(image, (width, height), FILTER)


def describe_fit(size: tuple[int, int], reading: Reading) -> str:
    """Say how images were brought to a size, given as height and width."""
    return f"resized to {size[1]} x {size[0]} ({FITS_IN_WORDS[reading.fit]})"


@contextmanager
def _opened(path: Path) -> Iterator[tuple[ImageFile.ImageFile, int]]:
    """Open an image; yield it and the size of its file."""
    _silence_libtiff()
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # WeasyPrint sets it for the whole process
    try:
        stream = open_regular(path)
    except OSError as error:
        raise PictureError(error.strerror or "cannot be opened") from error
    with stream:
        try:
            image = Image.open(stream, formats=FORMATS)
        except Image.DecompressionBombError as error:
            raise PictureError(f"over {MAX_PIXELS:,} pixels") from error
        except DAMAGE as error:  # no format knows it
            stream.seek(0)
            raise UnknownFormatError(name_format(stream.read(NAMED_BY))) from error
        with image:
            yield image, os.fstat(stream.fileno()).st_size


@cache
def _silence_libtiff() -> None:
    """Keep Pillow and libtiff from writing of damage to standard error; Pillow raises it, too."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # without one, logging writes errors there itself
    with suppress(AttributeError, OSError):  # on Windows, or in a Pillow without it
        library = ctypes.CDLL(_imaging.__file__)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)


def _why_not(image: ImageFile.ImageFile, stored: int) -> str | None:
    """Return why an image in a file of ``stored`` bytes cannot be used; None where it can."""
    if image.width * image.height > MAX_PIXELS:
        return f"{image.width} x {image.height}, over {MAX_PIXELS:,} pixels"
    if image.width * image.height * BYTES_PER_PIXEL > most_unpacked(stored):
        return f"{image.width} x {image.height} pixels in only {stored:,} bytes"
    pages = getattr(image, "n_frames", 1)
    if (
        pages > 1 and image.format != "MPO"
    ):  # a camera's JPEG with more images behind it, of which viewers show the first
        return f"{pages} pages or frames"
    if isinstance(image, TiffImagePlugin.TiffImageFile) and (reason := _why_not_tiff(image)) is not None:
        return reason
    if _stored_mode(image).startswith("RGB;16") and "transparency" in image.info:
        return "16-bit colours, of which one is transparent"
    is_known = image.mode in GREY_MODES | COLOUR_MODES or _is_wide_ppm(image)
    return None if is_known else f"{MODES_IN_WORDS.get(image.mode, 'an unusual kind of pixels')}, mode {image.mode}"


def _why_not_tiff(image: TiffImagePlugin.TiffImageFile) -> str | None:
    """Return why a TIFF cannot be used; None where it can."""
    if image.tag_v2.get(NEW_SUBFILE_TYPE, 0) & REDUCED:
        return "a camera's raw photograph, of which only a small preview could be read"
    if {*image.tag_v2.get(TiffImagePlugin.SAMPLEFORMAT, (1,))} != {1}:
        return f"signed or floating-point pixels, mode {image.mode}"
    return None


def _is_wide_ppm(image: ImageFile.ImageFile) -> bool:
    """Return whether an image has the 16 bits of a PGM, which Pillow keeps in 32."""
    return image.mode == "I" and image.format == "PPM"


def _damaged(error: Exception) -> str:
    return f"damaged: {str(error).partition(chr(10))[0][:80]}"


def _orientation(image: ImageFile.ImageFile) -> int:
    """Return EXIF's orientation; 1, upright, for a TIFF, which Pillow turns itself."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return 1
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except DAMAGE:  # viewers show an image whose EXIF data are damaged
        return 1
    return found if isinstance(found, int) else 1


def _stored_mode(image: ImageFile.ImageFile) -> str:
    """Return how Pillow will unpack the file's bytes, such as ``L;4``."""
    arguments = image.tile[0].args if image.tile else None
    return arguments if isinstance(arguments, str) else str(arguments[0]) if arguments else ""


def _is_grey(image: ImageFile.ImageFile) -> bool:
    if image.mode not in {"P", "PA"}:
        return image.mode in GREY_MODES or image.mode == "I"
    palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())


def _flatten(image: ImageFile.ImageFile) -> Image.Image:
    """Return an image of 8 bits without transparency: what is transparent is put on white."""
    if image.mode.startswith("I"):
        return Image.fromarray(_scale(image))
    if not image.has_transparency_data:
        return image
    opaque = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", opaque.size, "white"), opaque)


def _scale(image: ImageFile.ImageFile) -> NDArray[np.uint8]:
    """Return the levels of a grey image of more than 8 bits as those of 8 bits."""
    levels, top = np.asarray(image).astype(np.int64), 2**16 - 1
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        top = 2 ** int(image.tag_v2[TiffImagePlugin.BITSPERSAMPLE][0]) - 1
        if image.tag_v2[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] == 0:  # white is zero, which Pillow leaves so
            levels = top - levels
    if "transparency" in image.info:
        levels[levels == image.info["transparency"]] = top
    levels *= 255  # in place, as a copy would take eight bytes a pixel
    levels += top // 2
    levels //= top
    return levels.astype(np.uint8)
