"""A real browser, Debian's Chromium, and a page for it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from synthetic import make_study

from fashionbench.report.page import write_report


@pytest.fixture(scope="session")
def browser() -> Iterator[webdriver.Chrome]:
    """Return a headless Chromium that records its console and its requests."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no Chromium here: apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--force-prefers-reduced-motion"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options=options, service=Service(driver)) as chrome:
        chrome.set_script_timeout(100)  # axe takes some 20 s where nothing else runs
        yield chrome


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a study on two devices."""
    folder = tmp_path_factory.mktemp("study")
    write_report(make_study(3, gain=0.01, devices=("cpu", "cuda")), folder, formats=["html"])
    return folder / "report.html"
