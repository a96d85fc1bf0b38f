"""Cost reviews as a document for finance: what the page and the mail say of the same reviews, on paper."""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter

from analytics.cost_drivers import Drivers
from analytics.review_periods import ReviewPeriod
from analytics.reviews import Figure, Review
from budgets.amounts import spoken
from budgets.labels import window_label
from common.display import count, delta, moment, percent, usd, usd_exact, usd_signed
from common.pdf.blocks import (
    WIDTH,
    Block,
    Cell,
    Column,
    Stat,
    change_bar,
    note,
    page_break,
    paragraph,
    section,
    stats,
    table,
    title,
)
from common.pdf.document import About, render

# Of a table; more would be a book, and seconds of work.
ROWS = 300
_BAR, _BEFORE, _AMOUNT, _EXACT, _MOSTLY = 96.0, 94.0, 76.0, 118.0, 104.0
_OF, _USED, _STATE = 96.0, 44.0, 82.0


def review_pdf(reviews: Sequence[Review], *, organization: str, now: datetime) -> bytes:
    """Each review begins on a page of its own; all are of one period. `now` is the moment the reviews are of."""
    period = reviews[0].period
    made_at = now.astimezone(period.zone)
    blocks = [block for each in reviews for block in (page_break(), *_review(each, organization, made_at))]
    about = About(
        title=f"Cost review, {period.label} · {organization}",
        subject="What was spent, and why it changed",
        made_at=made_at,
    )
    return render(blocks[1:], about)


def file_name(organization_slug: str, period: ReviewPeriod, team_slug: str = "") -> str:
    """cost-review-acme-2026-11.pdf, cost-review-acme-search-2026-W47.pdf"""
    return f"{'-'.join(filter(None, ('cost-review', organization_slug, team_slug, period.parameter)))}.pdf"


def _review(review: Review, organization: str, made_at: datetime) -> list[Block]:
    found = [*_head(review, organization), _stats(review)]
    if review.unpriced_words:
        found += note(review.unpriced_words)
    if review.total.now or review.total.before:
        found += [*_reasons(review), *_teams(review), *_movers(review)]
    else:
        found += section("Nothing was spent", "Neither in this period nor in the one before.")
    return found + _budgets(review, made_at)


def _head(review: Review, organization: str) -> list[Block]:
    period, total = review.period, review.total
    whose = (
        "The whole organization." if total.team_id is None else f"A team of {organization} with everything below it."
    )
    days = f"Days of {period.zone.key}, against {period.previous.label}."
    return title(f"Cost review, {period.label}", total.name, f"{whose} {days} In US dollars.")


def _stats(review: Review) -> Block:
    total, before = review.total, review.period.previous.label
    mostly = f"mostly {total.because.lower()}" if total.because else ""
    return stats(
        [
            Stat("Spend", usd(total.now), f"{delta(total.now, total.before)} vs {before}"),
            Stat(before, usd(total.before), "the period before"),
            Stat("Change", usd_signed(total.change), mostly),
            Stat("Priced requests", count(total.requests), "in this period"),
        ]
    )


def _reasons(review: Review) -> list[Block]:
    """From one bill to the other."""
    total, period = review.total, review.period
    columns = [
        Column("Reason", WIDTH - _BAR - _AMOUNT - _EXACT),
        Column("", _BAR),
        Column("Amount", _AMOUNT, amounts=True),
        Column("To the last nano-dollar", _EXACT, amounts=True),
    ]
    largest = max((abs(amount) for _, amount in review.reasons), default=0)
    rows = [_bill(period.previous.label, total.before)]
    for words, amount in review.reasons:
        bar = change_bar(amount, largest, _BAR - 16)
        rows.append([Cell(words), bar, Cell(usd_signed(amount)), Cell(_exact_change(amount))])
    rows.append(_reason("Change of the bill", usd_signed(total.change), _exact_change(total.change)))
    rows.append(_bill(period.label, total.now))
    about = "Volume × tokens per request × mix × price. Rounded amounts may miss a cent; the exact ones add up."
    return section("Why it changed", about, [table(columns, rows, totals=2)])


