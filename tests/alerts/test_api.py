"""Alerts and channels over the API: scopes, pages of the list, refusals that change nothing."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from alerts.deliver import deliver_due
from alerts.models import Alert, Channel
from tenants.access import organization_scope
from tests.alerts.conftest import deliveries, fired, make_email_channel, make_slack_channel
from tests.factories import Tenant, make_token
from tests.servers import Answer, SlackServer

pytestmark = pytest.mark.urls("tests.alerts.urls")

SLACK_URL = "https://hooks.slack.com/services/T000/B000/secretsecret"


class Caller:
    """A program with one token."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.client, self.headers = Client(), headers

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        response = self.client.generic(
            method,
            f"/api/v1/{path}",
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode(),
            content_type="application/json",
            headers=self.headers,
        )
        if response.status_code >= 400:
            assert response["Content-Type"] == "application/problem+json"
        return response.status_code, response.json() if response.content else None


@pytest.fixture
def call(tenant: Tenant) -> Caller:
    return Caller(make_token(tenant, "alerts:read", "alerts:write"))


def channels(tenant: Tenant) -> list[Channel]:
    with organization_scope(tenant.id):
        return list(Channel.objects.present().order_by("id"))


def test_alerts_come_newest_first_page_by_page(tenant: Tenant, call: Caller, now: datetime) -> None:
    make_email_channel(tenant)
    for number in range(5):
        fired(tenant, now + timedelta(seconds=number // 2), key=str(number), title=f"Alert {number}")
    titles, cursor = [], None
    for _ in range(3):
        status, page = call("GET", "alerts?limit=2" + (f"&cursor={cursor}" if cursor else ""))
        assert status == 200
        titles += [alert["title"] for alert in page["data"]]
        cursor = page["next"]
    assert (titles, cursor) == ([f"Alert {number}" for number in (4, 3, 2, 1, 0)], None)


def test_an_alert_in_full(tenant: Tenant, call: Caller, slack: SlackServer, now: datetime) -> None:
    channel = make_slack_channel(tenant, slack.url)
    alert = fired(tenant, now)
    slack.answers.append(Answer(500, b"secret words"))
    deliver_due(clock=lambda: now)
    status, found = call("GET", f"alerts/{alert.id}")
    assert status == 200
    (delivery,) = found.pop("deliveries")
    assert found == {
        "id": str(alert.id),
        "kind": "budget_threshold",
        "severity": "warning",
        "title": "Search team: 80 % is spent",
        "facts": alert.facts,
        "created_at": now.isoformat().replace("+00:00", "Z"),
        "state": "firing",
        "rule": None,
        "subject": "",
        "recovered_at": None,
        "snoozed_until": None,
        "acknowledged_at": None,
        "acknowledged_by": "",
        "events": [{"at": found["created_at"], "kind": "fired", "by": "", "note": ""}],
    }
    assert delivery["channel"] == {"id": str(channel.id), "name": "Slack", "kind": "slack"}
    assert (delivery["status"], delivery["attempt_count"], delivery["sent_at"]) == ("pending", 1, None)
    (attempt,) = delivery["attempts"]
    assert (attempt["outcome"], attempt["detail"]) == ("retry", "Slack answered with an error (5xx).")


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("severity=critical", ["Two"]),
        ("kind=unpriced_usage", ["Three"]),
        ("acknowledged=true", ["Three"]),
        ("acknowledged=false", ["Two", "One"]),
        ("acknowledged=false&severity=info", []),
        ("state=firing", ["Two", "One"]),
        ("state=acknowledged", ["Three"]),
        ("state=snoozed", []),
        ("state=recovered", []),
        ("rule=17", []),
    ],
)
def test_filters(tenant: Tenant, call: Caller, now: datetime, query: str, titles: list[str]) -> None:
    fired(tenant, now, key="1", title="One")
    fired(tenant, now, key="2", title="Two", severity="critical")
    fired(tenant, now, key="3", title="Three", kind="unpriced_usage")
    with organization_scope(tenant.id):
        Alert.objects.filter(title="Three").update(acknowledged_at=now, acknowledged_by="x")
    assert [alert["title"] for alert in call("GET", f"alerts?{query}")[1]["data"]] == titles


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=101", "limit=1000000000", "limit=x", "limit=-1", "page_size=10", "order=password",
        "fields=sealed_url", "created__gte=x", "severity=loud", "severity=", "kind=x", "acknowledged=1",
        "state=open", "state=", "rule=x", "rule=-1",
        "cursor=x", "cursor=%00", "cursor=W10",
        "cursor=WzFlNDAwLCAxXQ", "cursor=Wzk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OSwgMV0",
        "severity=info&severity=info",
    ],
)  # fmt: skip
def test_a_query_that_is_not_understood_is_refused(call: Caller, query: str) -> None:
    status, problem = call("GET", f"alerts?{query}")
    assert (status, problem["type"].rsplit("/", 1)[1]) == (422, "validation-error")
    assert problem["errors"][0]["pointer"].startswith("/")


