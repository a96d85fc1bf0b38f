"""Pages of call limits for editors, readers and a stranger. On a refusal nothing has changed."""

from typing import Any

import pytest
from django.test import Client

from budgets.reservations.models import LadderStep, ModelAllowance, RateLimit, Reason, Refusal
from budgets.reservations.services import allowance_set, ladder_step_set, rate_limit_set
from tenants.access import organization_scope
from tenants.models import AuditEntry, Organization
from tenants.roles import Role
from tests.budgets.test_pages import EDITORS, READERS, as_role, signed_in, text
from tests.factories import Tenant, make_key, make_member, make_team, utc_now

PAGE = "/o/acme/limits"
MODELS: dict[str, Any] = {"rates": RateLimit, "models": ModelAllowance, "ladder": LadderStep}
PER_MINUTE = "At most 2,147,483,647 per minute."


@pytest.fixture
def owner(tenant: Tenant) -> Client:
    return signed_in(tenant.owner)


@pytest.fixture
def furnished(tenant: Tenant) -> dict[str, Any]:
    """One of each, on the team."""
    who: dict[str, Any] = {"organization": tenant.organization, "actor": tenant.owner, "now": utc_now()}
    with organization_scope(tenant.id):
        return {
            "rates": rate_limit_set(grantee=tenant.team, requests=600, tokens=None, **who)[0],
            "models": allowance_set(grantee=tenant.team, names=["gpt-4o"], **who)[0],
            "ladder": ladder_step_set(from_model="gpt-4o", to_model="gpt-4o-mini", **who)[0],
        }


def on_team(tenant: Tenant) -> str:
    return f"team:{tenant.team.id}"


def new(tenant: Tenant) -> dict[str, dict[str, str]]:
    return {
        "rates": {"on": on_team(tenant), "requests": "1,200", "tokens": ""},
        "models": {"on": f"virtual_key:{tenant.key.id}", "names": " gpt-4o\r\no3*, gpt-4o\n\n"},
        "ladder": {"from_model": "gpt-4o", "to_model": "gpt-4o-mini"},
    }


def kept(tenant: Tenant) -> list[Any]:
    """Every setting of the organization, as it stands in the database."""
    with organization_scope(tenant.id):
        return [model.objects.order_by("id").values().first() for model in MODELS.values()]


@pytest.mark.parametrize("role", EDITORS)
def test_editors_set_change_and_remove(tenant: Tenant, role: Role) -> None:
    client = as_role(tenant, role)
    for kind, given in new(tenant).items():
        assert client.get(f"{PAGE}/{kind}/new").status_code == 200
        assert client.post(f"{PAGE}/{kind}/new", given)["Location"] == PAGE
    page = text(client.get(PAGE))
    assert "1,200" in page
    assert page.count(">o3*<") == 1
    assert "Key of " in page
    rate, allowance, step = kept(tenant)
    assert (rate["requests_per_minute"], rate["tokens_per_minute"], rate["team_id"]) == (1200, None, tenant.team.id)
    assert (allowance["names"], allowance["virtual_key_id"]) == (["gpt-4o", "o3*"], tenant.key.id)
    assert (step["from_model"], step["to_model"]) == ("gpt-4o", "gpt-4o-mini")

    for kind, given in {
        "rates": {"requests": "", "tokens": "60,000"},
        "models": {"names": "", "none": "on"},
        "ladder": {"to_model": "gpt-4.1-nano"},
    }.items():
        change = changed(tenant, kind, given)
        assert client.get(change[0]).status_code == 200
        assert client.post(*change)["Location"] == PAGE
    rate, allowance, step = kept(tenant)
    assert (rate["requests_per_minute"], rate["tokens_per_minute"]) == (None, 60_000)
    assert (allowance["names"], step["to_model"]) == ([], "gpt-4.1-nano")

    for kind in MODELS:
        path = f"{changed(tenant, kind, {})[0]}/remove"
        assert client.get(path).status_code == 200
        assert client.post(path)["Location"] == PAGE
        assert client.post(path).status_code == 404
    assert kept(tenant) == [None, None, None]
    with organization_scope(tenant.id):
        entries = AuditEntry.objects.filter(action__regex="^(rate|model)_").order_by("id")
        actions = list(entries.values_list("action", "actor"))
    kinds = ("rate_limit", "model_allowance", "model_ladder")
    actor = tenant.owner.email if role is Role.OWNER else f"{role}@acme.example"
    assert actions == [(f"{kind}.{act}", actor) for act in ("set", "set", "removed") for kind in kinds]


