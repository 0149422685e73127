"""The command line measures, reports and refuses: one clear line, exit status 2, nothing half-written."""

import io
import json
import re
import shutil
import subprocess
import sys
import tomllib
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from commands import call
from synthetic import make_study, make_training

from fashionbench.records.reading import read_records
from fashionbench.records.record import TrainingRecord
from fashionbench.records.store import write_record
from fashionbench.running import engine as run_module
from fashionbench.running.process.call import CallFailedError

WRITTEN = ["report.html", "report.md", "report.pdf", "verdict.json"]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FASHIONBENCH_DATA", raising=False)


def test_version_is_printed_without_waiting_for_torch() -> None:
    code = (
        "import sys; from fashionbench.cli import app; app(['--version'], standalone_mode=False); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said, modules = done.stdout.splitlines()
    pyproject = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))

    assert said == f"fashionbench {pyproject['project']['version']}"
    assert "torch" not in modules.split()


def tiny_run(sample_folder: Path, out: Path) -> list[str | Path]:
    return [
        *("run", "--recipe", sample_folder / "tiny.toml", "--data", sample_folder, "--out", out),
        *("--devices", "cpu", "--models", "fashioncnn"),
    ]


@pytest.mark.parametrize(
    "typed",
    [
        ("--\u202eno",),
        ("no\u2066such",),
        ("run", "--models\x1b[2J"),
        ("run", "\x1b]0;x\x07\u202e"),
        ("compare", "\x9b2J"),
    ],
)
def test_what_was_typed_wrongly_is_quoted_without_what_a_terminal_obeys(
    typed: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*typed) == 2

    said = capsys.readouterr().err
    assert "Error" in said
    assert said.replace("\n", "").isprintable()


@dataclass(frozen=True)
class Finished:
    """A run that came to its end."""

    out: Path
    said: str


