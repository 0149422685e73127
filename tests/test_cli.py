"""The command line measures, reports and refuses: one clear line, exit status 2, nothing half-written."""

import gzip
import hashlib
import json
import re
import shutil
import struct
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from synthetic import make_study, make_training

from fashionbench import cli
from fashionbench.data.dataset import Dataset
from fashionbench.data.fashion_mnist import OLDER_LABELS
from fashionbench.data.readers import CSV_HEADER, CSV_NAMES, IDX_NAMES, encode_idx
from fashionbench.records.record import TrainingRecord
from fashionbench.records.store import write_record
from fashionbench.report import page as page_module
from fashionbench.running import engine as engine_module
from fashionbench.running import preflight as preflight_module
from fashionbench.running import session as run_module
from fashionbench.running.process import Job
from fashionbench.running.session import Terminated
from fashionbench.training.measure import record_failure

WRITTEN = ["report.html", "report.md", "report.pdf", "verdict.json"]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("FASHIONBENCH_DATA", raising=False)
    monkeypatch.setattr(preflight_module, "SECONDS_PER_ESTIMATE", 0.0)
    monkeypatch.setattr(page_module, "render_pdf", lambda *_: b"%PDF")  # some seconds each; tests/bench makes real ones


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """Run the command line in this process and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["fashionbench", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


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


def test_a_run_measures_and_reports_and_its_records_report_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, sample_folder: Path
) -> None:
    first, again = tmp_path / "first", tmp_path / "again"

    assert call(monkeypatch, *tiny_run(sample_folder, first), "--models", "fashioncnn,resnet18", "--margin", "2") == 0
    said = capsys.readouterr().out
    assert call(monkeypatch, "report", first / "records", "--out", again, "--margin", "2") == 0

    assert sorted(path.name for path in first.iterdir()) == ["records", *WRITTEN]
    assert all(f"Wrote {first / name}" in said for name in WRITTEN)
    assert "Device: cpu, " in said
    assert "Expected: about " in said
    assert json.loads((first / "verdict.json").read_text())["thresholds"]["margin"] == 0.02
    for name in ("report.html", "report.md", "verdict.json"):
        assert (again / name).read_bytes() == (first / name).read_bytes()


def refuse(*_: object) -> None:
    raise RuntimeError("no such operation\nand more")


def test_a_plain_run_in_another_precision_says_so_on_every_label(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, sample_folder: Path
) -> None:
    monkeypatch.setattr(run_module, "measure_peak", refuse)  # by name, so that its process finds it too

    status = call(monkeypatch, *tiny_run(sample_folder, tmp_path), "--execution", "plain", "--precision", "bf16")

    page = (tmp_path / "report.html").read_text()
    assert status == 0
    assert capsys.readouterr().out.count("The peak of cpu was not measured: no such operation\n") == 1
    assert "cpu plain bf16" in page
    assert "bf16 arithmetic, plain execution" in page
    assert "Share of the machine" not in page


def test_devices_tell_their_peak_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "devices", "--peak") == 0

    assert re.search(r"fp32: products [\d,]+ GFLOP/s, convolutions [\d,]+ GFLOP/s", capsys.readouterr().out)


def fail_in_process(job: Job, dataset: Dataset, **_: object) -> TrainingRecord:
    return record_failure(job.case, dataset, job.provenance, "the training loss became nan")


def test_a_failed_case_is_reported_and_told_by_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, sample_folder: Path
) -> None:
    monkeypatch.setattr(engine_module, "measure_in_process", fail_in_process)

    assert call(monkeypatch, *tiny_run(sample_folder, tmp_path / "out")) == 1

    assert "fashioncnn-cpu-0: failed, the training loss became nan" in capsys.readouterr().out
    assert "the training loss became nan" in (tmp_path / "out" / "report.html").read_text()


def test_a_second_run_measures_only_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, sample_folder: Path
) -> None:
    assert call(monkeypatch, *tiny_run(sample_folder, tmp_path)) == 0
    first = capsys.readouterr().out
    kept = {path: path.read_bytes() for path in (tmp_path / "records").glob("training-*")}

    monkeypatch.setattr(engine_module, "measure_in_process", fail_in_process)
    assert call(monkeypatch, *tiny_run(sample_folder, tmp_path), "--seeds", "2") == 1
    second = capsys.readouterr().out
    assert call(monkeypatch, *tiny_run(sample_folder, tmp_path), "--fresh") == 1

    assert "kept from" not in first
    assert "Kept: 1 of 2 trainings of earlier runs" in second
    assert "fashioncnn-cpu-0: " in second
    assert "(kept from an earlier run)" in second
    assert "fashioncnn-cpu-1: failed" in second
    assert len(kept) == 1
    for path, content in kept.items():  # even --fresh puts no failure in a result's place
        assert path.read_bytes() == content


@pytest.mark.parametrize(("interrupt", "status"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_an_interrupt_tells_what_is_kept_and_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    sample_folder: Path,
    interrupt: type[KeyboardInterrupt],
    status: int,
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise interrupt

    monkeypatch.setattr(engine_module, "measure_in_process", stop)

    assert call(monkeypatch, *tiny_run(sample_folder, tmp_path), "--fresh") == status

    said = capsys.readouterr().out
    assert f"Interrupted. Finished trainings: 0, kept in {tmp_path / 'records'}\n" in said
    assert re.search(r"Resume with: fashionbench run .*\n", said)
    assert "--fresh" not in said.partition("Resume with")[2]
    assert not (tmp_path / ".lock").exists()


def test_a_self_check_trains_the_first_case_once_more_and_reports_the_noise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, sample_folder: Path
) -> None:
    assert call(monkeypatch, *tiny_run(sample_folder, tmp_path), "--seeds", "2", "--self-check") == 0

    assert "[2/3] fashioncnn on cpu, seed 0" in capsys.readouterr().out
    checks = [
        json.loads(path.read_bytes())["record"]["result"]["self_check"]
        for path in sorted((tmp_path / "records").glob("training-fashioncnn-cpu-seed?-*.json"))
    ]
    assert (checks[0]["differing_losses"], checks[0]["differing_predictions"]) == (0, 0)
    assert checks[0]["train_seconds"] > 0
    assert checks[1] is None
    assert "0 of 3 training losses and 0 of 200 predictions differ" in (tmp_path / "report.html").read_text()


def test_a_device_that_is_absent_is_recorded_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, sample_folder: Path
) -> None:
    arguments = [*tiny_run(sample_folder, tmp_path), "--devices", "cpu,cuda:7"]

    assert call(monkeypatch, *arguments) == 0

    assert "Device: cuda:7, absent: not found by torch" in capsys.readouterr().out
    records = sorted((tmp_path / "records").iterdir())
    assert [
        json.loads(path.read_bytes())["record"]["status"] for path in records if path.name.startswith("training")
    ] == [
        "finished",
        "absent",
    ]


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

    assert call(monkeypatch, *tiny_run(sample_folder, tmp_path / "out"), "--models", "broken_net:make") == 1

    said = capsys.readouterr().out
    assert said.index("broken_net:make fails on cpu: no kernel for this\n") < said.index("preparing")
    assert "broken_net:make-cpu-0: failed, no kernel for this\n" in said


def test_data_says_what_was_found_with_its_digests(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    for name, count, first_labels in zip(
        IDX_NAMES, (60_000, 60_000, 10_000, 10_000), (b"", OLDER_LABELS[0], b"", OLDER_LABELS[1]), strict=True
    ):
        shape = (count, 28, 28) if "images" in name else (count,)
        array = np.zeros(shape, np.uint8)
        array.reshape(-1)[: len(first_labels)] = [*first_labels]
        (folder / name).write_bytes(encode_idx(array))
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in IDX_NAMES}

    assert call(monkeypatch, "data", "--data", folder) == 0

    said = capsys.readouterr().out
    assert (
        "Fashion-MNIST, older draw (26 Aug 2017), from the folder given with --data\n"
        "60,000 training and 10,000 test images\n" in said
    )
    assert all(f"{name}  sha256 {digest}\n" in said for name, digest in digests.items())


def test_data_is_no_sample(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, sample_folder: Path
) -> None:
    assert call(monkeypatch, "data", "--data", sample_folder) == 2

    assert re.fullmatch(
        r"fashionbench: .*data contains 400 training and 200 test images\. Expected 60,000 and 10,000\. .*\n",
        capsys.readouterr().err,
    )
    assert not (tmp_path / "cache").exists()


def test_devices_lists_the_cpu_first(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "devices") == 0

    assert re.match(r"cpu +\S", capsys.readouterr().out)


def write_csv(folder: Path, *, header: str = CSV_HEADER, label: int = 9) -> None:
    for name in CSV_NAMES:
        (folder / name).write_text(f"{header}\n" + "\n".join(f"{label},{','.join('0' * 784)}" for _ in range(20)))


def cut_short(folder: Path) -> None:
    whole = gzip.compress((folder / IDX_NAMES[0]).read_bytes())
    (folder / IDX_NAMES[0]).unlink()
    (folder / f"{IDX_NAMES[0]}.gz").write_bytes(whole[: len(whole) // 2])


def put_mnist(folder: Path) -> None:
    """Write what has MNIST's names, sizes and shapes and is not Fashion-MNIST."""
    for name, count in zip(IDX_NAMES, (60_000, 60_000, 10_000, 10_000), strict=True):
        images = "images" in name
        header = struct.pack(">I", 0x803 if images else 0x801) + struct.pack(">I", count)
        (folder / name).write_bytes(
            header + (struct.pack(">II", 28, 28) + bytes(784 * count) if images else bytes(count))
        )