def _bill(label: str, amount: int) -> list[Cell | Block]:
    return _reason(f"Bill of {label}", usd(amount), _exact(amount))


def _reason(words: str, amount: str, exact: str) -> list[Cell | Block]:
    return [Cell(words, strong=True), Cell(""), Cell(amount, strong=True), Cell(exact)]


def _exact(amount: int) -> str:
    """Nine decimals always, so that the digits stand under each other."""
    whole, _, rest = usd_exact(amount).partition(".")
    return f"{whole}.{rest:0<9}"


def _exact_change(amount: int) -> str:
    return f"+{_exact(amount)}" if amount > 0 else _exact(amount)


def _teams(review: Review) -> list[Block]:
    total = review.total
    columns, rows = _figure_columns("Team", review), _figure_rows(review.teams)
    rows.append(_figure_row(total, name="All teams" if total.team_id is None else "In all", strong=True))
    about = "Each with everything below it, the dearest first."
    return section("Teams", about, [table(columns, rows, totals=1)], rows=len(rows))


def _movers(review: Review) -> list[Block]:
    if not review.models:
        return section("Top movers", "No model's cost changed.")
    columns = _figure_columns("Model", review)
    about = "The models whose cost changed most, up or down."
    rows = _figure_rows(review.models)
    return section("Top movers", about, [table(columns, rows)], rows=len(rows))


def _figure_columns(name: str, review: Review) -> list[Column]:
    return [
        Column(name, WIDTH - _BEFORE - 2 * _AMOUNT - _MOSTLY),
        Column(review.period.previous.label, _BEFORE, amounts=True),
        Column("Spend", _AMOUNT, amounts=True),
        Column("Change", _AMOUNT, amounts=True),
        Column("Mostly", _MOSTLY),
    ]


def _figure_rows(figures: Sequence[Figure]) -> list[list[Cell | Block]]:
    """What is beyond the limit stands in one row, so that a table adds up."""
    shown, rest = figures[:ROWS], figures[ROWS:]
    rows = [_figure_row(figure) for figure in shown]
    if rest:
        now, before, requests = (sum(map(attrgetter(name), rest)) for name in ("now", "before", "requests"))
        name = f"{count(len(rest))} more, on the page"
        rows.append(_figure_row(Figure(name, now, before, requests, Drivers())))
    return rows


def _figure_row(figure: Figure, *, name: str = "", strong: bool = False) -> list[Cell | Block]:
    return [
        Cell(name or figure.name, strong=strong),
        Cell(usd(figure.before), strong=strong),
        Cell(usd(figure.now), strong=strong),
        Cell(usd_signed(figure.change), strong=strong),
        Cell(figure.because or "—"),
    ]


def _budgets(review: Review, made_at: datetime) -> list[Block]:
    """As they stand now, which may be long after the period: the moment is said."""
    about = f"Passed, nearly spent, or spent faster than their period passes, as of {moment(made_at)}."
    if not review.budgets:
        return section("Budgets at risk now", about, [paragraph("None: every budget is inside its pace.")])
    columns = [
        Column("Budget", WIDTH - _OF - 2 * _AMOUNT - _USED - _STATE),
        Column("Of", _OF),
        Column("Spent", _AMOUNT, amounts=True),
        Column("Limit", _AMOUNT, amounts=True),
        Column("Used", _USED, amounts=True),
        Column("State", _STATE),
    ]
    rows: list[list[Cell | Block]] = [
        [
            Cell(state.budget.name, note=window_label(state.budget, state.period)),
            Cell(state.scope),
            Cell(spoken(state.budget.unit, state.spent)),
            Cell(spoken(state.budget.unit, state.limit)),
            Cell(percent(state.percent)),
            Cell(words, strong=True, tone=tone),
        ]
        for state, words, tone in review.risks[:ROWS]
    ]
    content: list[Block] = [table(columns, rows)]
    if len(review.risks) > ROWS:
        content.append(paragraph(f"{count(len(review.risks) - ROWS)} more, on the page."))
    return section("Budgets at risk now", about, content, rows=len(rows))
