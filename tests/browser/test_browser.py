"""The page in a real browser: it fits every width, logs nothing, is accessible, and runs nothing from records."""

import json
from collections.abc import Sequence
from pathlib import Path

import axe_core_python
import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from synthetic import CLASSES, make_inference, make_training

from fashionbench.errors import visible
from fashionbench.records.record import InferenceRecord, TrainingRecord
from fashionbench.report.page import write_report

Records = Sequence[TrainingRecord | InferenceRecord]

AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
HOSTILE = (
    "<script>window.taken=1</script>",
    '<img src=x onerror="window.taken=1">',
    "{{ 7 * 7 }}{% raw %}",
    "javascript:window.taken=1",
    "</style></svg></title><script>window.taken=1</script>",
    "\u202e\u2066evil\u0007\u001b[31m",
    "&lt;b&gt; \" ' ` ]]> -->",
    "<iframe src=http://127.0.0.1:9/></iframe>",
)


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
    """Return the requests of the page, except those for itself and its own data."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [url for url in asked if not url.startswith(("data:", "file:"))]


@pytest.mark.parametrize("width", [360, 800, 1440])
def test_nothing_overflows_and_nothing_is_logged_or_requested(browser: Chrome, study: Path, width: int) -> None:
    load(browser, study, width=width)

    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []
    assert requests(browser) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(browser: Chrome, study: Path, dark: bool) -> None:
    load(browser, study, dark=dark)
    browser.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE})
    rules = {"runOnly": ["color-contrast"]} if dark else {}  # all else is the same in both

    found = browser.execute_async_script("axe.run(arguments[0]).then(arguments[1])", rules)

    assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found["violations"]] == []
    assert len(found["passes"]) > (0 if dark else 15)


def test_the_filters_show_one_device_seed_or_class(browser: Chrome, study: Path) -> None:
    load(browser, study)
    for name, value in (("device", "cuda"), ("seed", "1"), ("class", "Shirt")):
        Select(browser.find_element(By.NAME, name)).select_by_value(value)

    shown = browser.execute_script(
        "return [...document.querySelectorAll('[data-device]')].map(e => [e.dataset.device, e.hidden])"
    )
    seeds = browser.execute_script(
        "return [...document.querySelectorAll('[data-seed]:not(.dim)')].map(e => e.dataset.seed)"
    )
    rows = browser.execute_script(
        "return [...document.querySelectorAll('tbody tr')].filter(r => page.classes.includes(r.cells[0].textContent))"
        ".map(r => [r.cells[0].textContent, r.classList.contains('dim')])"
    )
    browser.find_element(By.CSS_SELECTOR, "#explore [type=reset]").click()
    after = browser.execute_async_script("setTimeout(() => arguments[0](document.querySelectorAll('.dim').length), 50)")

    assert {device for device, hidden in shown if not hidden} == {"cuda"}
    assert set(seeds) == {"1"}
    assert {name for name, dim in rows if not dim} == {"Shirt"}
    assert len(rows) > 10
    assert after == 0


def test_tables_are_sorted_by_number_in_both_directions(browser: Chrome, study: Path) -> None:
    load(browser, study)
    header = browser.find_element(By.XPATH, "//caption[starts-with(., 'Precision, recall')]/..//thead/tr[last()]/th[2]")

    def column() -> list[float]:
        found: list[float] = browser.execute_script(
            "return [...arguments[0].closest('table').tBodies[0].rows].map(r => Number(r.cells[1].textContent))", header
        )
        return found

    header.find_element(By.TAG_NAME, "button").click()
    rising = column()
    header.find_element(By.TAG_NAME, "button").click()

    assert len(rising) == 10
    assert rising == sorted(rising)
    assert column() == rising[::-1]
    assert header.get_attribute("aria-sort") == "descending"


def test_markers_and_curves_have_tooltips(browser: Chrome, study: Path) -> None:
    load(browser, study)
    shown = browser.execute_script(
        """
        const shown = [];
        for (const mark of document.querySelectorAll("[data-tooltip] use, [data-tooltip] path")) {
          if (mark.closest("defs")) continue;
          mark.dispatchEvent(new PointerEvent("pointermove", {bubbles: true, clientX: 9, clientY: 9}));
          shown.push(document.getElementById("tooltip").textContent);
        }
        return shown;
        """
    )

    assert "FashionCNN, seed 0: 91." in " ".join(shown)
    assert any(each.startswith("ResNet18, epoch 10: ") for each in shown)
    assert len(set(shown)) > 40


def test_the_keyboard_reaches_every_control(browser: Chrome, study: Path) -> None:
    load(browser, study)
    controls = browser.execute_script(
        "return document.querySelectorAll('a, button, input, select, [tabindex=\"0\"]').length"
    )

    reached = set()
    for _ in range(controls + 5):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        reached.add(
            browser.execute_script("return [...document.querySelectorAll('*')].indexOf(document.activeElement)")
        )

    missed = browser.execute_script(
        "const every = [...document.querySelectorAll('*')];"
        "return [...document.querySelectorAll('a, button, input, select, [tabindex=\"0\"]')]"
        ".filter(e => !arguments[0].includes(every.indexOf(e))).map(e => e.outerHTML.slice(0, 80))",
        [*reached],
    )
    assert missed == []


def test_without_scripts_the_page_is_complete(browser: Chrome, study: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        load(browser, study)
        seen = browser.find_element(By.TAG_NAME, "body").text
        form = browser.find_element(By.ID, "explore").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})

    assert "What would change the verdict" in seen
    assert "Confusion matrices" in seen
    assert not form


def test_text_of_hostile_records_is_only_shown(browser: Chrome, tmp_path: Path) -> None:
    classes = (*map(visible, HOSTILE), *CLASSES[len(HOSTILE) :])
    records: list[TrainingRecord | InferenceRecord] = []
    for number, text in enumerate(HOSTILE[:2]):
        training = make_training(f"model{number} {text}", classes=classes)
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

    write_report(records, tmp_path, formats=["html"])
    page = tmp_path / "report.html"
    load(browser, page)

    assert browser.execute_script("return window.taken") is None
    assert browser.execute_script("return document.querySelectorAll('iframe, img[onerror], main script').length") == 0
    assert browser.execute_script("return [...document.querySelectorAll('a')].map(a => a.getAttribute('href')[0])") == (
        ["#"] * browser.execute_script("return document.querySelectorAll('a').length")
    )
    assert requests(browser) == []
    assert "{{ 7 * 7 }}" in browser.execute_script("return document.body.textContent")