@pytest.fixture(scope="module")
def finished(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Two models, two seeds, a device that is there and one that is not, and a self-check."""
    out = tmp_path_factory.mktemp("finished")
    options = ("--models", "fashioncnn,dummy", "--seeds", "2", "--devices", "cpu,cuda:7")
    with redirect_stdout(io.StringIO()) as said:
        status = call(*tiny_run(sample_folder, out), *options, "--self-check", "--margin", "2")
    assert status == 0
    return Finished(out, said.getvalue())


def test_a_run_measures_and_reports_and_its_records_report_again(finished: Finished, tmp_path: Path) -> None:
    assert call("report", finished.out / "records", "--out", tmp_path, "--margin", "2") == 0

    assert sorted(path.name for path in finished.out.iterdir()) == sorted(["records", "run.json", *WRITTEN])
    assert all(f"Wrote {finished.out / name}" in finished.said for name in WRITTEN)
    assert "Device: cpu, " in finished.said
    assert "Expected: " in finished.said
    assert "kept from" not in finished.said
    assert json.loads((finished.out / "verdict.json").read_text())["thresholds"]["margin"] == 0.02
    for name in ("report.html", "report.md", "verdict.json"):
        assert (tmp_path / name).read_bytes() == (finished.out / name).read_bytes()


def test_a_self_check_trains_the_first_case_once_more_and_reports_the_noise(finished: Finished) -> None:
    records = [each for each in read_records([finished.out / "records"]) if isinstance(each, TrainingRecord)]
    checks = {
        (each.model, each.seed): each.result.self_check for each in records if each.result and each.result.self_check
    }

    assert finished.said.count("fashioncnn on cpu, seed 0: preparing") == 2
    assert [*checks] == [("fashioncnn", 0)]
    check = checks["fashioncnn", 0]
    assert (check.differing_losses, check.differing_predictions) == (0, 0)
    assert check.train_seconds > 0
    assert "0 of 3 training losses and 0 of 200 predictions differ" in (finished.out / "report.html").read_text()


def test_a_device_that_is_absent_is_recorded_and_the_others_go_on(finished: Finished) -> None:
    records = [each for each in read_records([finished.out / "records"]) if isinstance(each, TrainingRecord)]

    assert "Device: cuda:7, absent: not found by torch" in finished.said
    assert sorted((each.device, each.status) for each in records) == [
        *[("cpu", "finished")] * 4,
        *[("cuda:7", "absent")] * 2,  # a classical baseline is for the cpu only
    ]


def test_a_second_run_measures_only_what_is_missing(
    finished: Finished, sample_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished.out / "records", tmp_path / "records")
    kept = {path: path.read_bytes() for path in (tmp_path / "records").glob("training-fashioncnn-*")}
    short = ("--limit", "0.0001")  # nothing can be trained in that

    assert call(*tiny_run(sample_folder, tmp_path), "--seeds", "3", *short) == 1
    said = capsys.readouterr().out
    assert call(*tiny_run(sample_folder, tmp_path), "--fresh", *short) == 1

    assert "Kept: 2 of 3 trainings of earlier runs" in said
    assert said.count("(kept from an earlier run)") == 2
    assert "fashioncnn on cpu, seed 2: failed, stopped at the limit of 0.0001 min" in said
    assert "stopped at the limit of 0.0001 min" in (tmp_path / "report.html").read_text()
    assert len(kept) == 4
    for path, content in kept.items():  # even --fresh puts no failure in a result's place
        assert path.read_bytes() == content


def refuse(*_: object) -> None:
    raise RuntimeError("no such operation\nand more")


def test_a_run_in_another_precision_says_so_on_every_label(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, sample_folder: Path
) -> None:
    monkeypatch.setattr(run_module, "measure_peak", refuse)  # by name, so that its process finds it too

    status = call(*tiny_run(sample_folder, tmp_path), "--precision", "bf16")

    page = (tmp_path / "report.html").read_text()
    assert status == 0
    assert capsys.readouterr().out.count("The peak of cpu was not measured: RuntimeError: no such operation\n") == 1
    assert "cpu bf16" in page
    assert "Arithmetic is in bf16" in page
    assert "Share of the machine" not in page


def test_devices_tell_their_peak_from_a_process_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "rand", refuse)  # in this process

    assert call("devices", "--peak") == 0

    assert re.search(r"fp32: products [\d,]+ GFLOP/s, convolutions [\d,]+ GFLOP/s", capsys.readouterr().out)


def test_a_peak_that_cannot_be_measured_and_a_model_that_ends_its_process_are_told_in_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> NoReturn:
        raise CallFailedError("MemoryError")

    (tmp_path / "ending_net.py").write_text("import os\ndef make(shape, classes): os._exit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)

    listed = call("models", "ending_net:make")
    monkeypatch.setattr("fashionbench.running.process.call.call_in_process", fail)
    measured = call("devices", "--peak")

    assert (listed, measured) == (0, 0)
    said = capsys.readouterr().out
    assert "(1) its process ended without a result (exit status 0)\n" in said
    assert " its peak was not measured: MemoryError\n" in said


OFTEN_BROKEN = """
from torch import nn

class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

    def forward(self, images):
        if len(images) > 2:
            raise RuntimeError("no kernel for this\\nstack")
        return self.inside(images)

def make(shape, classes):
    return Broken()
"""


def test_a_model_that_does_not_run_is_named_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, sample_folder: Path
) -> None:
    (tmp_path / "broken_net.py").write_text(OFTEN_BROKEN)
    monkeypatch.syspath_prepend(tmp_path)

    assert call(*tiny_run(sample_folder, tmp_path / "out"), "--models", "broken_net:make") == 1

    said = capsys.readouterr().out
    assert said.index("broken_net:make fails on cpu: RuntimeError: no kernel for this\n") < said.index("preparing")
    assert "broken_net:make on cpu, seed 0: failed, RuntimeError: no kernel for this\n" in said


def test_devices_lists_the_cpu_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("devices") == 0

    assert re.match(r"cpu +\S", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--models", "vgg", r"Unknown model 'vgg'\. Expected one of fashioncnn, resnet18, dummy, "),
        (
            "--recipe",
            "long",
            r"Unknown recipe 'long'\. Expected one of study, swift, smoke or the path of a",
        ),
        ("--recipe", "gone.toml", r"Recipe file gone\.toml cannot be read \(No such file or directory\)\. Expected"),
        ("--devices", "tpu", r"Unknown device 'tpu'\. Expected cpu, cuda, cuda:N, mps, xpu"),
        (
            "--seeds",
            "many",
            r"Unknown seeds 'many'\. Expected a number such as 3, or a list such as 0,1,2\. Give --seeds one of",
        ),
        ("--margin", "wide", r"Invalid margin 'wide'\. Expected a number, 0 or more, such as 1\. Give --margin such"),
        ("--price", "-1", r"Invalid price '-1'\. Expected a number, 0 or more, such as 30\. Give --price such"),
        ("--recipe", "study", r"contains 400 training and 200 test images\. Expected 60,000 and 10,000\. "),
        (
            "--recipe",
            "smoke",
            r"train_images 6000 of 400 images\. Expected fewer than there are.*\. Change train_images",
        ),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    sample_folder: Path,
    option: str,
    value: str,
    message: str,
) -> None:
    arguments = [*tiny_run(sample_folder, tmp_path / "out"), option, value]

    assert call(*arguments) == 2

    assert re.fullmatch(rf"fashionbench: .*{message}.*\n", capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"benchmarks": []}', "null", "[" * 200_000])
def test_a_file_that_holds_no_records_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str
) -> None:
    (tmp_path / "x.json").write_text(content)

    assert call("report", tmp_path / "x.json", "--out", tmp_path / "out") == 2

    assert re.fullmatch(r"fashionbench: .*x\.json: .*\. Expected .*\. Measure again .*\n", capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_compare_tells_what_changed_and_its_own_status_tells_that_the_gate_broke(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for folder, gain in (("old", 0.015), ("new", -0.01)):
        for record in make_study(2, gain=gain):
            write_record(tmp_path / folder, record)
    runs = (tmp_path / "old", tmp_path / "new")

    assert call("compare", *runs) == 0
    told = capsys.readouterr().out
    assert call("compare", *runs, "--fail-if", "worse=0.5pp,verdict", "--out", tmp_path) == 3
    failed = capsys.readouterr().out
    assert call("compare", *runs, "--fail-if", "taller") == 2

    assert "The verdict was WORTH IT and is now NOT WORTH IT." in told
    assert "ResNet18 on cpu is less accurate by more than" in failed
    assert (tmp_path / "compare.html").stat().st_size > 10_000


def test_only_the_formats_asked_for_are_written(tmp_path: Path) -> None:
    write_record(tmp_path / "records", make_training(images=500))

    assert call("report", tmp_path / "records", "--out", tmp_path / "out", "--format", "md,json") == 0
    assert call("report", tmp_path / "records", "--out", tmp_path / "out", "--format", "docx") == 2

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.md", "verdict.json"]


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--recipe", "a\x1b[2J"),
        ("report", "b\x1b]0;c\x07"),
        ("data", "--dataset", "\x1b[31m"),
        ("models", "\x1b[1m"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_its_escape(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    status = call(*words)

    said = capsys.readouterr()
    assert status == 2
    assert "\x1b" not in said.out + said.err
    assert "\\x1b" in said.err