def test_acknowledging_twice_names_the_first(tenant: Tenant, call: Caller, now: datetime) -> None:
    alert = fired(tenant, now)
    status, first = call("POST", f"alerts/{alert.id}/acknowledge")
    assert status == 200
    assert first["acknowledged_by"].startswith("cht_")
    assert call("POST", f"alerts/{alert.id}/acknowledge") == (200, first)


def test_channels_from_creation_to_deletion(tenant: Tenant, call: Caller) -> None:
    status, mail = call("POST", "channels", {"kind": "email", "name": "Finance", "recipients": ["Ann@acme.example"]})
    assert (status, mail["recipients"], mail["enabled"]) == (201, ["ann@acme.example"], True)
    status, slack = call("POST", "channels", {"kind": "slack", "name": "#finops", "url": SLACK_URL})
    assert (status, slack["url_host"]) == (201, "hooks.slack.com")
    status, page = call("GET", "channels")
    assert [channel["name"] for channel in page["data"]] == ["#finops", "Finance"]
    assert "secretsecret" not in str((slack, page))
    path = f"channels/{slack['id']}"
    assert call("GET", path) == (200, slack)
    status, changed = call("PATCH", path, {"name": "#money", "enabled": False})
    assert (changed["name"], changed["enabled"], changed["disabled_reason"]) == (
        "#money",
        False,
        "Switched off over the API.",
    )
    assert call("PATCH", path, {"enabled": True})[1]["enabled"] is True
    assert call("PATCH", path, {}) == call("GET", path)
    assert call("DELETE", path) == (204, None)
    assert call("GET", path)[0] == call("DELETE", path)[0] == call("PATCH", path, {"name": "x"})[0] == 404
    assert [channel.name for channel in channels(tenant)] == ["Finance"]


