"""Cost reviews on paper: the figures are the review's, they add up as printed, and no name breaks the document."""

import io
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from pypdf import PdfReader

from analytics.cost_drivers import Drivers
from analytics.review_pdf import ROWS, file_name, review_pdf
from analytics.review_periods import MONTH, WEEK, ReviewPeriod
from analytics.reviews import Figure, Review
from budgets.models import Budget, Unit
from budgets.selectors import BudgetState
from budgets.standing import Used
from common.display import usd, usd_signed
from common.money import NANO, usd_to_nano
from common.periods import Period

BERLIN = ZoneInfo("Europe/Berlin")
OCTOBER = ReviewPeriod(MONTH, date(2026, 10, 1), BERLIN)
NOW = datetime(2026, 11, 24, 22, 5, tzinfo=UTC)
WHY = Drivers(volume=3_210_123_456_789, tokens=-1_200_000_000_005, mix=880_040_000_001, price=-95 * NANO, other=7)
BEFORE = 18_000_333_333_333


def figure(name: str, now: int, before: int = 0, *, why: Drivers | None = None, team_id: int | None = None) -> Figure:
    return Figure(name, now, before, 1_234_567, why or Drivers(volume=now - before), team_id)


def state(name: str, spent: int, limit: int, *, unit: Unit = Unit.COST) -> BudgetState:
    budget = Budget(name=name, unit=unit, period="month", timezone="Europe/Berlin", counts_from=NOW)
    used = Used(cost=spent) if unit is Unit.COST else Used(tokens=spent)
    november = Period(datetime(2026, 10, 31, 23, tzinfo=UTC), datetime(2026, 11, 30, 23, tzinfo=UTC))
    return BudgetState(
        budget=budget, scope=f"of {name}", period=november, used=used, limit=limit, base=limit, fired=0,
        elapsed_percent=Decimal(20), projected=None, runs_out_at=None, planned=[], actions=[],
    )  # fmt: skip


def made(
    *,
    name: str = "Acme",
    why: Drivers = WHY,
    before: int = BEFORE,
    team_id: int | None = None,
    unpriced: int = 0,
    teams: Sequence[Figure] = (),
    models: Sequence[Figure] = (),
    budgets: Sequence[BudgetState] = (),
) -> Review:
    total = figure(name, before + why.change, before, why=why, team_id=team_id)
    return Review(OCTOBER, total, unpriced, teams, models, budgets)


def pages(*reviews: Review, organization: str = "Acme") -> list[str]:
    reader = PdfReader(io.BytesIO(review_pdf(reviews, organization=organization, now=NOW)))
    return [page.extract_text() for page in reader.pages]


def printed(text: str) -> int:
    """Nano-USD of an amount with nine decimals."""
    amount = usd_to_nano(Decimal(re.sub(r"[$+,]", "", text).replace("−", "-")))
    assert amount is not None
    return amount


@pytest.mark.parametrize(
    ("why", "before"),
    [
        (WHY, BEFORE),
        (Drivers(volume=5), 0),
        (Drivers(volume=-BEFORE), BEFORE),
        (Drivers(volume=1, tokens=-1), BEFORE),
        (Drivers(volume=987_654_321_123_456_789, price=-1), 1),
        (Drivers(other=-3 * NANO), BEFORE),
    ],
    ids=["all", "new", "gone", "nothing in all", "large", "only fees"],
)
def test_what_is_printed_adds_up_from_one_bill_to_the_other(why: Drivers, before: int) -> None:
    review = made(why=why, before=before)
    (page,) = pages(review)
    page = page[page.index("Why it changed") : page.index("Teams")]
    first, *parts, change, last = [printed(each) for each in re.findall(r"[+−]?\$[\d,]+\.\d{9}\b", page)]
    assert parts == [amount for _, amount in review.reasons]
    assert (first, change, last) == (before, why.change, review.total.now)
    assert first + sum(parts) == first + change == last
    for words, amount in review.reasons:
        assert words in page
        assert usd_signed(amount) in page


