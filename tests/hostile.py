"""What somebody does to a right file who means harm: places overwritten, and records and checkpoints sealed again."""

import copy
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from fashionbench.errors import FashionBenchError
from fashionbench.records.record import Record
from fashionbench.records.store import digest_of

TOKENS = [
    *(b"", b"\x00", b"\xff" * 8, b"\n", b"\r", b",", b'"', b"{", b"}", b"[" * 200, b"]", b"null", b"true", b"-1"),
    *(b"1e999", b"NaN", b"Infinity", b"9" * 400, b"0x10", b"\xf0\x9f\x92\xa9", b"\xc3\x28", b"<script>", b"{{ 7 }}"),
    *(b"\x1b[2J", b"../../etc/passwd", b"javascript:", "\u202e".encode(), b"= ", b"'''", b"\x1f\x8b\x08"),
]
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 3, 255, 256, 2**31, 2**53, 2**63, 2**64 - 1, 10**400, -(10**400)),
    *(0.0, -0.0, 0.5, 1.0, 1e-9, 1e-300, 1e10, 1e30, 1e300, float("nan"), float("inf"), -float("inf")),
    *("", "x", "a\nb", "\x1b[2J", "\x00", "\u202e", "\ud800", "<script>", "$\\frac$", "_x", "%s", "{0}", "|", "#"),
    *("cpu", "cuda:1", "failed", "absent", "resnet18", "2026-02-30T12:00:00Z", "AAAA", "x" * 201, "x" * 100_001),
    *([], [0], [[]], [None], {}, {"x": 1}, ["x"] * 300),
]
Place = tuple[str | int, ...]
MOST_CHARACTERS: Final = 2_000
"""Of a refusal."""


def mutate(random: Random, whole: bytes) -> bytes:
    """Cut, repeat, overwrite and flip some places of a right file."""
    content = bytearray(whole)
    for _ in range(random.randint(1, 4)):
        start = random.randint(0, len(content))
        length = random.choice([0, 1, 2, 4, 16, 200, len(content)])
        match random.randint(0, 4):
            case 0:
                del content[start : start + length]
            case 1:
                content[start:start] = content[start : start + length]
            case 2:
                content[start : start + length] = random.choice(TOKENS)
            case 3:
                content[start : start + 1] = random.randbytes(random.randint(0, 3))
            case _:
                if start < len(content):
                    content[start] ^= 1 << random.randint(0, 7)
    return bytes(content)


def places(part: Any, path: Place = ()) -> Iterator[Place]:
    """Yield the place of every part of a document; of a list, of its first two members and of the last."""
    yield path
    if isinstance(part, dict):
        for key, value in part.items():
            yield from places(value, (*path, key))
    elif isinstance(part, list | tuple):
        for index in sorted({0, 1, len(part) - 1} & {*range(len(part))}):
            yield from places(part[index], (*path, index))


def changes(part: Any) -> list[Any]:
    """Return what may stand in the place of a part: a hostile value, or the part in another length or order."""
    if isinstance(part, list | tuple):
        return [*VALUES, part[:-1], part[1:], part[::-1], part * 2, [*part, *part[-1:]], [part]]
    if isinstance(part, dict):
        return [
            *VALUES,
            {**part, "more": 1},
            *({key: value for key, value in part.items() if key != left_out} for left_out in part),
        ]
    if isinstance(part, str):
        return [*VALUES, part[:-4], part * 2, part[::-1], part.upper()]
    return VALUES


def replaced(document: dict[str, Any], path: Place, value: Any) -> dict[str, Any]:
    """Return a copy of a document with another value in a place."""
    whole = {"": copy.deepcopy(document)}
    part: Any = whole
    *way, last = ("", *path)
    for key in way:
        part[key] = [*part[key]] if isinstance(part[key], tuple) else part[key]
        part = part[key]
    part[last] = value
    return whole[""]


def at(document: Any, path: Place) -> Any:
    """Return the part of a document in a place."""
    for key in path:
        document = document[key]
    return document


def changed(random: Random, document: dict[str, Any], may_be: Callable[[Any], list[Any]] = changes) -> dict[str, Any]:
    """Return a document with one or two of its places changed, to what ``may_be`` returns for the part there."""
    for _ in range(random.randint(1, 2)):
        path = random.choice([*places(document)][1:])
        document = replaced(document, path, random.choice(may_be(at(document, path))))
    return document


def reseal(random: Random, sealed: bytes) -> bytes:
    """Change one or two places of a record, and seal it again."""
    return seal_whatever(changed(random, json.loads(sealed)["record"]))


def seal_whatever(document: dict[str, Any]) -> bytes:
    """Return a record's file with the digest that it should have; a record that has none is refused before that."""
    try:
        digest = digest_of(TypeAdapter(Record).validate_python(document))
    except ValidationError:
        digest = "0" * 64
    return json.dumps({"sha256": digest, "record": document}).encode()


def zipped(names: Iterable[str]) -> bytes:
    """Return a small archive of large parts, which begin as an array does whose header never ends."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in names:
            archive.writestr(name, b"\x93NUMPY\x02\x00\x00\x00\x00\x04" + bytes(2**26))
    return stream.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """What reads a kind of file."""

    name: str
    """Of the file, for a reader that goes by it."""
    whole: tuple[bytes, ...]
    """Right files, which are damaged."""
    read: Callable[[Path], object]
    """Raises a FashionBenchError where it refuses the file."""
    inputs: int
    """How many damaged files it is given in ``nox -s fuzz``."""
    spoil: Callable[[Random, bytes], bytes] = mutate
    bombs: Callable[[], Iterable[bytes]] = tuple
    """Returns files that would fill the memory if they were not refused."""

    def refusal(self, folder: Path, content: bytes) -> str:
        """Return why a file is refused, in one printable line; nothing where it is taken. All else is raised."""
        path = folder / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        try:
            self.read(path)
        except FashionBenchError as error:
            message = str(error)
            is_clean = message.isprintable() and len(message) < MOST_CHARACTERS and ". Expected " in message
            if not is_clean:
                raise AssertionError(f"an unclean refusal: {message!r}") from error
            return message
        return ""
