"""Documents: every character is drawn or marked, names are never markup, colours are the pages', tables go on."""

import io
import math
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pypdf import PdfReader

from common.pdf import colours
from common.pdf.blocks import BODY, LONGEST, WIDTH, Cell, Column, Stat, paragraph, section, stats, table
from common.pdf.document import About, render
from common.pdf.letters import BOX, Weight, markup, runs, shortened, width

TOKENS = (Path(__file__).resolve().parents[2] / "static/css/tokens.css").read_text()
ABOUT = About("A title", "A subject", datetime(2026, 11, 24, 23, 5, tzinfo=ZoneInfo("Europe/Berlin")))
GEIST, DEJAVU = "geist-400", "dejavu-sans"
JAPANESE, CHINESE, KOREAN = "HeiseiKakuGo-W5", "STSong-Light", "HYGothic-Medium"


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("", []),
        ("Zażółć gęślą jaźń, é, −$1 × 2 ± 3 …", [(GEIST, "Zażółć gęślą jaźń, é, −$1 × 2 ± 3 …")]),
        ("  a\n\tb\u00a0c ", [(GEIST, "a b c")]),
        # An accent apart from its letter.
        ("e\u0301", [(GEIST, "é")]),
        ("Αθήνα", [(DEJAVU, "Αθήνα")]),
        ("Отдел 7", [(DEJAVU, "Отдел"), (GEIST, " 7")]),
        ("東京 lab", [(JAPANESE, "東京"), (GEIST, " lab")]),
        ("チーム〜", [(JAPANESE, "チーム〜")]),
        # A name keeps to one font where one has all of it.
        ("研发", [(CHINESE, "研发")]),
        ("臺灣囉", [(CHINESE, "臺灣囉")]),
        ("妳們", [(CHINESE, "妳們")]),
        ("ㄅ㊣", [(CHINESE, "ㄅ㊣")]),
        ("개발팀", [(KOREAN, "개발팀")]),
        # Backwards, a picture, a plane that no font here has, what only steers: a box for every one of them.
        ("עב a", [(DEJAVU, BOX * 2), (GEIST, " a")]),
        ("سلام", [(DEJAVU, BOX * 4)]),
        ("🚀a", [(DEJAVU, BOX), (GEIST, "a")]),
        ("\U00020000", [(DEJAVU, BOX)]),
        ("a\u202eb\x07", [(GEIST, "a"), (DEJAVU, BOX), (GEIST, "b"), (DEJAVU, BOX)]),
    ],
)
def test_every_character_is_drawn_or_marked(text: str, drawn: list[tuple[str, str]]) -> None:
    assert runs(text) == drawn


def test_strong_text_has_strong_letters_in_every_script() -> None:
    assert [font for font, _ in runs("aЖ", Weight.STRONG)] == ["geist-600", "dejavu-sans-bold"]
    assert width("aЖ", 10, Weight.STRONG) > width("aЖ", 10)


def test_figures_are_of_one_width() -> None:
    assert {round(width(digit, 10), 3) for digit in "0123456789"} == {6.0}


@pytest.mark.parametrize(
    "name", ["<b>&</b>", "</para>", '<font size="90">x', "&lt;", "&#0;", "<!--", "a<br/>b", "%s {0}"]
)
def test_names_are_never_markup(name: str) -> None:
    assert read(render([paragraph(name)], ABOUT)).count(name) == 1
    assert "<b>" not in markup("<b>")


def test_a_text_too_long_for_its_line_says_so() -> None:
    assert shortened("short", 8, 100) == "short"
    cut = shortened("x" * 500, 8, 100)
    assert cut.endswith("x…")
    assert 90 < width(cut, 8) <= 100
    assert shortened("anything", 8, 0) == "…"


