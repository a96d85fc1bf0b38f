"""What every page's frame needs: the organization at hand and the ones to switch to."""

from typing import Any

from django.http import HttpRequest

from tenants.access import LAST_ORGANIZATION, Access, memberships_of
from tenants.models import User


def organization(request: HttpRequest) -> dict[str, Any]:
    """Pages outside an organization, such as a user's own, stay in the frame of the one last looked at."""
    if not isinstance(getattr(request, "user", None), User):
        return {}
    access: Access | None = getattr(request, "access", None)
    memberships = access.memberships if access else memberships_of(request.user)  # type: ignore[arg-type]
    last = request.session.get(LAST_ORGANIZATION)
    membership = access.membership if access else next((m for m in memberships if m.organization.slug == last), None)
    return {
        "organization": membership.organization if membership else None,
        "membership": membership,
        "memberships": memberships,
    }
