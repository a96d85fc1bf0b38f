"""Repricing for people and programs: who sees it, who may do it, what a refusal leaves alone."""

from datetime import datetime, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command

from corrections.models import RepriceRun, RunState
from tenants.access import organization_scope
from tenants.models import Organization
from tenants.roles import Role
from tests.analytics.support import at, settle, signed_in, text
from tests.budgets.support import Caller, make_budget
from tests.corrections.support import adjustments, anew, previewed, spent, work
from tests.corrections.test_runs import HALF, LONG_AGO
from tests.factories import Tenant, make_member, make_token
from tests.pricing.drafts import add_rule


@pytest.fixture
def usage(tenant: Tenant, prices: None, now: datetime) -> Tenant:
    settle(tenant, [at(now - timedelta(minutes=minute)) for minute in (5, 6)])
    make_budget(tenant, limit=spent(tenant, now).cost)
    add_rule(tenant, now, **HALF, effective_from=now - LONG_AGO)
    return tenant


def form(now: datetime, **changes: Any) -> dict[str, Any]:
    day = now.date()
    return {"reason": "Half", "first_day": day - timedelta(days=2), "last_day": day} | changes


def all_runs(tenant: Tenant) -> list[RepriceRun]:
    with organization_scope(tenant.id):
        return list(RepriceRun.objects.order_by("id"))


def test_preview_apply_and_undo_on_the_page(usage: Tenant, now: datetime) -> None:
    client = signed_in(usage.owner)
    before = spent(usage, now).cost
    answer = client.post("/o/acme/repricing/new", form(now))
    (run,) = all_runs(usage)
    assert (answer.status_code, answer["Location"]) == (302, f"/o/acme/repricing/{run.id}")
    assert run.state == RunState.PREVIEWED, "a small scope is previewed before its page is asked for"
    page = text(client.get(answer["Location"]))
    for said in ("Nothing is booked yet", "Apply to 2 events", "falls back to 50%", "openai/gpt-4.1-nano"):
        assert said in page
    client.post(f"/o/acme/repricing/{run.id}/apply")
    assert 'hx-trigger="every 1s"' in text(client.get(f"/o/acme/repricing/{run.id}", headers={"HX-Request": "true"}))
    work(usage, now)
    assert spent(usage, now).cost == before // 2
    page = text(client.get(f"/o/acme/repricing/{run.id}"))
    assert "every 1s" not in page
    assert "Applied" in page
    client.post(f"/o/acme/repricing/{run.id}/undo")
    work(usage, now)
    assert spent(usage, now).cost == before
    assert "Half" in text(client.get("/o/acme/repricing"))


def test_days_are_those_of_the_organization(usage: Tenant, now: datetime) -> None:
    """Midnight of New York is four or five hours of the next day in UTC."""
    Organization.objects.filter(id=usage.id).update(timezone="America/New_York")
    day = now.astimezone(ZoneInfo("America/New_York")).date()
    client = signed_in(usage.owner)
    answer = client.post("/o/acme/repricing/new", form(now, first_day=day - timedelta(days=2), last_day=day))
    said = f"{day - timedelta(days=2):%-d %b %Y} to {day:%-d %b %Y}"
    assert said in text(client.get(answer["Location"]))
    assert said in text(client.get("/o/acme/repricing"))


def test_a_form_that_makes_no_sense_starts_nothing(usage: Tenant, now: datetime) -> None:
    client = signed_in(usage.owner)
    for wrong in (
        {"reason": " "},
        {"first_day": "2026-02-30"},
        {"last_day": "2020-01-01"},
        {"first_day": "1999-01-01"},
    ):
        answer = client.post("/o/acme/repricing/new", form(now, **wrong))
        assert answer.status_code == 422
    assert all_runs(usage) == []


