"""The numbers beside the navigation's entries."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from alerts.selectors import open_alert_count
from tenants.access import Access
from usage.selectors import SpendQuery, total

UNPRICED_DAYS = 30


def nav_counts(request: HttpRequest) -> dict[str, Any]:
    """Alerts nobody has acknowledged, and requests of the last 30 days that have no price."""
    access: Access | None = getattr(request, "access", None)
    if access is None or request.headers.get("HX-Request"):
        return {}
    now = timezone.now()
    organization_id = access.organization.id
    recent = total(SpendQuery(organization_id, now - timedelta(days=UNPRICED_DAYS), now))
    return {
        "nav_counts": {
            "alerts": open_alert_count(organization_id=organization_id),
            "unpriced": recent.unpriced_requests,
        }
    }
