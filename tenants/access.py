"""The one door to tenant data.

Every read and write of tenant data happens inside `organization_scope`, which tells Postgres whose rows this
transaction may see; row-level security shows none without it. Pages come in through `organization_page`, which takes
the organization from the URL and answers 404 to everybody who is not a member, as if there were none.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any, Concatenate

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone

from tenants.models import AuditEntry, Membership, Organization, Team, User
from tenants.roles import Permission, Role, may

# In the session: where `home` leads a member of several organizations.
LAST_ORGANIZATION = "organization"
REFUSED = "organization.refused"
KNOCK_INTERVAL = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Access:
    """A member at work in an organization; what a page gets instead of a bare request."""

    organization: Organization
    membership: Membership
    user: User
    # All of the user's, with their organizations, by name.
    memberships: Sequence[Membership]

    @property
    def role(self) -> Role:
        return Role(self.membership.role)

    def may(self, permission: Permission) -> bool:
        return may(self.role, permission)

    def team(self, team_id: int) -> Team:
        """The organization's team of this id; Http404 for any other."""
        return get_object_or_404(Team, organization=self.organization, id=team_id)

    def require(self, permission: Permission) -> None:
        if not self.may(permission):
            raise PermissionDenied(f"The role {self.role} does not allow this.")


@contextmanager
def organization_scope(organization_id: int) -> Iterator[None]:
    """A transaction that sees and writes the rows of one organization, and no other's."""
    with _local_setting("costhub.organization", organization_id):
        yield


@contextmanager
def user_scope(user_id: int) -> Iterator[None]:
    """A transaction that sees a user's own memberships and the names of those organizations."""
    with _local_setting("costhub.user", user_id):
        yield


@contextmanager
def _local_setting(name: str, value: int) -> Iterator[None]:
    nested = connection.in_atomic_block
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting(%s, true), set_config(%s, %s, true)", [name, name, str(value)])
            (before, _) = cursor.fetchone()
        yield
        # The end of the transaction, or a roll-back, takes the setting back by itself; a nested scope must do so.
        if nested and not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config(%s, %s, true)", [name, before or ""])


def memberships_of(user: User) -> list[Membership]:
    """The user's memberships with their organizations, by name: what the organization switcher shows."""
    with user_scope(user.id):
        return list(
            Membership.objects.filter(user=user).select_related("organization").order_by("organization__name", "id")
        )


def open_organization(user: User, slug: str) -> Access:
    """The user's access to the organization of this slug; Http404 for a stranger as for a slug that does not exist."""
    memberships = memberships_of(user)
    membership = next((each for each in memberships if each.organization.slug == slug), None)
    if membership is None:
        _record_stranger(user, slug)
        raise Http404("No such organization")
    return Access(organization=membership.organization, membership=membership, user=user, memberships=memberships)


def _record_stranger(user: User, slug: str) -> None:
    """The organization a stranger knocked at learns of it, once an hour; the stranger learns nothing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tenants_organization_id(%s)", [slug])
        (organization_id,) = cursor.fetchone()
    if organization_id is None:
        return
    now = timezone.now()
    knock = {"organization_id": organization_id, "actor_type": "user", "actor": user.email, "action": REFUSED}
    with organization_scope(organization_id):
        # Whoever keeps knocking must not fill the trail, where the next stranger would be overlooked.
        if not AuditEntry.objects.filter(**knock, at__gt=now - KNOCK_INTERVAL).exists():
            AuditEntry.objects.create(**knock, at=now, target=f"organization:{organization_id}")


Page = Callable[Concatenate[HttpRequest, Access, ...], HttpResponse]


def organization_page(permission: Permission = Permission.VIEW) -> Callable[[Page], Callable[..., HttpResponse]]:
    """Turns a page of an organization into a view: signed in, member, allowed, and inside the organization's scope.

    The page must render before it returns (`render`, not a lazy `TemplateResponse`): its scope ends with it.
    """

    def decorate(page: Page) -> Callable[..., HttpResponse]:
        @wraps(page)
        def view(request: HttpRequest, org_slug: str, **arguments: Any) -> HttpResponse:
            if not isinstance(request.user, User):
                return redirect_to_login(request.get_full_path())
            access = open_organization(request.user, org_slug)
            access.require(permission)
            request.access = access  # type: ignore[attr-defined]
            if request.session.get(LAST_ORGANIZATION) != org_slug:
                request.session[LAST_ORGANIZATION] = org_slug
            with organization_scope(access.organization.id):
                return page(request, access, **arguments)

        return view

    return decorate
