"""What tests of budgets share."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.test import Client

from budgets.models import Budget
from budgets.services import budget_create
from budgets.terms import Measure, Terms
from ingest import inbox, pipeline
from ingest.schema import parse_events
from tenants.access import organization_scope
from tenants.models import Team, VirtualKey
from tests.factories import Tenant, utc_now

USD = 10**9


def make_budget(
    tenant: Tenant,
    name: str = "budget",
    *,
    limit: int = 100 * USD,
    team: Team | None = None,
    key: VirtualKey | None = None,
    period: str = "month",
    timezone: str = "UTC",
    thresholds: tuple[int, ...] = (50, 80, 100),
    now: datetime | None = None,
    on: str = "",
    terms: Terms | None = None,
    **measure: Any,
) -> Budget:
    """A budget on what `on` names (a scope of values, with `value`), the key, the team or else the organization."""
    scope = on or ("virtual_key" if key else "team" if team else "organization")
    with organization_scope(tenant.id):
        return budget_create(
            organization=tenant.organization,
            name=name,
            measure=Measure(scope, team, key, period, timezone, **measure),
            limit=limit,
            thresholds=list(thresholds),
            terms=terms or Terms(),
            actor=tenant.owner,
            now=now or utc_now(),
        )


class Caller:
    """A program with one credential, speaking to the API."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.client, self.credential = Client(), headers

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> "Answer":
        response = self.client.generic(
            method,
            f"/api/v1/{path}",
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode(),
            content_type="application/json",
            headers=self.credential | {name.replace("_", "-"): value for name, value in headers.items()},
        )
        if response.status_code >= 400:
            assert response["Content-Type"] == "application/problem+json"
        return Answer(response.status_code, response.json() if response.content else None, dict(response.headers))


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: dict[str, str]

    @property
    def problem(self) -> tuple[int, str]:
        """The status and the type of a refusal."""
        return self.status, self.body["type"].rsplit("/", 1)[-1]

    @property
    def pointers(self) -> list[str]:
        return [fault["pointer"] for fault in self.body["errors"]]


def use(tenant: Tenant, *events: dict[str, Any], key: VirtualKey | None = None, now: datetime | None = None) -> None:
    """Reports the events for the key and settles them."""
    moment = now or utc_now()
    _, reported = parse_events(list(events), pointers=[""] * len(events), now=moment)
    with organization_scope(tenant.id):
        inbox.accept(organization_id=tenant.id, events={(key or tenant.key).id: reported}, now=moment)
    assert pipeline.settle_waiting(moment) == len(events)