EMAIL = {"kind": "email", "name": "New", "recipients": ["a@acme.example"]}
SLACK = {"kind": "slack", "name": "New", "url": SLACK_URL}


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        (b"", 422, "validation-error"),
        (b"{", 400, "malformed-json"),
        (b'{"kind": "email", "kind": "slack"}', 400, "malformed-json"),
        (b"[" * 1_000 + b"]" * 1_000, 400, "too-deep"),
        (b"null", 422, "validation-error"),
        (b"[]", 422, "validation-error"),
        (b'"x"', 422, "validation-error"),
        ({}, 422, "validation-error"),
        ({**EMAIL, "kind": "fax"}, 422, "validation-error"),
        ({**EMAIL, "kind": ["email"]}, 422, "validation-error"),
        ({**EMAIL, "name": 7}, 422, "validation-error"),
        ({**EMAIL, "name": None}, 422, "validation-error"),
        ({**EMAIL, "name": ""}, 422, "validation-error"),
        ({**EMAIL, "name": "x" * 101}, 422, "validation-error"),
        ({**EMAIL, "name": "\x00"}, 422, "validation-error"),
        ({**EMAIL, "name": "Taken"}, 422, "validation-error"),
        ({**EMAIL, "recipients": "a@acme.example"}, 422, "validation-error"),
        ({**EMAIL, "recipients": {"a": 1}}, 422, "validation-error"),
        ({**EMAIL, "recipients": []}, 422, "validation-error"),
        ({**EMAIL, "recipients": [1]}, 422, "validation-error"),
        ({**EMAIL, "recipients": ["nobody"]}, 422, "validation-error"),
        ({**EMAIL, "recipients": ["a@acme.example\r\nBcc: b@evil.example"]}, 422, "validation-error"),
        ({**EMAIL, "url": SLACK_URL}, 422, "validation-error"),
        ({**EMAIL, "organization_id": 1}, 422, "validation-error"),
        ({**EMAIL, "sealed_url": "x"}, 422, "validation-error"),
        ({**EMAIL, "id": "1"}, 422, "validation-error"),
        ({"kind": "email", "name": "New"}, 422, "validation-error"),
        ({**SLACK, "recipients": ["a@acme.example"]}, 422, "validation-error"),
        ({**SLACK, "url": 7}, 422, "validation-error"),
        ({**SLACK, "url": "http://127.0.0.1/"}, 422, "url-not-allowed"),
        ({**SLACK, "url": "https://hooks.slack.com@evil.example/"}, 422, "url-not-allowed"),
        ({**SLACK, "url": "https://hooks.slack.com/" + "a" * 5_000}, 422, "url-not-allowed"),
        ({**SLACK, "url": f" {SLACK_URL}"}, 422, "url-not-allowed"),
        ({"kind": "slack", "name": "New"}, 422, "validation-error"),
        ({**SLACK, "url": ""}, 422, "validation-error"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_saved(
    tenant: Tenant, call: Caller, body: Any, status: int, slug: str
) -> None:
    make_email_channel(tenant, name="Taken")
    answered, problem = call("POST", "channels", body)
    assert (answered, problem["type"].rsplit("/", 1)[1]) == (status, slug)
    assert [channel.name for channel in channels(tenant)] == ["Taken"]


def test_every_unknown_field_is_pointed_at(call: Caller) -> None:
    _, problem = call("POST", "channels", {**EMAIL, "is_admin": True, "organization": "1"})
    assert {(fault["pointer"], fault["code"]) for fault in problem["errors"]} == {
        ("/is_admin", "unknown_field"),
        ("/organization", "unknown_field"),
    }


@pytest.mark.parametrize(
    "body",
    [
        {"enabled": "yes"},
        {"enabled": 1},
        {"enabled": None},
        {"kind": "slack"},
        {"url": SLACK_URL},
        {"name": ""},
        {"recipients": []},
    ],
)
def test_a_change_that_is_wrong_changes_nothing(tenant: Tenant, call: Caller, body: Any) -> None:
    channel = make_email_channel(tenant)
    before = call("GET", f"channels/{channel.id}")
    assert call("PATCH", f"channels/{channel.id}", body)[0] == 422
    assert call("PATCH", f"channels/{channel.id}", {"name": "Half", **body})[0] == 422
    assert call("GET", f"channels/{channel.id}") == before


def test_a_test_of_a_channel(tenant: Tenant, call: Caller) -> None:
    channel = make_email_channel(tenant)
    status, alert = call("POST", f"channels/{channel.id}/test")
    assert (status, alert["kind"], [each["status"] for each in alert["deliveries"]]) == (
        202,
        "channel_test",
        ["pending"],
    )
    call("PATCH", f"channels/{channel.id}", {"enabled": False})
    status, problem = call("POST", f"channels/{channel.id}/test")
    assert (status, problem["type"].rsplit("/", 1)[1]) == (409, "conflict")
    assert len(deliveries(tenant)) == 1


def requests_for(alert: Alert, channel: Channel) -> list[tuple[str, str, Any]]:
    return [
        ("GET", "alerts", None),
        ("GET", f"alerts/{alert.id}", None),
        ("POST", f"alerts/{alert.id}/acknowledge", None),
        ("GET", "channels", None),
        ("POST", "channels", EMAIL),
        ("GET", f"channels/{channel.id}", None),
        ("PATCH", f"channels/{channel.id}", {"name": "Mine"}),
        ("DELETE", f"channels/{channel.id}", None),
        ("POST", f"channels/{channel.id}/test", None),
    ]


def unchanged(tenant: Tenant) -> bool:
    with organization_scope(tenant.id):
        untouched = Alert.objects.filter(acknowledged_at__isnull=True).count() == 1
    return untouched and [(each.name, each.enabled) for each in channels(tenant)] == [("Finance", True)]


def test_a_token_needs_the_scope(tenant: Tenant, now: datetime) -> None:
    channel, alert = make_email_channel(tenant), fired(tenant, now)
    reads = Caller(make_token(tenant, "alerts:read"))
    other = Caller(make_token(tenant, "usage:read", "budgets:write"))
    key = Caller(tenant.bearer)
    for method, path, body in requests_for(alert, channel):
        assert other(method, path, body)[0] == 403
        assert key(method, path, body)[0] == 403
        assert reads(method, path, body)[0] == (200 if method == "GET" else 403)
        assert Caller({})(method, path, body)[0] == 401
    assert unchanged(tenant)


def test_another_organizations_things_are_as_missing_as_none(tenant: Tenant, stranger: Tenant, now: datetime) -> None:
    channel, alert = make_email_channel(tenant), fired(tenant, now)
    foreign = Caller(make_token(stranger, "alerts:read", "alerts:write"))
    for method, path, body in requests_for(alert, channel):
        if path in {"alerts", "channels"}:
            continue
        _, of_another = foreign(method, path, body)
        missing = path.replace(str(alert.id), "12345").replace(str(channel.id), "12345")
        _, of_nobody = foreign(method, missing, body)
        for problem in (of_another, of_nobody):
            for changing in ("instance", "request_id"):
                problem.pop(changing)
        assert of_another == of_nobody
        assert of_another["status"] == 404
    assert foreign("GET", "alerts")[1]["data"] == foreign("GET", "channels")[1]["data"] == []
    assert unchanged(tenant)


@pytest.mark.parametrize("identifier", ["0", "-1", "x", "1e3", "99999999999999999999", "%00", "١٢", "1.0"])
def test_an_id_that_is_none_is_missing(call: Caller, identifier: str) -> None:
    assert call("GET", f"alerts/{identifier}")[0] == 404
    assert call("GET", f"channels/{identifier}")[0] == 404


def test_a_session_counts_for_nothing(tenant: Tenant) -> None:
    client = Client()
    client.force_login(tenant.owner, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert client.get("/api/v1/alerts").status_code == 401


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_other_bodies_are_not_read(tenant: Tenant, call: Caller, content_type: str) -> None:
    response = call.client.generic(
        "POST", "/api/v1/channels", b"name=x", content_type=content_type, headers=call.headers
    )
    assert response.status_code == 415
    assert channels(tenant) == []
