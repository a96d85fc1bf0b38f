"""Writes to tenants: organizations, teams, credentials, members. Each runs inside `organization_scope` of its caller,
except `organization_create`, which opens the scope of the organization it makes.
"""

import secrets
from datetime import datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Model
from django.utils.text import slugify

from common.ids import new_id
from tenants import tokens
from tenants.access import Access, organization_scope
from tenants.models import (
    AccessToken,
    AuditEntry,
    Credential,
    Invitation,
    Membership,
    Organization,
    Team,
    User,
    VirtualKey,
)
from tenants.roles import SCOPES, Permission, Role, grantable
from tenants.tree import subtree_ids

INVITATION_DAYS = 7
OPEN_INVITATIONS_LIMIT = 200

_Model = TypeVar("_Model", bound=Model)
_Credential = TypeVar("_Credential", bound=Credential)


def audit_record(
    *, organization_id: int, actor: User | Credential | None, action: str, target: Model, now: datetime, **facts: str
) -> None:
    AuditEntry.objects.create(
        organization_id=organization_id,
        at=now,
        actor_type={User: "user", AccessToken: "token", VirtualKey: "key"}.get(type(actor), "system"),
        actor=actor.email if isinstance(actor, User) else (actor.hint if actor is not None else "costhub"),
        action=action,
        target=f"{target._meta.model_name}:{target.pk}",
        facts=facts,
    )


def organization_create(
    *, name: str, owner: User, timezone: str, now: datetime, slug: str | None = None
) -> Organization:
    """A new organization with its first team and its owner. Without `slug` one is made that gives nobody else away."""
    organization = Organization(
        id=new_id(), name=name, slug=slug or _free_slug(name), timezone=zone_checked(timezone), created_at=now
    )
    with organization_scope(organization.id):
        _checked(organization).save(force_insert=True)
        Membership.objects.create(organization=organization, user=owner, role=Role.OWNER, created_at=now)
        team_create(organization=organization, name="Default", parent=None, actor=owner, now=now)
        audit_record(
            organization_id=organization.id, actor=owner, action="organization.created", target=organization, now=now
        )
    return organization


def organization_update(
    *, organization: Organization, name: str, timezone: str, actor: User, now: datetime
) -> Organization:
    organization.name, organization.timezone = name, zone_checked(timezone)
    _checked(organization).save(update_fields=["name", "timezone"])
    audit_record(
        organization_id=organization.id, actor=actor, action="organization.updated", target=organization, now=now
    )
    return organization


def zone_checked(name: str) -> str:
    """An IANA zone's name; ValidationError for anything else."""
    if name not in available_timezones():
        raise ValidationError({"timezone": "Choose an IANA time zone such as Europe/Berlin."})
    return ZoneInfo(name).key


def team_create(
    *,
    organization: Organization,
    name: str,
    parent: Team | None,
    actor: User | Credential | None,
    now: datetime,
    slug: str | None = None,
) -> Team:
    team = Team(
        id=new_id(),
        organization=organization,
        name=name,
        parent=parent,
        slug=slug or _free_team_slug(organization, name),
        created_at=now,
    )
    _checked(team).save(force_insert=True)
    audit_record(organization_id=organization.id, actor=actor, action="team.created", target=team, now=now)
    return team


def virtual_key_issue(
    *,
    team: Team,
    name: str,
    actor: User | AccessToken | None,
    now: datetime,
    mode: str = "live",
    expires_at: datetime | None = None,
) -> tuple[VirtualKey, str]:
    """The key and its secret text, which exists nowhere else after this call."""
    return _issue(
        VirtualKey(team=team, mode=mode),
        prefix=tokens.VIRTUAL_KEY_PREFIXES[mode],
        organization_id=team.organization_id,
        name=name,
        actor=actor,
        expires_at=expires_at,
        now=now,
    )


def access_token_issue(
    *,
    organization: Organization,
    name: str,
    scopes: frozenset[str],
    actor: User | AccessToken | None,
    now: datetime,
    expires_at: datetime | None = None,
) -> tuple[AccessToken, str]:
    """The token and its secret text; PermissionDenied when a token would hand out scopes it lacks itself."""
    if not scopes or not scopes <= SCOPES:
        raise ValidationError({"scopes": f"Choose from: {', '.join(sorted(SCOPES))}"})
    if isinstance(actor, AccessToken) and not scopes <= set(actor.scopes):
        raise PermissionDenied("A token cannot grant more than it may do itself.")
    return _issue(
        AccessToken(scopes=sorted(scopes)),
        prefix=tokens.ACCESS_TOKEN_PREFIX,
        organization_id=organization.id,
        name=name,
        actor=actor,
        expires_at=expires_at,
        now=now,
    )


def _issue(
    credential: _Credential,
    *,
    prefix: str,
    organization_id: int,
    name: str,
    actor: User | AccessToken | None,
    expires_at: datetime | None,
    now: datetime,
) -> tuple[_Credential, str]:
    if expires_at is not None and expires_at <= now:
        raise ValidationError({"expires_at": "The end must lie in the future."})
    token = tokens.new_token(prefix)
    credential.organization_id = organization_id
    credential.name = name
    credential.public_id, credential.hint = token.public_id, token.hint
    credential.digest = token.digest(settings.KEY_PEPPER)
    credential.created_by = actor if isinstance(actor, User) else None
    credential.created_at, credential.expires_at = now, expires_at
    _checked(credential).save(force_insert=True)
    audit_record(
        organization_id=organization_id,
        actor=actor,
        action=f"{credential._meta.model_name}.issued",
        target=credential,
        now=now,
    )
    return credential, token.text


