"""Letters of class names that no font of this machine has are named, and no others."""

from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from matplotlib import font_manager

from fashionbench.report.figures.letters import find_font, find_missing_letters
from fashionbench.report.figures.style import templates_folder


@pytest.fixture
def hangul(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a font of two letters, and a file that is no font."""
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "one", "two"])
    builder.setupCharacterMap({ord("한"): "one", ord("국"): "two"})
    builder.font.save(tmp_path / "hangul.ttf")
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [*map(str, tmp_path.glob("*.ttf"))])


@pytest.mark.usefixtures("hangul")
def test_letters_that_no_font_has_are_missing() -> None:
    assert find_missing_letters(["dog", "café", "한국"]) == ""
    assert find_missing_letters(["dog", "한국어", "👩\u200d🚀", "cafe\u0301"]) == "어👩🚀"


@pytest.mark.usefixtures("hangul")
def test_a_text_gets_the_first_font_that_has_all_its_letters(tmp_path: Path) -> None:
    page = min((templates_folder() / "fonts").glob("*.ttf"))

    assert find_font("café") == page
    assert find_font("한국") == tmp_path / "hangul.ttf"
    assert find_font("한국어") == page  # no font has all three