def put_label_ten(folder: Path) -> None:
    path = folder / IDX_NAMES[3]
    path.write_bytes(path.read_bytes()[:-1] + bytes([10]))


def keep_csv(folder: Path, **how: object) -> None:
    for name in IDX_NAMES:
        (folder / name).unlink()
    write_csv(folder, **how)  # type: ignore[arg-type]  # a test's shorthand


def mix(folder: Path) -> None:
    write_csv(folder)
    (folder / IDX_NAMES[0]).unlink()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, r"data does not exist\. Expected a folder with .*\. Check the path"),
        (cut_short, r"train-images-idx3-ubyte\.gz .*\. Expected .*\. Download"),
        (put_mnist, r"has SHA-256 .*\. Expected .*another data set \(MNIST has the same names.*\. Download"),
        (put_label_ten, r"test label 200 is 10\. Expected 0 to 9\. Download"),
        (lambda folder: keep_csv(folder, header=CSV_HEADER.replace(",pixel784", "")), r"Expected .*pixel784.*\. "),
        (lambda folder: keep_csv(folder, label=10), r"10.*\. Expected .*\. "),
        (
            mix,
            r"3 of the 4 IDX files and 2 of the 2 CSV",
        ),
    ],
    ids=["nowhere", "truncated gz", "MNIST's files", "label 10", "CSV column missing", "CSV label 10", "IDX with CSV"],
)
def test_wrong_data_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    folder: Path,
    sample_folder: Path,
    spoil: object,
    message: str,
) -> None:
    assert callable(spoil)
    spoil(folder)
    arguments = [*tiny_run(sample_folder, tmp_path / "out"), "--data", folder]

    assert call(monkeypatch, *arguments) == 2

    said = capsys.readouterr()
    assert re.fullmatch(rf"fashionbench: .*{message}.*\n", said.err)
    assert "Traceback" not in said.out
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "cache").exists()


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
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    sample_folder: Path,
    option: str,
    value: str,
    message: str,
) -> None:
    arguments = [*tiny_run(sample_folder, tmp_path / "out"), option, value]

    assert call(monkeypatch, *arguments) == 2

    assert re.fullmatch(rf"fashionbench: .*{message}.*\n", capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"benchmarks": []}', "null", "[" * 200_000])
