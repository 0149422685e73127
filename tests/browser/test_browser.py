"""The page in a real browser: whole at every width, quiet, accessible, and deaf to what records try to say to it."""

import json
from collections.abc import Sequence
from pathlib import Path

import axe_core_python
import pytest
from selenium.webdriver import Chrome
from synthetic import CLASSES, make_inference, make_study, make_training

from fashionbench.record import InferenceRecord, TrainingRecord
from fashionbench.report.page import write_report

Records = Sequence[TrainingRecord | InferenceRecord]

AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
HOSTILE = (
    "<script>window.taken=1</script>",
    "<img src=x onerror=\"window.taken=1\">",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:window.taken=1",
    "</style></svg></title><script>window.taken=1</script>",
    "\u202e\u2066evil\u0007\u001b[31m",
    "&lt;b&gt; \" ' ` ]]> -->",
    "<iframe src=http://127.0.0.1:9/></iframe>",
)


def write(records: Records, folder: Path) -> Path:
    write_report(records, folder, formats=["html"])
    return folder / "report.html"


def load(browser: Chrome, page: Path, *, width: int = 1440, dark: bool = False) -> None:
    browser.get_log("browser")
    browser.get_log("performance")
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    browser.get(page.as_uri())


def requests(browser: Chrome) -> list[str]:
    """Return what the page asked for, besides itself and its own data."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [url for url in asked if not url.startswith(("data:", "file:"))]


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(make_study(3, gain=0.01, devices=("cpu", "cuda")), tmp_path_factory.mktemp("study"))


@pytest.mark.parametrize("width", [360, 800, 1440])
def test_nothing_overflows_the_page_and_nothing_is_said_or_asked_for(browser: Chrome, study: Path, width: int) -> None:
    load(browser, study, width=width)

    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []
    assert requests(browser) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(browser: Chrome, study: Path, dark: bool) -> None:  # noqa: FBT001 - a parameter
    load(browser, study, dark=dark)
    browser.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE})

    found = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")

    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found["violations"]] == []
    assert len(found["passes"]) > 15


def test_hostile_records_do_nothing_but_stand_there(browser: Chrome, tmp_path: Path) -> None:
    classes = (*HOSTILE, *CLASSES[len(HOSTILE) :])
    records: list[TrainingRecord | InferenceRecord] = []
    for place, text in enumerate(HOSTILE[:2]):
        training = make_training(f"model{place} {text}", classes=classes)
        environment = training.environment.model_copy(
            update={
                "cpu": HOSTILE[2],
                "system": HOSTILE[4],
                "command": HOSTILE[3],
                "versions": {HOSTILE[0]: HOSTILE[1]},
            }
        )
        info = training.data.model_copy(update={"name": HOSTILE[6], "release": HOSTILE[5], "source": HOSTILE[7]})
        records.append(
            training.model_copy(
                update={"environment": environment, "data": info, "device_name": HOSTILE[4], "device": HOSTILE[0][:200]}
            )
        )
    records.append(make_training("x", seed=5, status="failed", reason=HOSTILE[1]))
    records.append(make_inference())

    page = write(records, tmp_path)
    load(browser, page)

    assert browser.execute_script("return window.taken") is None
    assert browser.execute_script("return document.querySelectorAll('iframe, img[onerror], main script').length") == 0
    assert browser.execute_script("return [...document.querySelectorAll('a')].map(a => a.getAttribute('href')[0])") == (
        ["#"] * browser.execute_script("return document.querySelectorAll('a').length")
    )
    assert requests(browser) == []
    assert "{{ 7 * 7 }}" in browser.execute_script("return document.body.textContent")
