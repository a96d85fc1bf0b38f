"""Addresses and secrets of Teams, webhooks and PagerDuty: what may be saved, by whom, and that nothing shows it."""

import base64
import logging
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from pytest_django import Settings

from alerts.channels import webhook
from alerts.models import Channel
from alerts.services import channel_create, channel_update
from common.outbound import check_url
from common.problems import Problem
from common.secrets import unseal
from tenants.access import organization_scope
from tenants.models import AuditEntry
from tenants.roles import Role
from tests.alerts.test_api import Caller
from tests.alerts.test_hooks import KEY, SECRET
from tests.alerts.test_pages import signed_in
from tests.common.test_outbound import INTERNAL, PUBLIC, answering
from tests.factories import Tenant, make_member, make_token

pytestmark = pytest.mark.urls("tests.alerts.urls")

TEAMS_URL = "https://prod-12.westeurope.logic.azure.com:443/workflows/abc/triggers/manual/paths/invoke?sig=secretsecret"
HOOK_ORIGIN = "http://127.0.0.1:9000"
HOOK_URL = f"{HOOK_ORIGIN}/secretsecret"


@pytest.fixture(autouse=True)
def allowed(settings: Settings) -> None:
    settings.OUTBOUND_ALLOWED_ORIGINS = frozenset({HOOK_ORIGIN, "http://127.0.0.1:9001"})


def create(tenant: Tenant, now: datetime, **given: Any) -> Channel:
    with organization_scope(tenant.id):
        return channel_create(
            **{"organization": tenant.organization, "name": "New", "actor": tenant.owner, "now": now, **given}
        )


def channels(tenant: Tenant) -> list[Channel]:
    with organization_scope(tenant.id):
        return list(Channel.objects.present().order_by("id"))


def secret_of(channel: Channel) -> str:
    return unseal(
        bytes(channel.sealed_secret or b""),
        purpose=channel.secret_purpose,
        organization_id=channel.organization_id,
    )


@pytest.mark.parametrize(
    "url",
    [
        TEAMS_URL,
        "https://contoso.webhook.office.com/webhookb2/a@b/IncomingWebhook/c/d",
        "https://default1234.56.environment.api.powerplatform.com:443/powerautomate/automations/direct/x?sig=y",
    ],
)
def test_teams_urls_are_microsofts(tenant: Tenant, now: datetime, url: str) -> None:
    create(tenant, now, kind="teams", url=url)
    (channel,) = channels(tenant)
    assert channel.url_host in url
    assert b"secretsecret" not in bytes(channel.sealed_url or b"")


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("teams", "https://webhook.office.com/x"),
        ("teams", "https://evilwebhook.office.com/x"),
        ("teams", "https://a.webhook.office.com.evil.example/x"),
        ("teams", "https://a.webhook.office.com@evil.example/x"),
        ("teams", "https://evil.example/a.logic.azure.com"),
        ("teams", "https://logic.azure.com/x"),
        ("teams", "https://a.logic.azure.com:8443/x"),
        ("teams", "http://a.logic.azure.com/x"),
        ("teams", "https://api.powerplatform.com/x"),
        ("teams", "https://hooks.slack.com/services/T0/B0/x"),
        ("pagerduty", "https://events.pagerduty.com.evil.example/v2/enqueue"),
        ("pagerduty", "https://api.pagerduty.com/v2/enqueue"),
        ("pagerduty", "https://x.events.pagerduty.com/v2/enqueue"),
        ("pagerduty", "http://events.pagerduty.com/v2/enqueue"),
        ("webhook", "http://example.com/x"),
        ("webhook", "https://127.0.0.1/x"),
        ("webhook", "https://[::1]/x"),
        ("webhook", "https://2130706433/x"),
        ("webhook", "https://169.254.169.254/latest/meta-data/"),
        ("webhook", "https://[::ffff:169.254.169.254]/x"),
        ("webhook", "https://user:pass@example.com/x"),
        ("webhook", "https://example.com:22/x"),
        ("webhook", "file:///etc/passwd"),
        ("webhook", "gopher://example.com/"),
        ("webhook", "https://example.com/a\r\nX: y"),
        ("webhook", "https://exämple.com/x"),
        ("webhook", "https://example.com/" + "a" * 5_000),
    ],
)
def test_another_url_is_refused_with_the_one_answer(tenant: Tenant, now: datetime, kind: str, url: str) -> None:
    secrets = {"webhook": {"secret": SECRET}, "pagerduty": {"secret": KEY}}
    with pytest.raises(Problem) as refusal:
        create(tenant, now, kind=kind, url=url, **secrets.get(kind, {}))
    assert (refusal.value.slug, channels(tenant)) == ("url-not-allowed", [])
    assert refusal.value.detail == "Give the https address of a public server, without user name or port."


