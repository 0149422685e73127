"""The benchmark is plain pytest-benchmark: its JSON, its comparison, its exit status, and the report besides."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fashionbench.records.reading import read_records

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment without what the pytest that runs these tests says of itself."""
    theirs = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {**theirs, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")), "COLUMNS": "200"}


WITHOUT_TORCH = """
import sys

class Refuse:
    def find_spec(name, *_):
        if name in ("torch", "torchvision"):
            raise ImportError(name)

sys.meta_path.insert(0, Refuse)
from fashionbench.cli import main

main()
"""


def call(environ: dict[str, str], *arguments: str | Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=folder,
        env={**environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def arguments_of(out: Path, *options: str) -> tuple[str, ...]:
    """Return pytest's arguments for a benchmark over the sample; of an option given twice the last counts."""
    tiny = ("--recipe", "tests/data/tiny.toml", "--data", "tests/data", "--devices", "cpu")
    return "bench/", f"--benchmark-json={out / 'benchmark.json'}", "--out", str(out), *tiny, *options


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Call the benchmark's pytest within this one, for what ends before a training; return exit status and output."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "200")

    def call_here(*arguments: str) -> tuple[int, str]:
        status = pytest.main([*arguments, "-p", "no:cacheprovider"])
        said = capsys.readouterr()
        return int(status), said.out + said.err

    return call_here


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(scope="session")
def measured(environ: dict[str, str], out: Path) -> subprocess.CompletedProcess[str]:
    """One whole benchmark over the sample: a network, a baseline, one device that is not there."""
    options = ("--models", "fashioncnn,dummy", "--devices", "cpu,cuda:7", "--seeds", "2")
    return call(environ, "pytest", *arguments_of(out, *options))


def test_the_benchmark_passes_and_says_where_its_report_lies(
    measured: subprocess.CompletedProcess[str], out: Path
) -> None:
    assert measured.returncode == 0, measured.stdout + measured.stderr
    for name in ("report.html", "report.md", "report.pdf", "verdict.json"):
        assert f"Wrote {out / name}" in measured.stdout
        assert (out / name).stat().st_size > 0
    assert "8 passed, 4 skipped, 4 deselected" in measured.stdout
    assert re.search(
        r"\[1/4\] fashioncnn on cpu, seed 0: 100\s%, epoch 1/1, loss \d\.\d{3}, validation", measured.stdout
    )


@pytest.mark.usefixtures("measured")
def test_there_is_one_record_for_each_case(out: Path) -> None:
    document = json.loads((out / "benchmark.json").read_bytes())

    records = read_records([out / "benchmark.json"])

    assert len(document["benchmarks"]) == 8
    assert [record.status for record in records].count("finished") == 8
    assert [record.device for record in records if record.status == "absent"] == ["cuda:7"] * 2
    assert len({record.model_dump_json() for record in records}) == 10
    assert {record.model_dump_json() for record in read_records([out / "records"])} == {
        record.model_dump_json() for record in records
    }
    assert "node" not in document["machine_info"]


@pytest.mark.usefixtures("measured")
def test_pytest_benchmarks_time_is_the_records_training_time(out: Path) -> None:
    document = json.loads((out / "benchmark.json").read_bytes())

    pairs = [
        (benchmark["stats"]["mean"], benchmark["extra_info"]["fashionbench"]["record"]["result"]["train_seconds"])
        for benchmark in document["benchmarks"]
        if benchmark["group"] == "training"
    ]

    assert len(pairs) == 4
    for timed, recorded in pairs:
        assert timed == pytest.approx(recorded, rel=0.01)


def test_executions_are_compared_only_on_request(
    measured: subprocess.CompletedProcess[str], bench: Callable[..., tuple[int, str]]
) -> None:
    _, said = bench("bench/", "--collect-only", "-q", "--devices", "cpu", "-m", "execution")

    assert "bench_execution" not in measured.stdout
    assert said.count("bench_execution[") == 4
    assert "bench_training" not in said


def test_the_plans_order_holds_under_a_plugin_that_shuffles(
    bench: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shuffling.py").write_text(
        "import pytest\n"
        "@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_collection_modifyitems(items):\n"
        "    print('shuffled')\n"
        "    items.reverse()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    asked = ("bench/", "--collect-only", "-q", "--devices", "cpu", "--seeds", "2")

    shuffled, usual = (bench(*asked, *more)[1] for more in (("-p", "shuffling"), ()))

    assert "shuffled" in shuffled
    cases = [[line for line in said.splitlines() if "::" in line] for said in (shuffled, usual)]
    assert len(cases[1]) > 4
    assert cases[0] == cases[1]


@pytest.mark.usefixtures("measured")
def test_pytest_benchmark_compares_the_json(environ: dict[str, str], out: Path) -> None:
    compared = call(environ, "pytest_benchmark", "compare", out / "benchmark.json", folder=out)

    assert compared.returncode == 0, compared.stderr
    assert "bench_training[fashioncnn-cpu-0]" in compared.stdout


@pytest.mark.usefixtures("measured")
def test_the_report_is_made_again_without_torch(environ: dict[str, str], out: Path, tmp_path: Path) -> None:
    (tmp_path / "without_torch.py").write_text(WITHOUT_TORCH)

    options = ("--out", tmp_path, "--format", "html,md")
    made = call(environ, "without_torch", "report", out / "benchmark.json", *options, folder=tmp_path)

    assert made.returncode == 0, made.stderr
    for name in ("report.html", "report.md"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--models", "vgg"), r"Unknown model 'vgg'\. Expected one of fashioncnn, resnet18, dummy, "),
        (("--data", "gone"), r"gone does not exist\. Expected a folder with"),
        (("--benchmark-histogram",), r"Pygal is not installed\."),
        (("-n", "2"), r"pytest-xdist \(-n\) disables timing; run bench/ without it"),
    ],
)
def test_a_wrong_option_ends_the_session_with_one_line(
    bench: Callable[..., tuple[int, str]], tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    status, said = bench(*arguments_of(tmp_path / "out", *options))

    assert status == 2
    assert len(re.findall(message, said)) == 1
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_a_run_is_compared_with_one_that_is_stored_anywhere(
    bench: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    (tmp_path / "0001_before.json").write_text('{"machine_info": {"fashionbench": {}}, "benchmarks": []}')
    options = ("--models", "dummy", "--benchmark-compare", f"--benchmark-storage={tmp_path}", "--collect-only", "-q")

    status, said = bench(*arguments_of(tmp_path / "out", *options))

    assert status == 0, said
    assert "Comparing against benchmarks from: 0001_before.json" in said


def test_a_plugin_that_is_switched_off_is_told_or_done_without(bench: Callable[..., tuple[int, str]]) -> None:
    without_benchmark, _ = bench("bench/", "--models", "dummy", "--devices", "cpu", "-p", "no:benchmark")
    collected, _ = bench("bench/", "--models", "dummy", "--devices", "cpu", "-p", "no:terminal", "--collect-only")

    assert without_benchmark == 2
    assert collected == 0


def test_each_budget_is_a_case_of_its_own(bench: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    options = ("--models", "dummy", "--budgets", "0.01,0.02", "--collect-only", "-q")

    status, said = bench(*arguments_of(tmp_path, *options))

    assert status == 0
    for budget in ("0.01", "0.02"):
        assert f"bench_training[dummy-cpu-0-{budget}min]" in said
    assert "Budget of 0.02\N{NO-BREAK SPACE}min on cpu: " in said