def test_the_head_says_whose_what_and_when() -> None:
    (page,) = pages(made(unpriced=1_234))
    for words in (
        "Cost review, October 2026", "Acme", "Europe/Berlin", "against September 2026", usd(BEFORE), "1,234,567",
        usd(BEFORE + WHY.change), usd_signed(WHY.change), "mostly volume", "+16% vs September 2026",
        "1,234 requests have no price yet: the true spend is higher.", "Made 24 Nov 2026, 23:05 CET (Europe/Berlin)",
    ):  # fmt: skip
        assert words in page
    assert "have no price yet" not in pages(made())[0]


def test_every_review_of_a_mail_begins_on_its_own_page() -> None:
    first, second = pages(made(name="Search", team_id=7), made(), organization="Acme & Sons")
    assert "A team of Acme & Sons with everything below it." in first
    assert "The whole organization." in second
    assert "Cost review, October 2026 · Acme & Sons" in second


@pytest.mark.parametrize(
    "name",
    ["<b>&</b>", "</para><font size=90>", "Łódź é", "Отдел", "東京開発", "研发中心", "개발팀", "🚀", "x" * 100, "\x00"],
)
def test_a_name_may_be_anything(name: str) -> None:
    review = made(name=name, teams=[figure(name, 1)], models=[figure(name, 1)], budgets=[state(name, 2, 1)])
    text = re.sub(r"\s", "", "".join(pages(review, organization=name)))
    drawn = "□" if name in {"🚀", "\x00"} else re.sub(r"\s", "", name)
    # The title, its team, its model, its budget and what that is of.
    assert text.count(drawn) >= 5


def test_long_tables_go_on_and_what_is_beyond_their_limit_is_summed() -> None:
    teams = [figure(f"Team {number:03d}", 2 * NANO, NANO) for number in range(ROWS + 7)]
    budgets = [state(f"Budget {number:03d}", 95 * NANO, 100 * NANO) for number in range(30)]
    found = pages(made(teams=teams, budgets=budgets))
    text = "\n".join(found)
    assert re.findall(r"Team \d{3}", text) == [each.name for each in teams[:ROWS]]
    assert re.search(r"\b7 more, on the page\s+\$7.00\s+\$14.00\s+\+\$7.00", text)
    assert re.findall(r"^ ?Budget \d{3}", text, re.MULTILINE) == [f"Budget {number:03d}" for number in range(30)]
    assert len(found) > 8
    assert all(f"Page {number} of {len(found)}" in page for number, page in enumerate(found, 1))
    # Under the header of their table, on every page.
    assert all("Change" in page for page in found if "Team 1" in page)
    assert all("Limit" in page for page in found if "Budget 0" in page)


def test_budgets_in_their_own_unit_as_of_now() -> None:
    (page,) = pages(
        made(budgets=[state("Money", 118 * NANO, 100 * NANO), state("Tokens", 950_000, 10**6, unit=Unit.TOKENS)])
    )
    assert re.search(r"Money\s+November 2026\s+of Money\s+\$118.00\s+\$100.00\s+118%\s+Over the limit", page)
    assert re.search(r"950k tokens\s+1M tokens\s+95%\s+Nearly spent", page)
    assert "as of 24 Nov 2026, 23:05 CET" in page


def test_a_period_without_spend() -> None:
    (page,) = pages(made(why=Drivers(), before=0))
    assert "Nothing was spent" in page
    assert "None: every budget is inside its pace." in page
    assert "Why it changed" not in page


def test_the_same_review_at_the_same_moment_is_the_same_file() -> None:
    first, again, later = (
        review_pdf([made()], organization="Acme", now=now) for now in (NOW, NOW, NOW.replace(minute=6))
    )
    assert first == again != later


def test_the_file_is_called_what_it_is() -> None:
    assert file_name("acme", OCTOBER) == "cost-review-acme-2026-10.pdf"
    week = ReviewPeriod(WEEK, date(2026, 11, 16), BERLIN)
    assert file_name("acme", week, "search") == "cost-review-acme-search-2026-W47.pdf"