@pytest.mark.parametrize(("address", "saved"), [(PUBLIC, True), (INTERNAL, False)])
def test_a_webhooks_name_is_resolved_before_it_is_saved(
    tenant: Tenant, now: datetime, monkeypatch: pytest.MonkeyPatch, address: str, saved: bool
) -> None:
    monkeypatch.setattr("alerts.addresses.check_url", partial(check_url, resolver=answering(address)))
    with nullcontext() if saved else pytest.raises(Problem):
        create(tenant, now, kind="webhook", url="https://example.com/x", secret=SECRET)
    assert bool(channels(tenant)) is saved


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"kind": "pagerduty"}, "secret"),
        ({"kind": "pagerduty", "secret": ""}, "secret"),
        ({"kind": "pagerduty", "secret": KEY[:-1]}, "secret"),
        ({"kind": "pagerduty", "secret": KEY + "\n"}, "secret"),
        ({"kind": "pagerduty", "secret": KEY[:-1] + "é"}, "secret"),
        ({"kind": "pagerduty", "secret": KEY, "recipients": ["a@acme.example"]}, "recipients"),
        ({"kind": "webhook", "url": HOOK_URL}, "secret"),
        ({"kind": "webhook", "url": HOOK_URL, "secret": "whsec_short"}, "secret"),
        ({"kind": "webhook", "url": HOOK_URL, "secret": base64.b64encode(bytes(32)).decode()}, "secret"),
        ({"kind": "webhook", "url": HOOK_URL, "secret": "whsec_" + base64.b64encode(bytes(65)).decode()}, "secret"),
        ({"kind": "webhook", "url": HOOK_URL, "secret": "whsec_é" + "A" * 40}, "secret"),
        ({"kind": "webhook", "secret": SECRET}, "url"),
        ({"kind": "teams"}, "url"),
        ({"kind": "teams", "url": TEAMS_URL, "secret": SECRET}, "secret"),
        ({"kind": "email", "recipients": ["a@acme.example"], "secret": SECRET}, "secret"),
        ({"kind": "teams", "url": TEAMS_URL, "hourly_limit": 0}, "hourly_limit"),
        ({"kind": "teams", "url": TEAMS_URL, "hourly_limit": 1_001}, "hourly_limit"),
    ],
)
def test_a_kind_takes_what_it_needs(tenant: Tenant, now: datetime, given: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        create(tenant, now, **given)
    assert (list(refusal.value.error_dict), channels(tenant)) == ([field], [])


def test_pagerduty_needs_its_key_alone(tenant: Tenant, now: datetime) -> None:
    create(tenant, now, kind="pagerduty", secret=KEY)
    (channel,) = channels(tenant)
    assert (channel.url_host, secret_of(channel)) == ("events.pagerduty.com", KEY)


@pytest.mark.parametrize(
    ("kind", "secret", "elsewhere", "nearby"),
    [
        ("webhook", SECRET, "http://127.0.0.1:9001/x", f"{HOOK_ORIGIN}/other"),
        ("pagerduty", KEY, "https://events.eu.pagerduty.com/v2/enqueue", f"{HOOK_ORIGIN}/other"),
    ],
)
def test_another_host_needs_the_secret_again(
    tenant: Tenant, now: datetime, kind: str, secret: str, elsewhere: str, nearby: str
) -> None:
    channel = create(tenant, now, kind=kind, url=HOOK_URL, secret=secret)
    with organization_scope(tenant.id):
        with pytest.raises(Problem) as refusal:
            channel_update(channel=channel, actor=tenant.owner, now=now, url=elsewhere)
        assert refusal.value.slug == "secret-required"
        assert channels(tenant)[0].url_host == "127.0.0.1:9000"
        channel_update(channel=channels(tenant)[0], actor=tenant.owner, now=now, url=nearby)
        channel_update(channel=channels(tenant)[0], actor=tenant.owner, now=now, url=elsewhere, secret=secret)
    (moved,) = channels(tenant)
    assert (moved.url_host in elsewhere, secret_of(moved)) == (True, secret)


@pytest.fixture
def call(tenant: Tenant) -> Caller:
    return Caller(make_token(tenant, "alerts:read", "alerts:write"))


def test_a_webhook_over_the_api_shows_its_secret_once(
    tenant: Tenant, call: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        status, made = call("POST", "channels", {"kind": "webhook", "name": "Hook", "url": HOOK_URL})
        secret = made["signing_secret"]
        assert (status, secret.startswith("whsec_"), made["hourly_limit"]) == (201, True, 600)
        path = f"channels/{made['id']}"
        status, rotated = call("POST", f"{path}/rotate-secret", {"overlap_hours": 2})
        assert (status, bool(rotated["old_secret_until"])) == (200, True)
        status, moved = call("PATCH", path, {"url": "http://127.0.0.1:9001/x"})
        assert (status, moved["type"].rsplit("/", 1)[1]) == (422, "secret-required")
        assert call("PATCH", path, {"hourly_limit": 7})[1]["hourly_limit"] == 7
    new = rotated["signing_secret"]
    seen = [call("GET", path)[1], call("GET", "channels")[1], caplog.text]
    page = signed_in(tenant.owner).get(f"/o/acme/alerts/channels/{made['id']}").content.decode()
    with organization_scope(tenant.id):
        trail = list(AuditEntry.objects.values_list("action", "target", "facts"))
    for text in map(str, [*seen, page, trail]):
        assert not any(word in text for word in (secret, new, "secretsecret"))
    assert "channel.secret_rotated" in str(trail)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("rotate-secret", {"overlap_hours": -1}, 422),
        ("rotate-secret", {"overlap_hours": 169}, 422),
        ("rotate-secret", {"overlap_hours": True}, 422),
        ("rotate-secret", {"overlap_hours": "1"}, 422),
        ("rotate-secret", {"overlap_hours": 1.0}, 422),
        ("rotate-secret", {"hours": 1}, 422),
    ],
)
def test_a_wrong_rotation_changes_nothing(
    tenant: Tenant, call: Caller, now: datetime, path: str, body: Any, status: int
) -> None:
    channel = create(tenant, now, kind="webhook", url=HOOK_URL, secret=SECRET)
    assert call("POST", f"channels/{channel.id}/{path}", body)[0] == status
    assert secret_of(channels(tenant)[0]) == SECRET


