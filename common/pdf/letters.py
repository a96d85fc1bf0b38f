"""Which font has which letter. Text may be any Unicode: every character is drawn, or a box stands where it would be.

Geist, the typeface of the pages, and DejaVu Sans are embedded, as many of their letters as a document has. Chinese,
Japanese and Korean are named and not embedded (such fonts have megabytes): what shows the document has them, and looks
them up by the character set they belong to. There is no layout for scripts that run from right to left, which would
stand backwards, nor pictures for emoji, nor signs for controls: boxes.
"""

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import Any
from xml.sax.saxutils import escape

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

BOX = "□"
TYPEFACES = Path(__file__).with_name("typefaces")
# The first plane is all that the fonts which are not embedded can be asked for.
_LAST_OF_PLANE = 0xFFFF
_RIGHT_TO_LEFT = {"R", "AL"}


class Weight(StrEnum):
    REGULAR = "regular"
    STRONG = "strong"


@dataclass(frozen=True, slots=True)
class _EastAsian:
    """A font by name, and the encodings whose characters it has."""

    font: str
    encodings: tuple[str, ...]

    def has(self, letter: str) -> bool:
        return ord(letter) <= _LAST_OF_PLANE and any(_encodes(encoding, letter) for encoding in self.encodings)


_REGISTERING = Lock()
_FILES = {
    Weight.REGULAR: ("geist-400", "dejavu-sans"),
    Weight.STRONG: ("geist-600", "dejavu-sans-bold"),
}
_EAST_ASIAN = (
    _EastAsian("HeiseiKakuGo-W5", ("cp932", "shift_jis")),
    # Simplified and traditional.
    _EastAsian("STSong-Light", ("gbk",)),
    _EastAsian("HYGothic-Medium", ("cp949",)),
)


def _encodes(encoding: str, letter: str) -> bool:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


@cache
def _embedded(weight: Weight) -> tuple[tuple[str, frozenset[int]], ...]:
    """(name, what it has) of every font, the preferred one first; read once per process."""
    found = []
    for name in _FILES[weight]:
        font = _registered(name, partial(TTFont, name, str(TYPEFACES / f"{name}.ttf")))
        found.append((name, frozenset(font.face.charToGlyph)))
    return tuple(found)


def _registered(name: str, make: Callable[[], Any]) -> Any:
    """reportlab's font of this name. Another thread may be writing with it, so that it is never made a second time."""
    with _REGISTERING:
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(make())
        return pdfmetrics.getFont(name)


def plain(text: str) -> str:
    """One line, with accents joined to their letters, which is how fonts have them."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def runs(text: str, weight: Weight = Weight.REGULAR) -> list[tuple[str, str]]:
    """(font, letters) in the order of the text. A name in Han stays in one font where one has all of it."""
    text = plain(text)
    embedded = _embedded(weight)
    rest = [letter for letter in text if not any(ord(letter) in has for _, has in embedded)]
    east_asian = sorted(_EAST_ASIAN, key=lambda font: sum(not font.has(letter) for letter in rest))
    drawn = (_drawn(letter, embedded, east_asian) for letter in text)
    return [(font, "".join(each for _, each in run)) for font, run in groupby(drawn, key=lambda pair: pair[0])]


def _drawn(
    letter: str, embedded: tuple[tuple[str, frozenset[int]], ...], east_asian: Iterable[_EastAsian]
) -> tuple[str, str]:
    """(font, what is drawn)"""
    if unicodedata.bidirectional(letter) not in _RIGHT_TO_LEFT and unicodedata.category(letter)[0] != "C":
        for font, has in embedded:
            if ord(letter) in has:
                return font, letter
        for each in east_asian:
            if each.has(letter):
                _registered(each.font, partial(UnicodeCIDFont, each.font))
                return each.font, letter
    # The font with the most letters has the box.
    return embedded[-1][0], BOX


def markup(text: str, weight: Weight = Weight.REGULAR) -> str:
    """The text as reportlab's paragraphs read it: nothing in it is markup."""
    return "".join(f'<font face="{font}">{escape(letters)}</font>' for font, letters in runs(text, weight))


def width(text: str, size: float, weight: Weight = Weight.REGULAR) -> float:
    """In points."""
    return sum(pdfmetrics.stringWidth(letters, font, size) for font, letters in runs(text, weight))


def shortened(text: str, size: float, most: float) -> str:
    """As much of the text as is at most so wide, with a sign that there was more."""
    text = plain(text)
    if width(text, size) <= most:
        return text
    end = len(text)
    while end and width(text[:end] + "…", size) > most:
        end -= 1
    return text[:end].rstrip() + "…"
