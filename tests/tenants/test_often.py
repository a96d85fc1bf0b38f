"""Callers that come hundreds of times a second: believed for seconds, and dead in time."""

import time
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from common.problems import Problem
from tenants import authentication
from tenants.access import organization_scope
from tenants.authentication import BELIEVED_SECONDS, authenticate_often, forget_proofs
from tenants.services import credential_revoke
from tests.factories import Tenant, make_key


@pytest.fixture(autouse=True)
def nobody_is_known() -> None:
    forget_proofs()


def caller_of(secret: str, now: datetime) -> authentication.Caller:
    request = RequestFactory().post("/api/v1/events", headers={"Authorization": f"Bearer {secret}"})
    return authenticate_often(request, now)


def test_a_proven_caller_is_not_looked_up_again(tenant: Tenant, now: datetime) -> None:
    first = caller_of(tenant.secret, now)
    with CaptureQueriesContext(connection) as queries:
        assert caller_of(tenant.secret, now) == first
    assert len(queries) == 0
    assert first.virtual_key_id == tenant.key.id


def test_a_revoked_key_is_dead_within_ten_seconds(
    tenant: Tenant, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller_of(tenant.secret, now)
    with organization_scope(tenant.id):
        credential_revoke(credential=tenant.key, actor=tenant.owner, now=now)
    assert BELIEVED_SECONDS <= 10
    later = time.monotonic() + BELIEVED_SECONDS + 0.001
    monkeypatch.setattr("tenants.authentication.time.monotonic", lambda: later)
    with pytest.raises(Problem) as refused:
        caller_of(tenant.secret, now)
    assert refused.value.slug == "unauthenticated"


def test_a_key_that_ends_by_the_clock_ends_at_once(tenant: Tenant, now: datetime) -> None:
    end = now + timedelta(hours=1)
    _, secret = make_key(tenant, "for an hour", expires_at=end)
    caller_of(secret, now)
    caller_of(secret, end - timedelta(microseconds=1))
    with pytest.raises(Problem):
        caller_of(secret, end)


@pytest.mark.parametrize("header", ["", "Bearer", "Basic x", "Bearer x' OR '1'='1"])
def test_what_is_no_credential_is_not_remembered(tenant: Tenant, now: datetime, header: str) -> None:
    request = RequestFactory().post("/api/v1/events", headers={"Authorization": header})
    for _ in range(2):
        with pytest.raises(Problem):
            authenticate_often(request, now)
    assert authentication._believed == {}