def test_only_who_may_changes_a_secret(tenant: Tenant, stranger: Tenant, call: Caller, now: datetime) -> None:
    hook = create(tenant, now, kind="webhook", url=HOOK_URL, secret=SECRET)
    other = create(tenant, now, kind="teams", url=TEAMS_URL, name="Teams")
    path, page = f"channels/{hook.id}/rotate-secret", f"/o/acme/alerts/channels/{hook.id}/secret"
    assert Caller(make_token(tenant, "alerts:read"))("POST", path, {})[0] == 403
    assert Caller(make_token(stranger, "alerts:write"))("POST", path, {})[0] == 404
    assert call("POST", f"channels/{other.id}/rotate-secret", {})[0] == 422
    assert signed_in(make_member(tenant, Role.VIEWER)).post(page, {"overlap_hours": "0"}).status_code == 403
    assert signed_in(stranger.owner).post(page, {"overlap_hours": "0"}).status_code == 404
    assert signed_in(tenant.owner).get(f"/o/acme/alerts/channels/{other.id}/secret").status_code == 404
    assert secret_of(channels(tenant)[0]) == SECRET


def test_a_webhook_from_form_to_another_secret(tenant: Tenant) -> None:
    owner = signed_in(tenant.owner)
    created = owner.post("/o/acme/alerts/channels/new/webhook", {"name": "Hook", "url": HOOK_URL})
    (channel,) = channels(tenant)
    first = secret_of(channel)
    assert first in created.content.decode()
    assert "no-store" in created["Cache-Control"]
    base = f"/o/acme/alerts/channels/{channel.id}"
    for url in ("/o/acme/alerts/channels", base, f"{base}/secret"):
        page = owner.get(url).content.decode()
        assert not any(word in page for word in (first, "secretsecret"))
    asked = {"overlap_hours": "24", "present": owner.get(f"{base}/secret").context["form"]["present"].value()}
    rotated = owner.post(f"{base}/secret", asked)
    second = secret_of(channels(tenant)[0])
    assert second != first
    assert second in rotated.content.decode()
    # Sent again, as by reloading the page, the form changes nothing.
    assert "changed already" in owner.post(f"{base}/secret", asked, follow=True).content.decode()
    assert secret_of(channels(tenant)[0]) == second
    moved = owner.post(base, {"name": "Hook", "url": "http://127.0.0.1:9001/x"})
    assert (moved.status_code, moved.context["form"].errors["secret"]) == (
        422,
        ["Another host needs the secret again."],
    )
    given = {"name": "Hook", "url": "http://127.0.0.1:9001/x", "secret": webhook.new_secret(), "hourly_limit": "3"}
    assert owner.post(base, given).status_code == 302
    (saved,) = channels(tenant)
    assert (saved.url_host, saved.hourly_limit, secret_of(saved)) == ("127.0.0.1:9001", 3, given["secret"])


@pytest.mark.parametrize(
    ("kind", "given"),
    [("teams", {"url": TEAMS_URL}), ("pagerduty", {"secret": KEY, "url": ""})],
)
def test_a_channel_from_form_to_edit(tenant: Tenant, kind: str, given: dict[str, str]) -> None:
    owner = signed_in(tenant.owner)
    assert owner.post(f"/o/acme/alerts/channels/new/{kind}", {"name": "X", **given}).status_code == 302
    (channel,) = channels(tenant)
    page = owner.get(f"/o/acme/alerts/channels/{channel.id}").content.decode()
    assert not any(word in page for word in (KEY, "secretsecret"))
    assert owner.post(f"/o/acme/alerts/channels/{channel.id}", {"name": "Y", "url": ""}).status_code == 302
    (kept,) = channels(tenant)
    assert (kept.name, bytes(kept.sealed_url or b"")) == ("Y", bytes(channel.sealed_url or b""))
    assert bytes(kept.sealed_secret or b"") == bytes(channel.sealed_secret or b"")
