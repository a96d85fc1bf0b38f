"""A document of A4 pages out of blocks: the line at the foot, page numbers, what a file says of itself."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate

from common.display import moment
from common.pdf import colours
from common.pdf.blocks import SMALL, WIDTH, paragraph
from common.pdf.letters import shortened

_SIDE = (A4[0] - WIDTH) / 2
_TOP, _BOTTOM, _FOOT = 18 * mm, 20 * mm, 10 * mm
# reportlab reads the files of fonts from a place that it keeps with the font, one for all threads.
_ONE_AT_A_TIME = Lock()


@dataclass(frozen=True, slots=True)
class About:
    """What stands on every page and in the file's properties. `made_at` is in the zone it is to be read in."""

    title: str
    subject: str
    made_at: datetime


def render(blocks: Sequence[Flowable], about: About) -> bytes:
    """The PDF. The same blocks at the same moment make the same bytes, so that a copy can be known as one."""
    out = io.BytesIO()
    document = BaseDocTemplate(
        out,
        pagesize=A4,
        title=about.title,
        subject=about.subject,
        author="CostHub",
        creator="CostHub",
        lang="en",
        invariant=1,
        pageTemplates=[
            PageTemplate(
                "page",
                [Frame(_SIDE, _BOTTOM, WIDTH, A4[1] - _TOP - _BOTTOM, 0, 0, 0, 0)],
                onPage=lambda canvas, _: _frame(canvas, about),
            )
        ],
    )
    with _ONE_AT_A_TIME:
        document.build([*blocks, _PageNumbers()], canvasmaker=lambda *given, **named: _canvas(about, *given, **named))
    return out.getvalue()


def _canvas(about: About, *given: Any, **named: Any) -> Canvas:
    """One whose file says when the document was made; reportlab would ask the clock, or write a date of long ago."""
    canvas = Canvas(*given, **named)
    offset = f"{about.made_at:%z}"
    canvas.setDateFormatter(lambda *_: f"D:{about.made_at:%Y%m%d%H%M%S}{offset[:3]}'{offset[3:5]}'")
    return canvas


def _frame(canvas: Canvas, about: About) -> None:
    """The foot of every page, and the title above every page but the first, which has its own."""
    canvas.saveState()
    canvas.setStrokeColor(colours.LINE_STRONG)
    canvas.setLineWidth(0.5)
    canvas.line(_SIDE, _BOTTOM - 5 * mm, _SIDE + WIDTH, _BOTTOM - 5 * mm)
    _mark(canvas, _SIDE, _FOOT - 0.5)
    _line(canvas, f"CostHub · Made {_made(about.made_at)}", _SIDE + 14, _FOOT)
    canvas.doForm(_number(canvas.getPageNumber()))
    if canvas.getPageNumber() > 1:
        _line(canvas, shortened(about.title, SMALL, WIDTH), _SIDE, A4[1] - 12 * mm)
    canvas.restoreState()


def _made(at: datetime) -> str:
    """ "24 Nov 2026, 23:05 CET (Europe/Berlin)"; the zone's name once where it has no shorter one."""
    said, zone = moment(at), str(at.tzinfo)
    return said if said.endswith(f" {zone}") else f"{said} ({zone})"


def _line(canvas: Canvas, text: str, x: float, y: float, *, room: float = WIDTH, right: bool = False) -> None:
    line = paragraph(text, SMALL, colour=colours.MUTED, right=right)
    line.wrapOn(canvas, room, SMALL * 2)
    line.drawOn(canvas, x, y)


def _mark(canvas: Canvas, x: float, y: float, size: float = 9.5) -> None:
    """CostHub's, as templates/components/brand_mark.html draws it in a square of 24."""
    canvas.saveState()
    canvas.translate(x, y)
    canvas.scale(size / 24, size / 24)
    for colour, left, bottom, width, height, radius in (
        (colours.INK, 0, 0, 24, 24, 6),
        (colours.ON_INK, 5, 14, 14, 3, 1.5),
        (colours.ON_INK, 5, 7, 8, 3, 1.5),
        (colours.MARK_TICK, 15, 5, 2.5, 7, 1.25),
    ):
        canvas.setFillColor(colour)
        canvas.roundRect(left, bottom, width, height, radius, stroke=0, fill=1)
    canvas.restoreState()


def _number(page: int) -> str:
    """What the number of a page is called until it is known of how many."""
    return f"page-{page}"


class _PageNumbers(Flowable):
    """Comes last and takes no room: draws what every page has left open."""

    def wrap(self, *_: float) -> tuple[float, float]:
        return 0, 0

    def draw(self) -> None:
        canvas: Canvas = self.canv
        last = canvas.getPageNumber()
        for page in range(1, last + 1):
            canvas.beginForm(_number(page))
            _line(canvas, f"Page {page} of {last}", _SIDE, _FOOT, right=True)
            canvas.endForm()