@pytest.mark.parametrize(("role", "status"), [(Role.FINANCE, 302), (Role.VIEWER, 403), (Role.MANAGER, 403)])
def test_who_may_reprice(usage: Tenant, now: datetime, role: Role, status: int) -> None:
    run = previewed(usage, now)
    client = signed_in(make_member(usage, role))
    assert client.get(f"/o/acme/repricing/{run.id}").status_code == 200
    assert client.post(f"/o/acme/repricing/{run.id}/apply").status_code == status
    assert client.post("/o/acme/repricing/new", form(now)).status_code == status
    assert (anew(usage, run).state == RunState.APPLYING, len(all_runs(usage)) == 2) == (status == 302, status == 302)


def test_strangers_find_nothing(usage: Tenant, stranger: Tenant, now: datetime) -> None:
    run = previewed(usage, now)
    client = signed_in(stranger.owner)
    for path in (f"/o/acme/repricing/{run.id}", f"/o/globex/repricing/{run.id}", "/o/acme/repricing"):
        assert client.get(path).status_code == 404
    assert client.post(f"/o/globex/repricing/{run.id}/apply").status_code == 404
    assert signed_in(usage.owner).post(f"/o/acme/repricing/{run.id}/explode").status_code == 404
    assert anew(usage, run).state == RunState.PREVIEWED


def scope(now: datetime, **changes: Any) -> dict[str, Any]:
    times = {"start": (now - timedelta(days=2)).isoformat(), "end": now.isoformat()}
    return times | {"reason": "Half"} | changes


def test_the_api_previews_applies_and_undoes(usage: Tenant, now: datetime) -> None:
    call = Caller(make_token(usage, "prices:read", "prices:write"))
    started = call("POST", "repricings", scope(now, model="GPT-4.1-nano"))
    assert (started.status, started.body["state"], started.body["events_changed"]) == (201, "previewed", 2)
    assert started.body["cost"].startswith("-0.0")
    assert [flip["would_reach"] for flip in started.body["budgets"]] == [50]
    path = f"repricings/{started.body['id']}"
    assert call("POST", f"{path}/undo").problem == (409, "conflict")
    assert call("POST", f"{path}/apply").status == 202
    work(usage, now)
    assert call("GET", path).body["cost_booked"] == started.body["cost"]
    assert call("POST", f"{path}/apply").problem == (409, "conflict")
    assert call("POST", f"{path}/undo").status == 202
    work(usage, now)
    assert [each["state"] for each in call("GET", "repricings?limit=1").body["data"]] == ["undone"]


def test_the_api_refuses_and_books_nothing(usage: Tenant, stranger: Tenant, now: datetime) -> None:
    call = Caller(make_token(usage, "prices:write"))
    for changes, pointer in (
        ({"end": (now - timedelta(days=3)).isoformat()}, "/end"),
        ({"reason": "  "}, "/reason"),
        ({"start": "2026-01-01T00:00:00"}, "/start"),
        ({"model": "m\x00"}, "/model"),
        ({"scope": "all"}, "/scope"),
    ):
        answer = call("POST", "repricings", scope(now, **changes))
        assert (answer.problem, answer.pointers) == ((422, "validation-error"), [pointer])
    assert call("GET", "repricings").problem == (403, "insufficient-scope")
    run = previewed(usage, now)
    theirs = Caller(make_token(stranger, "prices:read", "prices:write"))
    for method, path in (("GET", ""), ("POST", "/apply"), ("POST", "/undo")):
        assert theirs(method, f"repricings/{run.id}{path}").problem == (404, "not-found")
    assert len(all_runs(usage)) == 1
    assert adjustments(usage) == []


def test_the_command(usage: Tenant, now: datetime) -> None:
    before, said = spent(usage, now).cost, StringIO()
    options = ("--organization", "acme", "--from", (now - timedelta(days=1)).isoformat(), "--to", now.isoformat())
    call_command("reprice", *options, "--reason", "Half", stdout=said)
    assert "2 of 2 events change" in said.getvalue()
    assert spent(usage, now).cost == before
    call_command("reprice", *options, "--reason", "Half", "--apply", stdout=said)
    assert "2 booked" in said.getvalue()
    assert spent(usage, now).cost == before // 2
    with pytest.raises(CommandError, match="offset"):
        call_command("reprice", *options[:3], "2026-01-01", *options[4:], "--reason", "Half")