def credential_revoke(*, credential: Credential, actor: User | AccessToken | None, now: datetime) -> bool:
    """Ends the credential at once; False when it had been revoked before."""
    revoked = (
        type(credential)
        ._default_manager.filter(organization_id=credential.organization_id, id=credential.id, revoked_at__isnull=True)
        .update(revoked_at=now)
    )
    if revoked:
        credential.revoked_at = now
        audit_record(
            organization_id=credential.organization_id,
            actor=actor,
            action=f"{credential._meta.model_name}.revoked",
            target=credential,
            now=now,
        )
    return bool(revoked)


def may_issue_key_for(access: Access, team: Team) -> bool:
    """Owners and admins for every team; a manager for the teams of the membership and those below them."""
    if not access.may(Permission.ISSUE_KEYS):
        return False
    return access.role is not Role.MANAGER or team.id in managed_team_ids(access)


def managed_team_ids(access: Access) -> frozenset[int]:
    teams = Team.objects.filter(organization=access.organization).values_list("id", "parent_id")
    return subtree_ids(dict(teams), access.membership.team_ids)


def member_invite(
    *, access: Access, email: str, role: Role, team_ids: list[int], now: datetime
) -> tuple[Invitation, str]:
    """An invitation and the text of its token; PermissionDenied for a role above what the inviter may grant."""
    if role not in grantable(access.role):
        raise PermissionDenied("You cannot hand out this role.")
    organization, email = access.organization, email.strip().lower()
    if Membership.objects.filter(organization=organization, user__email=email).exists():
        raise ValidationError({"email": "This person is a member already."})
    open_invitations = Invitation.objects.filter(
        organization=organization, accepted_at__isnull=True, revoked_at__isnull=True
    )
    # A new invitation to the same address replaces the old one, whose link stops working.
    open_invitations.filter(email=email).update(revoked_at=now)
    if open_invitations.count() >= OPEN_INVITATIONS_LIMIT:
        raise ValidationError({"email": f"There are {OPEN_INVITATIONS_LIMIT} open invitations already."})
    known = set(Team.objects.filter(organization=organization, id__in=team_ids).values_list("id", flat=True))
    if role is Role.MANAGER and not known:
        raise ValidationError({"team_ids": "Choose the teams this manager looks after."})
    token = tokens.new_token(tokens.INVITATION_PREFIX)
    invitation = Invitation(
        organization=organization,
        email=email,
        role=role,
        team_ids=sorted(known),
        public_id=token.public_id,
        digest=token.digest(settings.KEY_PEPPER),
        invited_by=access.user,
        created_at=now,
        expires_at=now + timedelta(days=INVITATION_DAYS),
    )
    _checked(invitation).save(force_insert=True)
    audit_record(
        organization_id=organization.id, actor=access.user, action="member.invited", target=invitation, now=now,
        email=email, role=role,
    )  # fmt: skip
    return invitation, token.text


def invitation_accept(*, invitation: Invitation, user: User, now: datetime) -> Membership:
    """Makes the invited user a member, once; PermissionDenied for anybody else or a used or expired invitation."""
    with transaction.atomic():
        taken = Invitation.objects.filter(
            organization_id=invitation.organization_id,
            id=invitation.id,
            email=user.email.lower(),
            accepted_at__isnull=True,
            revoked_at__isnull=True,
            expires_at__gt=now,
        ).update(accepted_at=now)
        if not taken:
            raise PermissionDenied("This invitation is for somebody else, or it was used, withdrawn or has expired.")
        membership, created = Membership.objects.get_or_create(
            organization_id=invitation.organization_id,
            user=user,
            defaults={"role": invitation.role, "team_ids": invitation.team_ids, "created_at": now},
        )
        if created:
            audit_record(
                organization_id=invitation.organization_id, actor=user, action="member.joined", target=membership,
                now=now, role=membership.role,
            )  # fmt: skip
    return membership


def member_remove(*, access: Access, membership: Membership, now: datetime) -> None:
    """Ends a membership. The last owner stays: an organization without one could never be handed over."""
    if membership.role not in grantable(access.role):
        raise PermissionDenied("You cannot remove this member.")
    owners = Membership.objects.select_for_update().filter(organization=access.organization, role=Role.OWNER)
    if membership.role == Role.OWNER and len(owners) == 1:
        raise ValidationError("An organization keeps at least one owner.")
    audit_record(
        organization_id=access.organization.id, actor=access.user, action="member.removed", target=membership,
        now=now, email=membership.user.email,
    )  # fmt: skip
    Membership.objects.filter(organization=access.organization, id=membership.id).delete()


def _checked(instance: _Model) -> _Model:
    """The instance, after Django's field rules; uniqueness is left to the database, which alone can tell."""
    instance.full_clean(validate_unique=False, validate_constraints=False)
    return instance


def _free_slug(name: str) -> str:
    return f"{slugify(name)[:50] or 'org'}-{secrets.token_hex(3)}"


def _free_team_slug(organization: Organization, name: str) -> str:
    base = slugify(name)[:50] or "team"
    taken = set(Team.objects.filter(organization=organization, slug__startswith=base).values_list("slug", flat=True))
    return next(slug for slug in (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))) if slug not in taken)
