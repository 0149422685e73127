"""The report that several test modules read, written once per session: its PDF takes most of the time."""

import pytest
from synthetic import make_study

from fashionbench.report.page import Report, write_report


@pytest.fixture(scope="session")
def study_report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of both study models with three seeds, in all formats."""
    return write_report(make_study(3), tmp_path_factory.mktemp("report"))
