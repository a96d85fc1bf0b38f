"""What every page's frame needs: the organization at hand and the ones to switch to."""

from typing import Any

from django.http import HttpRequest

from tenants.access import Access, memberships_of
from tenants.models import User


def organization(request: HttpRequest) -> dict[str, Any]:
    if not isinstance(getattr(request, "user", None), User):
        return {}
    access: Access | None = getattr(request, "access", None)
    return {
        "organization": access.organization if access else None,
        "membership": access.membership if access else None,
        "memberships": memberships_of(request.user),  # type: ignore[arg-type]
    }