def test_a_file_that_holds_no_records_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str
) -> None:
    (tmp_path / "x.json").write_text(content)

    assert call(monkeypatch, "report", tmp_path / "x.json", "--out", tmp_path / "out") == 2

    assert re.fullmatch(r"fashionbench: .*x\.json: .*\. Expected .*\. Measure again .*\n", capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_compare_tells_what_changed_and_its_own_status_tells_that_the_gate_broke(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for folder, gain in (("old", 0.015), ("new", -0.01)):
        for record in make_study(2, gain=gain):
            write_record(tmp_path / folder, record)
    runs = (tmp_path / "old", tmp_path / "new")

    assert call(monkeypatch, "compare", *runs) == 0
    told = capsys.readouterr().out
    assert call(monkeypatch, "compare", *runs, "--fail-if", "worse=0.5pp,verdict", "--out", tmp_path) == 3
    failed = capsys.readouterr().out
    assert call(monkeypatch, "compare", *runs, "--fail-if", "taller") == 2

    assert "The verdict was WORTH IT and is now NOT WORTH IT." in told
    assert "ResNet18 on cpu is less accurate by more than" in failed
    assert (tmp_path / "compare.html").stat().st_size > 10_000


def test_only_the_formats_asked_for_are_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_record(tmp_path / "records", make_training(images=500))

    assert call(monkeypatch, "report", tmp_path / "records", "--out", tmp_path / "out", "--format", "md,json") == 0
    assert call(monkeypatch, "report", tmp_path / "records", "--out", tmp_path / "out", "--format", "docx") == 2

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.md", "verdict.json"]