def changed(tenant: Tenant, kind: str, given: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Where a setting is changed, and the form as somebody sends it who has just opened it."""
    with organization_scope(tenant.id):
        found: Any = MODELS[kind].objects.get()
    return f"{PAGE}/{kind}/{found.id}", given | {"seen": found.changed_at.isoformat()}


@pytest.mark.parametrize("role", READERS)
def test_readers_see_and_change_nothing(tenant: Tenant, furnished: dict[str, Any], role: Role) -> None:
    """Managers of the team too, whose role reaches as far as keys."""
    reader, before = signed_in(make_member(tenant, role, teams=[tenant.team])), kept(tenant)
    page = text(reader.get(PAGE))
    assert "600" in page
    assert "owners, admins and finance make them" in page
    assert f"{PAGE}/rates" not in page
    assert "/remove" not in page
    for kind, given in new(tenant).items():
        for path in (f"{kind}/new", f"{kind}/{furnished[kind].id}", f"{kind}/{furnished[kind].id}/remove"):
            assert reader.get(f"{PAGE}/{path}").status_code == 403
            assert reader.post(f"{PAGE}/{path}", given).status_code == 403
    assert kept(tenant) == before


def test_a_stranger_finds_nothing(tenant: Tenant, stranger: Tenant, furnished: dict[str, Any]) -> None:
    """Neither in the organization nor, by its ids, in their own; nor may they set anything on its team or key."""
    client, before = signed_in(stranger.owner), kept(tenant)
    own = f"/o/{stranger.organization.slug}/limits"
    assert client.get(PAGE).status_code == 404
    for kind, given in new(tenant).items():
        for base in (PAGE, own):
            for path in (f"{kind}/{furnished[kind].id}", f"{kind}/{furnished[kind].id}/remove"):
                assert client.get(f"{base}/{path}").status_code == 404
                assert client.post(f"{base}/{path}", given).status_code == 404
        if kind != "ladder":
            assert client.post(f"{own}/{kind}/new", given).status_code == 422
    page = text(client.get(f"{own}?team={tenant.team.id}"))
    assert "No team or key is limited per minute." in page
    assert kept(tenant) == before
    assert kept(stranger) == [None, None, None]


@pytest.mark.parametrize(
    ("kind", "wrong", "said"),
    [
        ("rates", {"requests": ""}, "Limit requests, tokens or both."),
        ("rates", {"requests": "0"}, "must be more than 0"),
        ("rates", {"requests": "-5"}, "Write a whole number"),
        ("rates", {"requests": "1_000"}, "Write a whole number"),
        ("rates", {"requests": "٣"}, "Write a whole number"),
        ("rates", {"tokens": "2,147,483,648"}, PER_MINUTE),
        ("rates", {"on": ""}, "required"),
        ("rates", {"on": "team:1"}, "not one of the available choices"),
        ("rates", {"on": "organization"}, "not one of the available choices"),
        ("models", {"names": " \n, "}, "Name at least one model."),
        ("models", {"none": "on"}, "not both."),
        ("models", {"names": "a" * 201}, "at most 200 characters"),
        ("models", {"names": "gpt\x1b4"}, "all of them visible"),
        ("models", {"names": "\n".join(map(str, range(201)))}, "At most 200 models."),
        ("ladder", {"to_model": "gpt-4o"}, "must be another model"),
        ("ladder", {"to_model": ""}, "required"),
    ],
)
def test_a_wrong_form_sets_nothing(tenant: Tenant, owner: Client, kind: str, wrong: dict[str, str], said: str) -> None:
    refused = owner.post(f"{PAGE}/{kind}/new", new(tenant)[kind] | wrong)
    assert refused.status_code == 422
    assert said in text(refused)
    assert kept(tenant) == [None, None, None]


def test_what_is_set_already_is_not_set_over(tenant: Tenant, owner: Client, furnished: dict[str, Any]) -> None:
    before, given = kept(tenant), new(tenant)
    given["models"]["on"] = on_team(tenant)
    for kind in MODELS:
        refused = owner.post(f"{PAGE}/{kind}/new", given[kind])
        assert refused.status_code == 422
        assert "It has one already." in text(refused)
    assert kept(tenant) == before


def test_a_form_that_somebody_was_faster_with(tenant: Tenant, owner: Client, furnished: dict[str, Any]) -> None:
    path, given = changed(tenant, "rates", {"requests": "5", "tokens": ""})
    with organization_scope(tenant.id):
        rate_limit_set(
            organization=tenant.organization, grantee=tenant.team, requests=900, tokens=None, actor=None, now=utc_now()
        )
    stale = owner.post(path, given)
    assert stale.status_code == 412
    assert "Somebody else changed this limit per minute" in text(stale)
    assert 'value="900"' in text(stale)
    assert kept(tenant)[0]["requests_per_minute"] == 900
    damaged = owner.post(path, given | {"seen": "yesterday"})
    assert damaged.status_code == 422
    assert "damaged" in text(damaged)
    assert kept(tenant)[0]["requests_per_minute"] == 900


def test_a_ladder_that_leads_back_is_refused(tenant: Tenant, owner: Client, furnished: dict[str, Any]) -> None:
    refused = owner.post(f"{PAGE}/ladder/new", {"from_model": "gpt-4o-mini", "to_model": "gpt-4o"})
    assert refused.status_code == 422
    assert "gpt-4o-mini → gpt-4o → gpt-4o-mini" in text(refused)
    with organization_scope(tenant.id):
        assert LadderStep.objects.count() == 1


def test_what_holds_for_a_key(tenant: Tenant, owner: Client, furnished: dict[str, Any]) -> None:
    """Its own, its team's and those above; not those of teams beside or below."""
    below, beside = make_team(tenant, "Below", tenant.team), make_team(tenant, "Beside")
    key, _ = make_key(tenant, "caller", below)
    with organization_scope(tenant.id):
        for grantee, requests in ((key, 11), (below, 22), (beside, 33)):
            rate_limit_set(
                organization=tenant.organization, grantee=grantee, requests=requests, tokens=None, actor=None,
                now=utc_now(),
            )  # fmt: skip

    def seen(query: str) -> list[str]:
        page = text(owner.get(PAGE + query))
        return [number for number in ("11", "22", "33", "600") if f">{number}</td>" in page]

    assert seen("") == ["11", "22", "33", "600"]
    assert seen(f"?key={key.id}") == ["11", "22", "600"]
    assert seen(f"?team={below.id}") == ["22", "600"]
    assert seen(f"?team={beside.id}") == ["33"]
    assert f"{PAGE}?key={key.id}" in text(owner.get("/o/acme/keys"))
    assert f"{PAGE}?team={below.id}" in text(owner.get("/o/acme/teams"))


def test_the_page_warns(tenant: Tenant, owner: Client, furnished: dict[str, Any], prices: None) -> None:
    page = text(owner.get(PAGE))
    assert f"gpt-4o-mini is not on the list of {tenant.team.name}" in page
    assert "No price is known" not in page
    with organization_scope(tenant.id):
        who: dict[str, Any] = {"organization": tenant.organization, "actor": None, "now": utc_now()}
        allowance_set(grantee=tenant.team, names=[], **who)
        ladder_step_set(from_model="gpt-4o-mini", to_model="nobodys-model", **who)
    page = text(owner.get(PAGE))
    assert "No model is on this list, so that every call is refused." in page
    assert "No price is known of nobodys-model" in page
    assert "is not on the list of" not in page


def test_refusals_lead_to_the_limits(tenant: Tenant, owner: Client) -> None:
    with organization_scope(tenant.id):
        for reason in (Reason.RATE, Reason.MODEL, Reason.BUDGET):
            Refusal.objects.create(
                organization=Organization.objects.get(), request_id=reason, at=utc_now(),
                virtual_key_id=tenant.key.id, subject={}, reason=reason,
            )  # fmt: skip
    leads = {
        reason: f"{PAGE}?key={tenant.key.id}" in text(owner.get(f"/o/acme/budgets/explain?request_id={reason}"))
        for reason in (Reason.RATE, Reason.MODEL, Reason.BUDGET)
    }
    assert leads == {Reason.RATE: True, Reason.MODEL: True, Reason.BUDGET: False}


def test_an_explanation_leads_to_the_lists(tenant: Tenant, owner: Client, furnished: dict[str, Any]) -> None:
    asked = f"/o/acme/budgets/explain?virtual_key={tenant.key.id}&provider=openai&model="
    assert text(owner.get(f"{asked}o3")).count(f"{PAGE}?key={tenant.key.id}") == 2
    assert text(owner.get(f"{asked}gpt-4o")).count(f"{PAGE}?key={tenant.key.id}") == 1


def test_unknown_kinds_are_not_found(owner: Client) -> None:
    assert owner.get(f"{PAGE}/wishes/new").status_code == 404
