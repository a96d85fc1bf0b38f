"""Writes to tenants: organizations, teams, credentials (members: `tenants.members`). Each runs inside
`organization_scope` of its caller, except `organization_create`, which opens the scope of the organization it makes.
"""

import secrets
from datetime import datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F, Model
from django.db.models.functions import Least
from django.utils.text import slugify

from common.ids import new_id
from common.problems import Problem
from tenants import tokens
from tenants.access import organization_scope
from tenants.models import (
    AccessToken,
    AuditEntry,
    Credential,
    Membership,
    Organization,
    RetiredSecret,
    Team,
    User,
    VirtualKey,
)
from tenants.names import clean_name
from tenants.roles import SCOPES, Role
from tenants.tree import ancestor_ids
from tenants.zones import known_zones

TEAMS_LIMIT = 1_000
TEAM_LEVELS = 8
CREDENTIAL_DAYS_LIMIT = 3_653
GRACE_HOURS_LIMIT = 168

Actor = User | AccessToken | None

_Model = TypeVar("_Model", bound=Model)
_Credential = TypeVar("_Credential", bound=Credential)


class AlreadyIssuedError(Exception):
    """This very request was carried out before; its secret was shown then and exists nowhere any more."""


def audit_record(
    *, organization_id: int, actor: User | Credential | None, action: str, target: Model, now: datetime, **facts: str
) -> None:
    AuditEntry.objects.create(
        organization_id=organization_id,
        at=now,
        actor_type=_actor_type(actor),
        actor=actor_name(actor),
        action=action,
        target=f"{target._meta.model_name}:{target.pk}",
        facts=facts,
    )


def actor_name(actor: User | Credential | None) -> str:
    """A person's address, a credential's hint, or our own name: text that outlives what it names."""
    return actor.email if isinstance(actor, User) else (actor.hint if actor is not None else "costhub")


def _actor_type(actor: User | Credential | None) -> str:
    match actor:
        case User():
            return "user"
        case AccessToken():
            return "token"
        case VirtualKey():
            return "key"
    return "system"


def organization_create(
    *, name: str, owner: User, timezone: str, now: datetime, slug: str | None = None
) -> Organization:
    """A new organization with its first team and its owner. Without `slug` one is made that gives nobody else away."""
    name = clean_name(name)
    organization = Organization(
        id=new_id(), name=name, slug=slug or _free_slug(name), timezone=zone_checked(timezone), created_at=now
    )
    with organization_scope(organization.id):
        checked(organization).save(force_insert=True)
        Membership.objects.create(organization=organization, user=owner, role=Role.OWNER, created_at=now)
        team_create(organization=organization, name="Default", parent=None, actor=owner, now=now)
        audit_record(
            organization_id=organization.id, actor=owner, action="organization.created", target=organization, now=now,
            name=name,
        )  # fmt: skip
    return organization


def organization_update(
    *, organization: Organization, name: str, timezone: str, actor: User, now: datetime
) -> Organization:
    organization.name, organization.timezone = clean_name(name), zone_checked(timezone)
    checked(organization).save(update_fields=["name", "timezone"])
    audit_record(
        organization_id=organization.id, actor=actor, action="organization.updated", target=organization, now=now,
        name=organization.name, timezone=organization.timezone,
    )  # fmt: skip
    return organization


def zone_checked(name: str) -> str:
    """An IANA zone's name; ValidationError for anything else."""
    if name not in known_zones():
        raise ValidationError({"timezone": "Choose an IANA time zone such as Europe/Berlin."})
    return ZoneInfo(name).key


def team_create(
    *,
    organization: Organization,
    name: str,
    parent: Team | None,
    actor: Actor,
    now: datetime,
    slug: str | None = None,
) -> Team:
    """A new team, at the top of the tree or under `parent`; ValidationError when the tree would grow too large."""
    name = clean_name(name)
    _check_room(organization, parent)
    team = Team(
        id=new_id(),
        organization=organization,
        name=name,
        parent=parent,
        slug=slug or _free_team_slug(organization, name),
        created_at=now,
    )
    checked(team)
    try:
        with transaction.atomic():
            team.save(force_insert=True)
    except IntegrityError as error:
        if "team_slug_unique_in_organization" not in str(error):
            raise
        raise ValidationError({"name": "A team of this name was made at the same moment. Try again."}) from error
    audit_record(organization_id=organization.id, actor=actor, action="team.created", target=team, now=now, name=name)
    return team


def _check_room(organization: Organization, parent: Team | None) -> None:
    parents = dict(Team.objects.filter(organization=organization).values_list("id", "parent_id"))
    if len(parents) >= TEAMS_LIMIT:
        raise ValidationError(f"An organization has at most {TEAMS_LIMIT} teams.")
    if parent is not None and len(ancestor_ids(parents, parent.id)) >= TEAM_LEVELS:
        raise ValidationError({"parent": f"The tree of teams has at most {TEAM_LEVELS} levels."})


def team_rename(*, team: Team, name: str, actor: Actor, now: datetime) -> Team:
    """Another name for the team; its slug, which scripts rely on, stays."""
    before, team.name = team.name, clean_name(name)
    checked(team).save(update_fields=["name"])
    audit_record(
        organization_id=team.organization_id, actor=actor, action="team.renamed", target=team, now=now,
        name=team.name, before=before,
    )  # fmt: skip
    return team


