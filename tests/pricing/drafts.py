"""Rules for tests, made through the product's own services."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from pricing.drafts import Draft
from pricing.models import PriceRule
from pricing.services import rule_add
from tenants.access import organization_scope
from tests.factories import Tenant

DISCOUNT: dict[str, Any] = {
    "name": "Enterprise agreement",
    "provider": "openai",
    "model": "*",
    "kind": "percent",
    "percent": Decimal(-15),
}
FIXED: dict[str, Any] = {
    "name": "Nano deal",
    "provider": "openai",
    "model": "gpt-4.1-nano",
    "kind": "fixed",
    "units": {"input": "0.08", "output": "0.30"},
}


def add_rule(tenant: Tenant, now: datetime, confirmed: bool = False, **given: Any) -> PriceRule:
    with organization_scope(tenant.id):
        return rule_add(
            organization=tenant.organization, draft=Draft(**given), actor=tenant.owner, now=now, confirmed=confirmed
        )
