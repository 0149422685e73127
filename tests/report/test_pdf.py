"""The report as a PDF: its tags, sheets, fonts and bookmarks."""

import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Literal

import pytest
from pypdf import PageObject, PdfReader
from pypdf.generic import DictionaryObject
from synthetic import make_inference
from verdicts import smoke, view_of

from fashionbench import read_records
from fashionbench.report.page import Report, write_report
from fashionbench.report.render import render_html, render_pdf
from fashionbench.report.view import Gallery, Section, Thumbnail, View


def test_the_pdf_is_tagged_titled_and_numbered(study_report: Report) -> None:
    pdf = PdfReader(study_report.paths[1])

    assert pdf.metadata is not None
    assert pdf.metadata.title == "Is ResNet18 worth it over FashionCNN?"
    root = pdf.root_object
    assert (str(root["/Lang"]), str(root["/MarkInfo"])) == ("en", "{'/Marked': True}")
    assert 5 <= len(pdf.pages) <= 10
    for number in (1, 2, len(pdf.pages)):  # reading a sheet takes a second
        assert f"page {number} of {len(pdf.pages)}" in pdf.pages[number - 1].extract_text()
    assert tuple(round(float(side)) for side in pdf.pages[0].mediabox[2:]) == (595, 842)


def test_the_pdf_has_a_bookmark_for_every_section(study_report: Report) -> None:
    pdf = PdfReader(study_report.paths[1])

    titles = re.findall(r"'/Title': '([^']+)'", str(pdf.outline))

    assert titles[0] == "Is ResNet18 worth it over FashionCNN?"
    assert {"Accuracy and training cost", "Scores by class", "Glossary"} <= set(titles)


def test_the_pdf_embeds_its_fonts(study_report: Report) -> None:
    pdf = PdfReader(study_report.paths[1])

    objects = [str(pdf.get_object(number)) for number in range(1, len(pdf.xref[0]))]

    described = [each for each in objects if "'/FontDescriptor'" in each and "'/Type': '/FontDescriptor'" in each]
    assert described
    assert all("'/FontFile" in each for each in described)


def test_an_installation_check_is_labelled_so_on_every_sheet(tmp_path: Path) -> None:
    report = write_report(smoke(), tmp_path, formats=("md",))
    view = view_of(smoke(), "clock", "method", "environment", "data", "glossary")

    sheets = PdfReader(BytesIO(render_pdf(view))).pages
    assert len(sheets) > 1
    assert all("Installation check: no result" in sheet.extract_text() for sheet in sheets)
    assert "Installation check: no result" in re.sub("<[^>]*>", "", render_html(view))
    assert "**Installation check: no result**" in (tmp_path / "report.md").read_text()
    assert report.conclusion.startswith("Installation check: no result. ")


def test_the_pdf_loads_nothing_from_outside_the_page() -> None:
    thumbnail = Thumbnail(source="file:///etc/hostname", description="x", lines=())
    section = Section(key="x", title="x", blocks=(Gallery(title="x", note="", rows=(("x", (thumbnail,)),)),))
    view = replace(view_of([make_inference()]), sections=(section,))

    with pytest.raises(BaseException, match=r'Error fetching "file:///etc/hostname"'):
        render_pdf(view)


@pytest.fixture(scope="module")
def reference_view() -> View:
    return view_of(read_records(Path(__file__).parents[2] / "reports" / "reference" / "benchmark.json"))


def find_last_line(sheet: PageObject) -> float:
    """Return where the last line of a sheet's text is, below its head and above its foot, as a share of the sheet."""
    drawn = sheet.get_contents()
    assert drawn is not None
    lines = {float(each) for each in re.findall(rb"BT\n1 0 0 -1 [\d.]+ ([\d.]+) Tm", drawn.get_data())}
    return 0.75 * sorted(lines)[-2] / float(sheet.mediabox[3])  # WeasyPrint draws CSS pixels


@pytest.mark.parametrize(("paper", "size"), [("A4", (595, 842)), ("Letter", (612, 792))])
def test_the_reference_report_has_at_most_eight_sheets_all_but_the_last_at_least_four_fifths_full(
    reference_view: View, paper: Literal["A4", "Letter"], size: tuple[int, int]
) -> None:
    sheets = PdfReader(BytesIO(render_pdf(reference_view, paper=paper))).pages

    assert len(sheets) <= 8
    assert tuple(round(float(side)) for side in sheets[0].mediabox[2:]) == size
    margin = 0.045
    full = [(find_last_line(each) - margin) / (1 - 2 * margin) for each in sheets]
    assert all(each <= 1 for each in full)
    assert [round(each, 2) for each in full[:-1] if each < 0.8] == []


def test_header_cells_have_a_scope_and_pictures_a_text_in_the_pdf(study_report: Report) -> None:
    pdf = PdfReader(study_report.paths[1])

    elements = [
        each
        for number in range(1, int(str(pdf.trailer["/Size"])))
        if isinstance(each := pdf.get_object(number), DictionaryObject) and "/S" in each
    ]

    scopes = [re.search(r"'/Scope': '/(\w+)'", str(each["/A"])) for each in elements if str(each["/S"]) == "/TH"]
    assert {each[1] if each else None for each in scopes} == {"Column", "Row"}
    pictures = [each for each in elements if str(each["/S"]) == "/Figure"]
    assert len(pictures) > 10
    assert all(each.get("/Alt") for each in pictures)