def virtual_key_issue(
    *,
    team: Team,
    name: str,
    actor: Actor,
    now: datetime,
    mode: str = "live",
    expires_at: datetime | None = None,
    key_id: int | None = None,
) -> tuple[VirtualKey, str]:
    """The key and its secret text, which exists nowhere else after this call.

    With a `key_id` the same request can be made twice: the second time raises AlreadyIssuedError.
    """
    return _issue(
        VirtualKey(team=team, mode=mode),
        credential_id=key_id,
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
    actor: Actor,
    now: datetime,
    expires_at: datetime | None = None,
    token_id: int | None = None,
) -> tuple[AccessToken, str]:
    """The token and its secret text; PermissionDenied when a token would hand out scopes it lacks itself."""
    if not scopes or not scopes <= SCOPES:
        raise ValidationError({"scopes": f"Choose from: {', '.join(sorted(SCOPES))}"})
    if isinstance(actor, AccessToken) and not scopes <= set(actor.scopes):
        raise PermissionDenied("A token cannot grant more than it may do itself.")
    return _issue(
        AccessToken(scopes=sorted(scopes)),
        credential_id=token_id,
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
    credential_id: int | None,
    prefix: str,
    organization_id: int,
    name: str,
    actor: Actor,
    expires_at: datetime | None,
    now: datetime,
) -> tuple[_Credential, str]:
    token = tokens.new_token(prefix)
    credential.id = credential_id or new_id()
    credential.organization_id = organization_id
    credential.name = clean_name(name)
    credential.public_id, credential.hint = token.public_id, token.hint
    credential.digest = token.digest(settings.KEY_PEPPER)
    credential.created_by = actor if isinstance(actor, User) else None
    credential.created_at, credential.expires_at = now, _end_checked(expires_at, now)
    _insert_once(checked(credential), retryable=credential_id is not None)
    _audit(credential, "issued", actor, now)
    return credential, token.text


def _end_checked(expires_at: datetime | None, now: datetime) -> datetime | None:
    if expires_at is not None and not now < expires_at <= now + timedelta(days=CREDENTIAL_DAYS_LIMIT):
        raise ValidationError({"expires_at": "The end must lie in the future, and at most ten years away."})
    return expires_at


def _insert_once(row: Model, *, retryable: bool) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        if retryable and f"{row._meta.db_table}_pkey" in str(error):
            raise AlreadyIssuedError from error
        raise


def virtual_key_rotate(
    *, key: VirtualKey, grace: timedelta, actor: Actor, now: datetime, retired_id: int | None = None
) -> tuple[VirtualKey, str]:
    """The key with a new secret. The secret it had, and any older one, works for the grace and not a moment longer.

    Problem conflict for a key that has ended. `retired_id` makes the request repeatable, as `key_id` at issuing.
    """
    key = VirtualKey.objects.select_for_update(of=("self",)).get(organization_id=key.organization_id, id=key.id)
    if key.state(now) != "active":
        raise Problem("conflict", "The key has ended, so there is nothing to rotate. Issue a new one.")
    ends_at = now + grace
    older = RetiredSecret.objects.filter(organization_id=key.organization_id, virtual_key=key, ends_at__gt=now)
    older.update(ends_at=Least(F("ends_at"), ends_at))
    retired = RetiredSecret(
        id=retired_id or new_id(), organization_id=key.organization_id, virtual_key=key, public_id=key.public_id,
        digest=key.digest, hint=key.hint, created_at=now, ends_at=ends_at,
    )  # fmt: skip
    _insert_once(retired, retryable=retired_id is not None)
    token = tokens.new_token(tokens.VIRTUAL_KEY_PREFIXES[key.mode])
    key.public_id, key.hint, key.digest = token.public_id, token.hint, token.digest(settings.KEY_PEPPER)
    key.save(update_fields=["public_id", "hint", "digest"])
    _audit(key, "rotated", actor, now, before=retired.hint, works_until=f"{ends_at:%Y-%m-%d %H:%M} UTC")
    return key, token.text


def credential_revoke(*, credential: Credential, actor: Actor, now: datetime) -> bool:
    """Ends the credential at once; False when it had been revoked before."""
    revoked = (
        type(credential)
        ._default_manager.filter(organization_id=credential.organization_id, id=credential.id, revoked_at__isnull=True)
        .update(revoked_at=now)
    )
    if revoked:
        credential.revoked_at = now
        _audit(credential, "revoked", actor, now)
    return bool(revoked)


def _audit(credential: Credential, verb: str, actor: Actor, now: datetime, **facts: str) -> None:
    audit_record(
        organization_id=credential.organization_id, actor=actor, action=f"{credential._meta.model_name}.{verb}",
        target=credential, now=now, name=credential.name, hint=credential.hint, **facts,
    )  # fmt: skip


def checked(instance: _Model) -> _Model:
    """The instance, after Django's field rules; uniqueness is left to the database, which alone can tell."""
    instance.full_clean(validate_unique=False, validate_constraints=False)
    return instance


def _free_slug(name: str) -> str:
    return f"{slugify(name)[:50] or 'org'}-{secrets.token_hex(3)}"


def _free_team_slug(organization: Organization, name: str) -> str:
    base = slugify(name)[:50] or "team"
    taken = set(Team.objects.filter(organization=organization, slug__startswith=base).values_list("slug", flat=True))
    return next(slug for slug in (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))) if slug not in taken)
