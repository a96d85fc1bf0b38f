"""What a document is made of: headings, notes, figures, tables. Lengths are points; texts are plain, never markup."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from reportlab.graphics.shapes import Drawing, Line, Rect
from reportlab.lib.colors import Color
from reportlab.lib.enums import TA_LEFT, TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import CondPageBreak, Flowable, KeepTogether, PageBreak, Paragraph, Spacer, Table, TableStyle

from common.pdf import colours
from common.pdf.letters import Weight, markup, width

# Of A4 between its margins.
WIDTH = 174 * mm
SMALL, BODY = 7.5, 8.5
_PAD, _GAP = 4.5, 8
# A heading stays with this much of what it is the heading of.
_TOGETHER, _FEW_ROWS = 34 * mm, 10
Block = Flowable
# Twice the characters of the longest name there is: a row of a table must not be higher than a page.
LONGEST = 400
_TINTS = {"bad": colours.BAD, "warn": colours.WARN}


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    width: float
    amounts: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """`note` stands under the text, smaller. `tone`: "", bad or warn."""

    text: str
    note: str = ""
    strong: bool = False
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Stat:
    label: str
    value: str
    hint: str = ""


def paragraph(
    text: str, size: float = BODY, *, strong: bool = False, colour: Color = colours.TEXT, right: bool = False
) -> Paragraph:
    style = ParagraphStyle(
        "text",
        fontSize=size,
        leading=size * 1.36,
        textColor=colour,
        alignment=TA_RIGHT if right else TA_LEFT,
        # A name without spaces breaks anywhere rather than leaving its cell.
        splitLongWords=1,
    )
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return Paragraph(markup(text, Weight.STRONG if strong else Weight.REGULAR), style)


def page_break() -> Block:
    return PageBreak()


def title(eyebrow: str, text: str, lede: str) -> list[Block]:
    return [
        paragraph(eyebrow, strong=True, colour=colours.MUTED),
        Spacer(0, 3),
        paragraph(text, 20, strong=True),
        Spacer(0, 5),
        paragraph(lede, 9, colour=colours.MUTED),
        Spacer(0, 14),
    ]


def section(text: str, about: str, content: Sequence[Block] = (), *, rows: int = 0) -> list[Block]:
    """A heading and what stands under it, on one page where that is at most a few `rows`."""
    head: list[Block] = [
        Spacer(0, 16),
        paragraph(text, 11.5, strong=True),
        Spacer(0, 1.5),
        paragraph(about, colour=colours.MUTED),
        Spacer(0, 5),
    ]
    if rows <= _FEW_ROWS:
        return [KeepTogether([*head, *content])]
    return [CondPageBreak(_TOGETHER), *head, *content]


def note(text: str) -> list[Block]:
    """What a reader must not miss."""
    box = Table([[paragraph(text, colour=colours.WARN)]], colWidths=[WIDTH])
    box.setStyle(
        TableStyle(
            [
                ("BACKGROUND", (0, 0), (-1, -1), colours.WARN_SOFT),
                ("LEFTPADDING", (0, 0), (-1, -1), 8),
                ("TOPPADDING", (0, 0), (-1, -1), 5),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
            ]
        )
    )
    return [Spacer(0, 10), box]


def stats(each: Sequence[Stat]) -> Table:
    """Figures side by side, each under a line."""
    room = WIDTH / len(each) - 14
    size = min(_fitting(stat.value, 15, room) for stat in each)
    rows = [
        [paragraph(stat.label, colour=colours.MUTED) for stat in each],
        [paragraph(stat.value, size, strong=True) for stat in each],
        [paragraph(stat.hint, SMALL, colour=colours.MUTED) for stat in each],
    ]
    table = Table(rows, colWidths=[WIDTH / len(each)] * len(each))
    table.setStyle(
        TableStyle(
            [
                ("LINEABOVE", (0, 0), (-1, 0), 1, colours.INK),
                ("LINEBELOW", (0, -1), (-1, -1), 0.5, colours.LINE_STRONG),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), 12),
                ("TOPPADDING", (0, 0), (-1, -1), 0),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
                ("TOPPADDING", (0, 0), (-1, 0), 8),
                ("BOTTOMPADDING", (0, -1), (-1, -1), 8),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ]
        )
    )
    return table


def _fitting(amount: str, size: float, room: float) -> float:
    """The size, or the smaller one in which an amount fits: broken over two lines it would be read as another one."""
    return min(size, size * room / max(1.0, width(amount, size, Weight.STRONG)))


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell | Block]], *, totals: int = 0) -> Table:
    """The header stands again on every page; the last `totals` rows are sums and stay with the row above them."""
    head: list[list[Block | list[Block]]] = [[_head(column) for column in columns]]
    body = [[_cell(cell, column) for cell, column in zip(row, columns, strict=True)] for row in rows]
    made = Table(head + body, colWidths=[column.width for column in columns], repeatRows=1)
    made.setStyle(
        TableStyle(
            [
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("RIGHTPADDING", (0, 0), (-1, -1), _GAP),
                ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), _PAD - 1),
                ("BOTTOMPADDING", (0, 0), (-1, -1), _PAD),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
                ("LINEBELOW", (0, 0), (-1, 0), 0.75, colours.LINE_STRONG),
                ("LINEBELOW", (0, 1), (-1, -1), 0.4, colours.LINE),
            ]
        )
    )
    for place, (left, column) in enumerate(pairwise(columns), 1):
        if left.amounts and not column.amounts:
            made.setStyle(TableStyle([("LEFTPADDING", (place, 0), (place, -1), _GAP)]))
    if totals:
        first = -totals
        made.setStyle(
            TableStyle(
                [("LINEABOVE", (0, first), (-1, first), 0.75, colours.INK), ("NOSPLIT", (0, first - 1), (-1, -1))]
            )
        )
    return made


def _head(column: Column) -> Block:
    return paragraph(column.title, SMALL, strong=True, colour=colours.MUTED, right=column.amounts)


def _cell(cell: Cell | Block, column: Column) -> Block | list[Block]:
    if isinstance(cell, Block):
        return cell
    colour = _TINTS.get(cell.tone, colours.TEXT)
    size = _fitting(cell.text, BODY, column.width - _GAP) if column.amounts else BODY
    text = paragraph(cell.text, size, strong=cell.strong, colour=colour, right=column.amounts)
    if not cell.note:
        return text
    return [text, paragraph(cell.note, SMALL, colour=colours.MUTED, right=column.amounts)]


def change_bar(amount: int, largest: int, room: float) -> Drawing:
    """A change as a bar from the middle: more spend to the right, less to the left; `largest` fills one side."""
    height, middle = BODY * 1.36, room / 2
    drawing = Drawing(room, height)
    length = middle * amount / largest if largest else 0
    bar = Rect(min(middle, middle + length), 2.4, abs(length), 6)
    bar.fillColor, bar.strokeColor = colours.BAR_BAD if amount > 0 else colours.BAR_GOOD, None
    drawing.add(bar)
    drawing.add(Line(middle, 0, middle, height, strokeColor=colours.LINE_STRONG, strokeWidth=0.6))
    return drawing
