"""POST /api/v1/billed-usage and GET /api/v1/reconciliation."""

import json
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from reconciliation.models import BilledDay
from tenants.access import organization_scope
from tests.factories import Tenant, make_token
from tests.reconciliation.exports import OPENAI_COSTS, as_file, bucket, cost, page
from tests.reconciliation.support import COST, MODEL, bill, use, yesterday

BILLS, COMPARED = "/api/v1/billed-usage", "/api/v1/reconciliation"


def send(headers: dict[str, str], content: bytes) -> Any:
    return Client().post(BILLS, content, content_type="application/json", headers=headers)


def versions(tenant: Tenant) -> int:
    with organization_scope(tenant.id):
        return BilledDay.objects.count()


def test_a_bill_goes_in_and_the_comparison_comes_out(tenant: Tenant, prices: None, now: datetime) -> None:
    token = make_token(tenant, "reconciliation:read", "reconciliation:write")
    day = yesterday(now)
    use(tenant, day, 2, now)
    # As the provider writes it: a JSON number.
    content = as_file(page(bucket(day, cost("X")))).replace(b'"X"', b"1.0000000004")
    assert send(token, content).json() == {"new": 1, "changed": 0, "unchanged": 0}
    assert send(token, content).json() == {"new": 0, "changed": 0, "unchanged": 1}
    found = Client().get(f"{COMPARED}?provider=openai&month={day:%Y-%m}", headers=token).json()
    sums = {
        "billed": "1.000000000",
        "counted": "0.000455000",
        "accepted": "0.000000000",
        "difference": "0.999545000",
        "explained": {"unexplained": "0.999545000"},
    }
    assert 2 * COST == 455_000
    assert found["total"] == sums
    assert found["data"] == [sums | {"day": str(day), "model": MODEL}]


@pytest.mark.parametrize("query", ["", "provider=openai", "provider=openai&month=2026-1", "provider=&month=2026-10",
                                   "provider=%00&month=2026-10", "provider=openai&month=2026-10&x=1"])  # fmt: skip
def test_queries_that_make_no_sense(tenant: Tenant, query: str) -> None:
    answer = Client().get(f"{COMPARED}?{query}", headers=make_token(tenant, "reconciliation:read"))
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_what_a_token_may(tenant: Tenant, now: datetime) -> None:
    reader, writer = make_token(tenant, "reconciliation:read"), make_token(tenant, "reconciliation:write")
    query = f"{COMPARED}?provider=openai&month=2026-10"
    for headers in (reader, tenant.bearer, make_token(tenant, "usage:write")):
        assert send(headers, as_file(OPENAI_COSTS)).status_code == 403
    assert send({}, as_file(OPENAI_COSTS)).status_code == 401
    assert Client().get(query, headers=writer).status_code == 403
    assert Client().get(query, headers=reader).status_code == 200
    assert versions(tenant) == 0


def test_a_stranger_sees_nothing_of_it(tenant: Tenant, stranger: Tenant, prices: None, now: datetime) -> None:
    day = yesterday(now)
    bill(tenant, day, "1", now)
    token = make_token(stranger, "reconciliation:read")
    found = Client().get(f"{COMPARED}?provider=openai&month={day:%Y-%m}", headers=token).json()
    assert found["data"] == []


@pytest.mark.parametrize(
    ("content", "status", "pointer"),
    [
        (b"", 422, "/data"),
        (b"{", 400, None),
        (b'{"data": NaN}', 400, None),
        (b"[" * 100, 400, None),
        (b"{}", 422, "/data"),
        (b"[]", 422, ""),
        (as_file([OPENAI_COSTS, 7]), 422, "/1"),
        (as_file(OPENAI_COSTS).replace(b'"0.06"', b'"zero"'), 422, "/data/0/results/0/amount/value"),
        (as_file(OPENAI_COSTS).replace(b'"usd"', b'"eur"'), 422, "/data/0/results/0/amount/currency"),
        (as_file(OPENAI_COSTS).replace(b"1730505600", b"1830505600"), 422, "/data/0"),
        (b'{"data": "' + b"x" * 1_100_000 + b'"}', 413, None),
    ],
)
def test_bad_bodies(tenant: Tenant, content: bytes, status: int, pointer: str | None) -> None:
    answer = send(make_token(tenant, "reconciliation:write"), content)
    assert answer.status_code == status
    if pointer is not None:
        assert json.loads(answer.content)["errors"][0]["pointer"] == pointer
    assert versions(tenant) == 0
