"""Whatever a stranger's file contains, a reader reads it correctly or refuses it in one line; it never does more.

``nox -s fuzz`` gives the same readers a thousand times as many files.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import data_readers
import pytest
import readers
import torch_readers
from fuzz import damage
from hostile import Reader

ALL: Mapping[str, Reader] = {**readers.READERS, **data_readers.READERS, **torch_readers.READERS}
FILES, SEED = 40, -1


@pytest.mark.parametrize("name", ALL)
def test_a_right_file_is_taken_and_damaged_ones_are_taken_or_refused_in_one_line(tmp_path: Path, name: str) -> None:
    reader = ALL[name]
    for whole in reader.whole:
        assert reader.refusal(tmp_path, whole) == ""

    refused = sum(bool(reader.refusal(tmp_path, content)) for _, content in damage(name, reader, FILES, SEED))

    assert refused > FILES / 4


@pytest.mark.parametrize("name", ALL)
def test_files_made_to_fill_the_memory_are_refused(tmp_path: Path, name: str) -> None:
    for bomb in ALL[name].bombs():
        assert ALL[name].refusal(tmp_path, bomb)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_session_counts_files_and_memory_and_fails_where_a_reader_does(tmp_path: Path) -> None:
    (tmp_path / "readers.py").write_text(
        "from types import SimpleNamespace as S\n"
        "def refusal(folder, content):\n"
        "    if content == b'6': raise ValueError('six')\n"
        "    return content.decode()\n"
        "READERS = {'one': S(whole=(b'',), bombs=lambda: [b'bomb'], inputs=7, refusal=refusal,\n"
        "    spoil=lambda random, whole: b'5'), 'two': S(whole=(b'',), bombs=tuple, inputs=7, refusal=refusal,\n"
        "    spoil=lambda random, whole: b'6')}\n"
    )

    def fuzz(*names: str) -> "subprocess.CompletedProcess[str]":
        program = "import sys; sys.path[:0] = sys.argv.pop(1).split('|'); import fuzz; fuzz.main()"
        folders = f"{tmp_path}|{Path(__file__).parent}"
        command = [sys.executable, "-c", program, folders, *names, "--module=readers"]
        return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})

    clean, unclean = fuzz("one"), fuzz("two")

    assert clean.returncode == 0, clean.stderr
    assert "\n8 files; " in clean.stdout
    assert " MiB of memory at most, of which " in clean.stdout
    assert unclean.returncode == 1
    assert "two, seed 0, file 0: b'6'" in unclean.stdout
