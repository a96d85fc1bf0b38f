"""Closing months: in order, after their end, for good; what comes later counts in the open month or is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from common.problems import Problem
from corrections.months import Month, month_close, months, next_to_close, refusal_set
from ingest import closed
from tenants.access import organization_scope
from tenants.models import AuditEntry, Organization
from tenants.roles import Role
from tests.analytics.support import at, settle, signed_in, text
from tests.budgets.support import Caller, use
from tests.corrections.support import adjustments, applied, assert_sums_agree, previewed, spent, undo, work
from tests.corrections.support import apply as start_applying
from tests.corrections.test_runs import HALF
from tests.factories import Tenant, make_member, make_tenant, make_token
from tests.pricing.drafts import add_rule
from usage.models import ClosedMonth

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SEPTEMBER, OCTOBER = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)
NANO_COST = 1200 * 100 + 300 * 25 + 250 * 400


@pytest.fixture
def usage(tenant: Tenant, prices: None) -> Tenant:
    closed.forget()
    for day in (datetime(2026, 9, 20, tzinfo=UTC), datetime(2026, 10, 20, tzinfo=UTC), NOW - timedelta(days=1)):
        settle(tenant, [at(day)])
    return tenant


def close(tenant: Tenant, start: datetime, *, now: datetime = NOW, **options: Any) -> ClosedMonth:
    with organization_scope(tenant.id):
        given: dict[str, Any] = {"note": "", "accept_unpriced": False} | options
        return month_close(organization=tenant.organization, start=start, actor=tenant.owner, now=now, **given)


def found(tenant: Tenant) -> list[Month]:
    with organization_scope(tenant.id):
        return months(tenant.organization, NOW)


def closed_months(tenant: Tenant) -> list[ClosedMonth]:
    with organization_scope(tenant.id):
        return list(ClosedMonth.objects.order_by("starts_at"))


def test_months_are_closed_in_order_after_their_end(usage: Tenant) -> None:
    for start in (OCTOBER, datetime(2026, 11, 1, tzinfo=UTC), SEPTEMBER + timedelta(days=1)):
        with pytest.raises(Problem, match="The next one is 2026-09"):
            close(usage, start)
    assert closed_months(usage) == []
    month = close(usage, SEPTEMBER, note="Bill 2026-0917")
    assert (month.events, int(month.cost), month.closed_by) == (1, NANO_COST, usage.owner.email)
    with pytest.raises(Problem, match="The next one is 2026-10"):
        close(usage, SEPTEMBER)
    close(usage, OCTOBER)
    with pytest.raises(Problem, match="after they have ended"):
        close(usage, datetime(2026, 11, 1, tzinfo=UTC))
    with organization_scope(usage.id):
        assert AuditEntry.objects.filter(action="month.closed").count() == 2
    assert_sums_agree(usage)


def test_a_closed_month_never_changes(usage: Tenant) -> None:
    close(usage, SEPTEMBER)
    close(usage, OCTOBER)
    before = found(usage)
    use(usage, at(datetime(2026, 10, 30, tzinfo=UTC)), now=NOW)
    add_rule(usage, NOW, confirmed=True, **HALF, effective_from=SEPTEMBER)
    run = applied(usage, NOW, start=SEPTEMBER)
    assert run.events_booked == 4
    november, *closed_ones = found(usage)
    assert closed_ones == before[1:]
    # The late event counts whole and is then halved, as are the two closed ones and November's own.
    assert november.cost == before[0].cost // 2 + NANO_COST // 2 - NANO_COST
    assert (november.corrections, november.corrections_cost) == (4, NANO_COST - 3 * (NANO_COST // 2))
    assert {row.kind for row in adjustments(usage)} == {"late", "reprice"}
    assert_sums_agree(usage)
    undo(usage, run, NOW)
    work(usage, NOW)
    assert found(usage)[1:] == before[1:]
    assert spent(usage, NOW).cost == 4 * NANO_COST
    assert_sums_agree(usage)


def test_usage_without_a_price_has_to_be_accepted(usage: Tenant) -> None:
    settle(usage, [at(datetime(2026, 9, 21, tzinfo=UTC), model="nobody-knows-this")])
    with pytest.raises(Problem, match="have no price"):
        close(usage, SEPTEMBER)
    assert close(usage, SEPTEMBER, accept_unpriced=True).unpriced_requests == 1


def test_not_while_a_repricing_is_booking(usage: Tenant) -> None:
    run = previewed(usage, NOW, start=SEPTEMBER)
    start_applying(usage, run, NOW)
    with pytest.raises(Problem, match="repricing is being booked"):
        close(usage, SEPTEMBER)
    work(usage, NOW)
    close(usage, SEPTEMBER)


@pytest.mark.parametrize(
    ("timezone", "start"),
    [
        ("America/New_York", datetime(2026, 10, 1, 4, tzinfo=UTC)),
        ("Asia/Kolkata", datetime(2026, 9, 30, 18, 30, tzinfo=UTC)),
    ],
)
def test_months_are_those_of_the_organization(db: None, prices: None, timezone: str, start: datetime) -> None:
    tenant = make_tenant("zoned", timezone=timezone)
    settle(tenant, [at(start - timedelta(minutes=1)), at(start), at(start + timedelta(days=20))])
    with organization_scope(tenant.id):
        september = next_to_close(tenant.organization, NOW)
    assert september is not None
    assert (close(tenant, september.start).events, close(tenant, start).events) == (1, 2)
    assert_sums_agree(tenant)


def test_usage_of_closed_months_is_refused_when_the_organization_wants_it(usage: Tenant, now: datetime) -> None:
    send = Caller(usage.bearer)
    late, open_ = at(now - timedelta(days=30)), at(now)
    close(usage, SEPTEMBER)
    close(usage, OCTOBER)
    with organization_scope(usage.id):
        ClosedMonth.objects.filter(starts_at=OCTOBER).update(ends_at=now - timedelta(days=20))
        refusal_set(organization=usage.organization, refuses=True, actor=usage.owner, now=now)
    closed.forget()
    answer = send("POST", "events", {"events": [open_, late]})
    assert (answer.problem, answer.pointers) == ((422, "validation-error"), ["/events/1/time"])
    assert answer.body["errors"][0]["code"] == "period_closed"
    assert send("POST", "events", {"events": [open_]}).status == 202
    with organization_scope(usage.id):
        refusal_set(organization=usage.organization, refuses=False, actor=usage.owner, now=now)
    closed.forget()
    assert send("POST", "events", {"events": [late]}).body["accepted"] == 1


def sign(client: Client, start: datetime, **fields: Any) -> int:
    return client.post("/o/acme/closing", {"start": start.isoformat(), "note": "checked"} | fields).status_code


def test_the_page_signs_off(usage: Tenant) -> None:
    client = signed_in(usage.owner)
    page = text(client.get("/o/acme/closing"))
    assert "Next: September 2026" in page
    assert "start=2026-09-01&amp;end=2026-09-30" in page, "a month leads to what it is made of"
    assert sign(client, OCTOBER) == 422
    assert sign(client, SEPTEMBER, note="x" * 501) == 422
    assert closed_months(usage) == []
    assert sign(client, SEPTEMBER) == 302
    page = text(client.get("/o/acme/closing"))
    assert "Next: October 2026" in page
    assert f"{usage.owner.email}" in page
    assert client.post("/o/acme/closing/policy", {"refuses": "1"}).status_code == 302
    assert "<b>refused</b>" in text(client.get("/o/acme/closing"))


@pytest.mark.parametrize(("role", "status"), [(Role.FINANCE, 302), (Role.VIEWER, 403), (Role.MANAGER, 403)])
def test_who_may_sign(usage: Tenant, stranger: Tenant, role: Role, status: int) -> None:
    client = signed_in(make_member(usage, role))
    assert client.get("/o/acme/closing").status_code == 200
    assert sign(client, SEPTEMBER) == status
    assert client.post("/o/acme/closing/policy", {"refuses": "1"}).status_code == status
    assert sign(signed_in(stranger.owner), OCTOBER) == 404
    allowed = status == 302
    assert len(closed_months(usage)) == allowed
    with organization_scope(usage.id):
        assert Organization.objects.get(id=usage.id).refuses_closed == allowed


def test_the_api_signs_off_and_lists(usage: Tenant, stranger: Tenant) -> None:
    call = Caller(make_token(usage, "usage:read", "org:write"))
    assert call("POST", "closed-months", {"month": "2026-10"}).problem == (409, "conflict")
    assert call("POST", "closed-months", {"month": "October"}).pointers == ["/month"]
    assert call("POST", "closed-months", {"month": "2026-09", "force": True}).pointers == ["/force"]
    made = call("POST", "closed-months", {"month": "2026-09", "note": "Bill 917"})
    assert (made.status, made.body["month"], made.body["cost"]) == (201, "2026-09", f"0.{NANO_COST:09d}")
    assert call("GET", "closed-months").body == {"data": [made.body], "next": None}
    assert Caller(make_token(usage, "usage:read"))("POST", "closed-months", {"month": "2026-10"}).problem == (
        403, "insufficient-scope",
    )  # fmt: skip
    assert Caller(make_token(stranger, "usage:read"))("GET", "closed-months").body["data"] == []


def test_nothing_to_close_without_usage(tenant: Tenant) -> None:
    assert "No month yet" in text(signed_in(tenant.owner).get("/o/acme/closing"))
    assert found(tenant) == []
