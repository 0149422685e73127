"""The public functions work as docs/python.md shows, and importing the package loads nothing heavy."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import fashionbench

ROOT = Path(__file__).parents[1]
HEAVY = ("matplotlib", "numpy", "pandas", "pydantic", "scipy", "torch")


def loaded_after(code: str) -> set[str]:
    """Return which heavy libraries a fresh Python has loaded after some code."""
    script = f"import sys\n{code}\nprint(*(name for name in {HEAVY} if name in sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    return set(ended.stdout.splitlines()[-1].split())


def test_the_docs_example_runs_on_the_reference_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(ROOT)

    exec(code, {})  # noqa: S102 - our own page

    state, device = capsys.readouterr().out.splitlines()
    assert state == "NOT WORTH IT"
    assert re.fullmatch(r"cpu -0\.000633\d* -0\.003797\d* 0\.002530\d*", device)


def test_importing_the_package_loads_no_library() -> None:
    assert loaded_after("import fashionbench") == set()


def test_judging_loads_neither_torch_nor_pandas_nor_matplotlib() -> None:
    code = "from fashionbench import decide, read_records; decide(read_records('reports/reference/benchmark.json'))"

    assert loaded_after(code) == {"numpy", "pydantic", "scipy"}


def test_public_names_are_listed_and_any_other_is_an_attribute_error() -> None:
    assert {"Verdict", "decide", "read_records"} <= set(dir(fashionbench))
    with pytest.raises(AttributeError, match="module 'fashionbench' has no attribute 'nothing'"):
        _ = fashionbench.nothing
