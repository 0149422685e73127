"""Files that somebody made to do harm: right ones with places overwritten, and records that are sealed all the same."""

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from fashionbench.records.record import InferenceRecord, Record, TrainingRecord
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


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    """Cut, repeat, overwrite and flip some places of a right file."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        length = draw(st.sampled_from([0, 1, 2, 4, 16, 200, len(content)]))
        match draw(st.integers(0, 4)):
            case 0:
                del content[start : start + length]
            case 1:
                content[start:start] = content[start : start + length]
            case 2:
                content[start : start + length] = draw(st.sampled_from(TOKENS))
            case 3:
                content[start : start + 1] = draw(st.binary(max_size=3))
            case _:
                if start < len(content):
                    content[start] ^= 1 << draw(st.integers(0, 7))
    return bytes(content)


def places(part: Any, path: Place = ()) -> Iterator[Place]:
    """Yield the place of every part of a document; of a list, of its first two members and of the last."""
    yield path
    if isinstance(part, dict):
        for key, value in part.items():
            yield from places(value, (*path, key))
    elif isinstance(part, list):
        for index in sorted({0, 1, len(part) - 1} & {*range(len(part))}):
            yield from places(part[index], (*path, index))


def changes(part: Any) -> list[Any]:
    """Return what may stand in the place of a part: a hostile value, or the part in another length or order."""
    if isinstance(part, list):
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
    *above, last = ("", *path)
    for key in above:
        part = part[key]
    part[last] = value
    return whole[""]


@st.composite
def resealed(draw: st.DrawFn, record: TrainingRecord | InferenceRecord) -> bytes:
    """Change one or two places of a record, and seal it again."""
    document = json.loads(record.model_dump_json())
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from([*places(document)][1:]))
        part: Any = document
        for key in path:
            part = part[key]
        document = replaced(document, path, draw(st.sampled_from(changes(part))))
    return seal_whatever(document)


def seal_whatever(document: dict[str, Any]) -> bytes:
    """Return a record's file with the digest that it should have; a record that has none is refused before that."""
    try:
        digest = digest_of(TypeAdapter(Record).validate_python(document))
    except ValidationError:
        digest = "0" * 64
    return json.dumps({"sha256": digest, "record": document}).encode()