def read(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


def rows(number: int) -> list[list[Cell]]:
    return [[Cell(f"row {each}", note="noted"), Cell("$1.00")] for each in range(number)]


def test_a_long_table_goes_on_under_its_header_and_pages_are_numbered() -> None:
    columns = [Column("Name", WIDTH - 80), Column("Amount", 80, amounts=True)]
    totals = [[Cell("Total", strong=True), Cell("$150.00", strong=True)]]
    pdf = render(section("Rows", "All.", [table(columns, rows(150) + totals, totals=1)], rows=151), ABOUT)
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages]
    assert len(pages) > 3
    assert all("Amount" in page for page in pages)
    assert [f"Page {number} of {len(pages)}" in page for number, page in enumerate(pages, 1)] == [True] * len(pages)
    assert ["A title" in page for page in pages] == [False] + [True] * (len(pages) - 1)
    assert all("Made 24 Nov 2026, 23:05 CET (Europe/Berlin)" in page for page in pages)
    found = re.findall(r"row \d+", "\n".join(pages))
    assert found == [f"row {each}" for each in range(150)]
    assert "row 149" in pages[-1]


@pytest.mark.parametrize("length", [100, 399, 400, 401, 20_000])
def test_a_name_without_spaces_stays_in_its_column(length: int) -> None:
    columns = [Column("Name", 100), Column("Amount", 80, amounts=True)]
    found = read(render([table(columns, [[Cell("x" * length), Cell("$1.00")]])], ABOUT))
    lines = re.findall("x+", found)
    assert sum(map(len, lines)) == (length if length <= LONGEST else LONGEST - 1)
    assert ("…" in found) == (length > LONGEST)
    assert max(width(line, BODY) for line in lines) <= 100


@pytest.mark.parametrize("amount", ["+$0.0000000050", "−$999,999,999,999.99"])
def test_an_amount_is_never_broken(amount: str) -> None:
    columns = [Column("Amount", 60, amounts=True)] * 4
    blocks = [stats([Stat("Spend", amount, "vs before")] * 4), table(columns, [[Cell(amount)] * 4])]
    assert read(render(blocks, ABOUT)).count(amount) == 8


def test_threads_make_documents_side_by_side() -> None:
    alone = render([paragraph("Side by side, Ж, 東")], ABOUT)
    usual = sys.getswitchinterval()
    # Threads take turns as often as they can.
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda _: render([paragraph("Side by side, Ж, 東")], ABOUT), range(32)))
    finally:
        sys.setswitchinterval(usual)
    assert set(made) == {alone}


def test_the_same_makes_the_same_bytes_and_the_file_says_what_it_is() -> None:
    first, again = (render([paragraph("Same, Ж, 東")], ABOUT) for _ in range(2))
    assert first == again
    about = PdfReader(io.BytesIO(first)).metadata
    assert about is not None
    assert (about.title, about.subject, about.author) == ("A title", "A subject", "CostHub")
    assert about.creation_date == ABOUT.made_at


@pytest.mark.parametrize(
    "name", [name for name in vars(colours) if name.isupper() and name not in {"ON_INK", "MARK_TICK"}]
)
def test_colours_are_the_pages(name: str) -> None:
    found = re.search(rf"--{name.lower().replace('_', '-')}: light-dark\(oklch\(([\d.]+) ([\d.]+) ([\d.]+)\)", TOKENS)
    assert found is not None
    assert getattr(colours, name).hexval() == f"0x{srgb(*map(float, found.groups()))}"


def srgb(lightness: float, chroma: float, hue: float) -> str:
    """Six hexadecimal digits of an oklch colour, as CSS Color 4 converts it."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    l, m, s = (  # noqa: E741
        (lightness + x * a + y * b) ** 3
        for x, y in ((0.3963377774, 0.2158037573), (-0.1055613458, -0.0638541728), (-0.0894841775, -1.291485548))
    )
    linear = (
        4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
        -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
        -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
    )
    curved = (12.92 * each if each <= 0.0031308 else 1.055 * each ** (1 / 2.4) - 0.055 for each in linear)
    return "".join(f"{round(255 * min(1, max(0, each))):02x}" for each in curved)
