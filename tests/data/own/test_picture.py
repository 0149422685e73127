"""An image file gives the pixels that a viewer shows, or the reason in a few words why it cannot be used."""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile
from sklearn.datasets import load_digits

from fashionbench.data.own.picture import Header, PictureError, UnknownFormatError, read_header, read_pixels

GREY = np.rint(load_digits().images[3][:, :6] * 255 / 16).astype(np.uint8)  # (8, 6)
COLOUR = np.stack([GREY, GREY.T.reshape(8, 6), 255 - GREY], axis=-1)  # (8, 6, 3)
RAMP = np.arange(48, dtype=np.uint8).reshape(8, 6)


pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning", "ignore:Corrupt EXIF data")


def save(image: NDArray[Any] | Image.Image, path: Path, **how: Any) -> Path:
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **how)
    return path


def png(path: Path, pixels: list[bytes], *, depth: int, colour: int, transparent: bytes) -> Path:
    """Write a PNG of 4 x N pixels, of a kind that Pillow does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 4, len(pixels), depth, colour, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"tRNS", transparent)
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in pixels)))
        + chunk(b"IEND", b"")
    )
    return path


def tiff(path: Path, pixels: bytes, *, bits: int, photometric: int, sample_format: int = 1) -> Path:
    """Write a TIFF of 4 x 1 grey pixels, of a kind that Pillow does not write."""
    values = {256: 4, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: 1, 279: len(pixels)}
    tags = values | {339: sample_format}
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in tags)
    start = 8 + len(pixels)
    path.write_bytes(b"II*\0" + struct.pack("<I", start) + pixels + directory + b"\0\0\0\0")
    return path


def grey_of(path: Path) -> NDArray[np.uint8]:
    assert read_header(path).is_grey
    return read_pixels(path, grey=True)


def colour_of(path: Path) -> NDArray[np.uint8]:
    assert not read_header(path).is_grey
    return read_pixels(path, grey=False)


@pytest.mark.parametrize("end", ["png", "bmp", "pgm", "tif"])
def test_grey_levels_come_as_they_are(tmp_path: Path, end: str) -> None:
    path = save(GREY, tmp_path / f"x.{end}")

    assert read_header(path) == Header(width=6, height=8, is_grey=True, stored_bytes=path.stat().st_size)
    assert (grey_of(path) == GREY).all()
    assert (read_pixels(path, grey=False) == GREY[..., None]).all()


@pytest.mark.parametrize(
    ("end", "how"), [("png", {}), ("bmp", {}), ("ppm", {}), ("tif", {}), ("webp", {"lossless": True})]
)
def test_colours_come_as_they_are(tmp_path: Path, end: str, how: dict[str, Any]) -> None:
    assert (colour_of(save(COLOUR, tmp_path / f"x.{end}", **how)) == COLOUR).all()


@pytest.mark.parametrize(("mode", "array"), [("L", GREY), ("RGB", COLOUR)])
def test_a_jpeg_has_the_pixels_that_it_decodes_to(tmp_path: Path, mode: str, array: NDArray[np.uint8]) -> None:
    path = save(array, tmp_path / "x.jpg")

    with Image.open(path) as image:
        assert image.mode == mode
        assert (read_pixels(path, grey=mode == "L") == np.asarray(image)).all()


def test_the_name_of_a_file_does_not_matter(tmp_path: Path) -> None:
    assert (grey_of(save(GREY, tmp_path / "x.jpg", format="PNG")) == GREY).all()


@pytest.mark.parametrize("end", ["png", "tif", "pgm"])
def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path, end: str) -> None:
    deep = GREY.astype(np.uint16) * 257
    deep[0, :3] = [128, 129, 65406]  # half a step of 257 decides

    found = grey_of(save(deep, tmp_path / f"x.{end}"))

    assert found[0, :3].tolist() == [0, 1, 254]
    assert (found[1:] == GREY[1:]).all()


def test_tiffs_of_other_kinds_of_grey_are_scaled_and_inverted(tmp_path: Path) -> None:
    levels = np.array([0, 257, 32896, 65535], "<u2")

    twelve = tiff(tmp_path / "12.tif", bytes([0x00, 0x00, 0x10, 0x80, 0x0F, 0xFF]), bits=12, photometric=1)
    inverted = tiff(tmp_path / "16.tif", levels.tobytes(), bits=16, photometric=0)

    assert grey_of(twelve).tolist() == [[0, 1, 128, 255]]
    assert grey_of(inverted).tolist() == [[255, 254, 127, 0]]


def test_two_levels_are_black_and_white(tmp_path: Path) -> None:
    path = save(Image.fromarray(GREY > 99), tmp_path / "x.png")

    assert (grey_of(path) == (GREY > 99) * 255).all()


def test_transparency_is_put_on_white(tmp_path: Path) -> None:
    black = Image.new("L", (6, 8))
    layers = {"LA": [black], "RGBA": [black] * 3}
    for mode, bands in layers.items():
        path = save(Image.merge(mode, [*bands, Image.fromarray(GREY)]), tmp_path / f"{mode}.png")

        assert (read_pixels(path, grey=True) == 255 - GREY).all()
        assert read_header(path).is_grey == (mode == "LA")


def test_one_transparent_level_is_white(tmp_path: Path) -> None:
    expected = np.where(GREY == 0, 255, GREY)

    assert (grey_of(save(GREY, tmp_path / "8.png", transparency=0)) == expected).all()
    assert (grey_of(save(GREY.astype(np.uint16) * 257, tmp_path / "16.png", transparency=0)) == expected).all()
    four = png(tmp_path / "4.png", [bytes([0x37, 0x0F])], depth=4, colour=0, transparent=b"\0\x07")
    assert grey_of(four).tolist() == [[51, 255, 0, 255]]


def test_palettes_become_their_colours_and_a_palette_of_greys_is_grey(tmp_path: Path) -> None:
    palette = Image.fromarray(RAMP, "P")
    palette.putpalette([value for level in range(256) for value in (level, 255 - level, 7)])
    greys = Image.fromarray(RAMP, "P")
    greys.putpalette([255 - level for level in range(256) for _ in range(3)])

    found = colour_of(save(palette, tmp_path / "colour.png"))
    clear = colour_of(save(palette, tmp_path / "clear.png", transparency=bytes([0, 128])))

    assert (found == np.stack([RAMP, 255 - RAMP, np.full_like(RAMP, 7)], axis=-1)).all()
    assert clear[0, :3].tolist() == [[255, 255, 255], [128, 254, 131], [2, 253, 7]]
    assert (grey_of(save(greys, tmp_path / "grey.png")) == 255 - RAMP).all()


def test_the_four_inks_become_three_colours(tmp_path: Path) -> None:
    inks = Image.fromarray(COLOUR).convert("CMYK")

    found = colour_of(save(inks, tmp_path / "x.tif"))

    assert np.abs(found.astype(int) - COLOUR).max() <= 1


TURNED = {
    1: RAMP,
    2: np.fliplr(RAMP),
    3: np.rot90(RAMP, 2),
    4: np.flipud(RAMP),
    5: RAMP.T,
    6: np.rot90(RAMP, -1),
    7: np.rot90(RAMP.T, 2),
    8: np.rot90(RAMP),
}


def test_an_orientation_that_does_not_exist_means_nothing(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 9

    assert (grey_of(save(RAMP, tmp_path / "x.png", exif=exif)) == RAMP).all()


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize(("end", "how"), [("png", {}), ("tif", {}), ("tif", {"compression": "tiff_lzw"})])
def test_an_image_is_turned_upright(tmp_path: Path, orientation: int, end: str, how: dict[str, Any]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation

    path = save(RAMP, tmp_path / f"x.{end}", exif=exif, **how)

    header, expected = read_header(path), TURNED[orientation]
    assert (header.height, header.width) == expected.shape
    assert (grey_of(path) == expected).all()


def test_a_photograph_is_turned_upright_and_its_damaged_notes_do_not_matter(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(np.repeat(np.repeat(RAMP * 5, 8, 0), 8, 1), tmp_path / "x.jpg", exif=exif)
    content = path.read_bytes()
    (tmp_path / "y.jpg").write_bytes(content.replace(b"MM\0*", b"MM\0?"))

    assert read_header(path) == Header(width=64, height=48, is_grey=True, stored_bytes=path.stat().st_size)
    assert read_pixels(path, grey=True).shape == (48, 64)
    assert read_pixels(tmp_path / "y.jpg", grey=True).shape == (64, 48)


def test_a_camera_that_stores_more_images_behind_the_first_shows_the_first(tmp_path: Path) -> None:
    first, second = (Image.fromarray(np.full((8, 6, 3), level, np.uint8)) for level in (200, 10))

    path = save(first, tmp_path / "x.jpg", format="MPO", save_all=True, append_images=[second])

    assert np.abs(colour_of(path).astype(int) - 200).max() <= 2


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP"])
def test_several_pages_are_refused(tmp_path: Path, kind: str) -> None:
    path = save(COLOUR, tmp_path / "x", format=kind, save_all=True, append_images=[Image.fromarray(255 - COLOUR)])

    with pytest.raises(PictureError, match="2 pages or frames"):
        read_header(path)


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda path: save(GREY.astype(np.float32), path, format="TIFF"), "signed or floating-point pixels, mode F"),
        (lambda path: save(GREY.astype(np.int32), path, format="TIFF"), "signed or floating-point pixels, mode I"),
        (lambda path: save(GREY, path, format="TIFF", tiffinfo={254: 1}), "a camera's raw photograph, of which only"),
        (lambda path: tiff(path, b"abcd" * 4, bits=32, photometric=1), "32-bit or signed pixels, mode I"),
        (lambda path: tiff(path, b"abcd", bits=8, photometric=1, sample_format=2), "signed or floating-point pixels"),
        (lambda path: save(GREY.astype(np.float32), path, format="PPM"), "floating-point pixels, mode F"),
        (lambda path: save(Image.fromarray(COLOUR).convert("LAB"), path, format="TIFF"), "unusual .*, mode LAB"),
        (lambda path: png(path, [bytes(24)], depth=16, colour=2, transparent=bytes(6)), "16-bit colours, of which one"),
        (lambda path: path.write_bytes(b"P5 99999 99999 255 "), "over 89,478,485 pixels"),
        (lambda path: path.write_bytes(b"P5 10000 10000 255 "), "10000 x 10000, over 89,478,485 pixels"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.symlink_to("nowhere"), "No such file"),
        (lambda path: path.symlink_to(path), "symbolic links"),
    ],
)
def test_what_no_viewer_shows_as_one_image_is_refused(
    tmp_path: Path, write: Callable[[Path], object], reason: str
) -> None:
    write(tmp_path / "x.png")

    with pytest.raises(PictureError, match=reason):
        read_header(tmp_path / "x.png")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"GIF89a", "damaged, or not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (b"%PDF-1.7", "a PDF"),
        (b"<svg xmlns=", "an SVG"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"\0\0\0\x20ftypheic", "HEIC, a format that is not read"),
        (b"\0\0\0\x0cjP  ", "JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\xff\x0a\xfa\x7f", "JPEG XL"),
        (b"\x93NUMPY\1\0", "an array of NumPy"),
        (bytes(128) + b"DICM", "DICOM, a format that is not read"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS: run git lfs pull"),
        (b"no image", "damaged, or not an image"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIH", "damaged, or not an image"),
    ],
)
def test_another_format_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "x.png").write_bytes(content)

    with pytest.raises(UnknownFormatError, match=reason):
        read_header(tmp_path / "x.png")


@pytest.mark.parametrize("end", ["png", "jpg", "bmp", "ppm", "tif", "webp"])
def test_an_image_that_is_cut_short_is_refused(tmp_path: Path, end: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    path = save(noise, tmp_path / f"x.{end}")
    path.write_bytes(path.read_bytes()[:-500])
    ImageFile.LOAD_TRUNCATED_IMAGES = True  # as WeasyPrint does when it is imported

    with pytest.raises(PictureError, match="damaged"):
        read_pixels(path, grey=False)


def test_a_file_whose_header_is_damaged_is_refused(tmp_path: Path) -> None:
    path = save(GREY, tmp_path / "x.tif")
    content = bytearray(path.read_bytes())
    content[8] -= 1  # one tag fewer than there are
    path.write_bytes(content)

    with pytest.raises(PictureError, match="damaged: "):
        read_header(path)


def test_a_gif_of_one_frame_is_read_and_an_animation_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    clear = Image.fromarray(RAMP, "P")
    clear.putpalette([value for level in range(256) for value in (level, 255 - level, 7)])

    assert (grey_of(save(GREY, tmp_path / "grey.gif")) == GREY).all()
    assert colour_of(save(clear, tmp_path / "clear.gif", transparency=5))[0, 5].tolist() == [255, 255, 255]
    with pytest.raises(PictureError, match="2 pages or frames"):
        read_header(save(frames[0], tmp_path / "x.gif", save_all=True, append_images=frames[1:]))


def test_an_upright_image_is_resized_after_it_was_turned(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(np.repeat(np.repeat(RAMP * 5, 8, 0), 8, 1), tmp_path / "x.png", exif=exif)

    found = read_pixels(path, grey=True, size=(6, 8), fit="stretch")

    assert np.abs(found.astype(int) - TURNED[6] * 5).max() <= 8


@pytest.mark.parametrize("end", ["png", "webp", "tif"])
def test_an_image_that_would_become_far_larger_than_its_file_is_refused_by_its_header(tmp_path: Path, end: str) -> None:
    how = {"compression": "tiff_lzw"} if end == "tif" else {}
    path = save(Image.new("L" if end == "tif" else "RGB", (6_000, 6_000)), tmp_path / f"x.{end}", **how)

    with pytest.raises(PictureError, match=r"^6000 x 6000 pixels in only [\d,]+ bytes$"):
        read_header(path)


def test_what_libtiff_finds_damaged_is_not_written_to_standard_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = save(
        Image.fromarray(np.arange(4_096, dtype=np.uint8).reshape(64, 64)), tmp_path / "x.tif", compression="tiff_lzw"
    )
    content = bytearray(path.read_bytes())
    content[200:220] = b"\xff" * 20
    path.write_bytes(content)

    with pytest.raises(PictureError, match="damaged"):
        read_pixels(path, grey=True)
    assert capfd.readouterr().err == ""
