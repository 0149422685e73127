"""Whatever a stranger's file holds, a reader takes it for what it is or refuses it in one line; it never does more.

``nox -s fuzz`` runs the same tests over a thousand times as many inputs (hypothesis' profile ``fuzz``).
"""

import gzip
import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hostile import mutated
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image
from synthetic import make_inference, make_training

from fashionbench.data.load import load_dataset
from fashionbench.data.own.picture import PictureError, read_header, read_pixels
from fashionbench.data.readers import CSV_HEADER, IDX_NAMES, decode_idx, encode_idx, read_csv, read_idx_bytes
from fashionbench.devices.runtime import peak_host_bytes, reset_peaks
from fashionbench.errors import FashionBenchError
from fashionbench.recipe.file import load_recipe
from fashionbench.records.reading import read_records
from fashionbench.records.store import benchmark_section, seal, write_record

IMAGES = encode_idx(np.arange(2 * 784, dtype=np.uint8).reshape(2, 28, 28))
CSV = (CSV_HEADER + "\n" + "\n".join(",".join(["7", *["255"] * 784]) for _ in range(2))).encode()
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
TOML = b"""epochs = 5
learning_rate = 0.001
is_result = false
[model.resnet18]
batch_size = 20
"""
RECORD = make_training(images=20)
BENCHMARK = json.dumps(
    {
        "benchmarks": [
            {"name": "x", "stats": {"mean": 1.0}, "extra_info": {"fashionbench": seal(make_inference())}},
            {"name": "other", "extra_info": {}},
        ],
        "fashionbench": benchmark_section([make_training(images=20, status="failed", reason="no memory")]),
    }
).encode()


def _pictures() -> dict[str, bytes]:
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
    found = {}
    for number, (kind, image, how) in enumerate(kinds):
        stream = io.BytesIO()
        image.save(stream, kind, **how)
        found[f"{kind} {number}"] = stream.getvalue()
    return found


PICTURES = _pictures()


@pytest.fixture(scope="module", autouse=True)
def bytes_before() -> int:
    reset_peaks(torch.device("cpu"))
    return peak_host_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


def check_reading(read: Callable[[], object]) -> bool:
    """Call a reader; True where it took the file, False where it refused it in one printable line."""
    try:
        read()
    except FashionBenchError as error:
        message = str(error)
        assert message.isprintable()
        assert len(message) < 2_000
        assert ". Expected " in message
        return False
    return True


def test_the_unspoiled_files_are_taken(folder: Path) -> None:
    for name, content in (("x.csv", CSV), ("x.toml", TOML), ("b.json", BENCHMARK), ("x.gz", gzip.compress(IMAGES))):
        (folder / name).write_bytes(content)

    assert decode_idx(IDX_NAMES[0], IMAGES).shape == (2, 28, 28)
    assert decode_idx(IDX_NAMES[0], read_idx_bytes(folder / "x.gz")).shape == (2, 28, 28)
    assert read_csv(folder / "x.csv")[0].shape == (2, 28, 28)
    assert load_recipe(str(folder / "x.toml")).epochs == 5
    assert len(read_records([folder / "b.json"])) == 2
    assert read_records([write_record(folder, RECORD)]) == (RECORD,)


@given(content=mutated(IMAGES))
def test_idx(content: bytes) -> None:
    check_reading(lambda: decode_idx(IDX_NAMES[0], content))
    check_reading(lambda: decode_idx(IDX_NAMES[1], content))


@given(content=mutated(gzip.compress(IMAGES, mtime=0)))
def test_gz(folder: Path, content: bytes) -> None:
    path = folder / "fuzz.gz"
    path.write_bytes(content)
    check_reading(lambda: read_idx_bytes(path))


@given(content=mutated(CSV))
def test_csv(folder: Path, content: bytes) -> None:
    path = folder / "fuzz.csv"
    path.write_bytes(content)
    check_reading(lambda: read_csv(path))


@given(content=mutated(NPZ))
def test_npz(folder: Path, content: bytes) -> None:
    path = folder / "own.npz"
    path.write_bytes(content)
    check_reading(lambda: load_dataset(str(path), None, environ={}, cache=folder, announce=lambda _: None))


@given(content=mutated(OWN_CSV))
def test_csv_of_ones_own(folder: Path, content: bytes) -> None:
    path = folder / "own.csv"
    path.write_bytes(content)
    check_reading(lambda: load_dataset(str(path), None, environ={}, cache=folder, announce=lambda _: None))


@given(content=st.sampled_from([*PICTURES.values()]).flatmap(mutated))
def test_picture(folder: Path, content: bytes) -> None:
    path = folder / "fuzz"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as load_folder does
        try:
            header = read_header(path)
            pixels = read_pixels(path, grey=header.is_grey)
        except PictureError as error:
            reason = str(error)
            assert len(reason) < 200
        else:
            assert pixels.shape[:2] == (header.height, header.width)


@given(content=mutated(TOML))
def test_recipe(folder: Path, content: bytes) -> None:
    path = folder / "fuzz.toml"
    path.write_bytes(content)
    check_reading(lambda: load_recipe(str(path)))


@given(content=mutated(json.dumps(seal(RECORD)).encode()))
def test_record(folder: Path, content: bytes) -> None:
    path = folder / "fuzz.json"
    path.write_bytes(content)
    if check_reading(lambda: read_records([path])):  # only what means the same is taken: white space, say
        assert read_records([path]) == (RECORD,)


@given(content=mutated(BENCHMARK))
def test_benchmark(folder: Path, content: bytes) -> None:
    path = folder / "fuzz.json"
    path.write_bytes(content)
    check_reading(lambda: read_records([path]))


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"benchmarks": [' + b"[]," * 3_000_000 + b"[]]}",
        b'{"x": ' + b"9" * 1_000_000 + b"}",
        b'{"record": {"kind": "training"}, "sha256": "' + b"0" * 10_000_000 + b'"}',
        b'{"sha256": "", "record": {"kind": "training", "environment": {"versions": {'
        + b",".join(b'"%d": 1' % place for place in range(500_000))
        + b"}}}}",
    ],
    ids=["nested lists", "nested objects", "three million lists", "a long number", "a long string", "a wide object"],
)
def test_a_json_made_to_choke_on_is_refused(folder: Path, content: bytes) -> None:
    path = folder / "bomb.json"
    path.write_bytes(content)

    assert not check_reading(lambda: read_records([path]))


def test_a_csv_of_countless_columns_is_refused_from_its_first_line(folder: Path) -> None:
    path = folder / "wide.csv"
    path.write_bytes(b"label," + b"pixel," * 20_000_000)

    assert not check_reading(lambda: read_csv(path))


def test_reading_all_of_this_takes_less_than_a_gibibyte(bytes_before: int) -> None:
    assert peak_host_bytes() - bytes_before < 1024**3
