"""Writes to memberships: invite, accept, change, remove; and which teams a manager looks after.

Each runs inside `organization_scope` of its caller.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from tenants import tokens
from tenants.access import Access
from tenants.models import Invitation, Membership, Organization, Team, User
from tenants.roles import Permission, Role, grantable
from tenants.selectors import team_parents
from tenants.services import audit_record, checked
from tenants.tree import subtree_ids

INVITATION_DAYS = 7
OPEN_INVITATIONS_LIMIT = 200
# Mails that a day of inviting may cause: to everybody, and to one address.
DAILY_INVITATIONS, DAILY_INVITATIONS_PER_ADDRESS = 200, 5
RATE_LIMITED = "rate_limited"
ADDRESS_LENGTH = 254


def managed_team_ids(access: Access) -> frozenset[int]:
    """The teams of the membership and everything below them."""
    return subtree_ids(team_parents(access.organization.id), access.membership.team_ids)


def key_team_ids(access: Access) -> frozenset[int]:
    """The teams whose keys the member may issue, rotate and revoke: a manager's own, everybody's for an admin."""
    if not access.may(Permission.ISSUE_KEYS):
        return frozenset()
    if access.role is Role.MANAGER:
        return managed_team_ids(access)
    return frozenset(team_parents(access.organization.id))


def member_invite(
    *, access: Access, email: str, role: Role, team_ids: Iterable[int], now: datetime
) -> tuple[Invitation, str]:
    """An invitation and the text of its token; PermissionDenied for a role above what the inviter may grant."""
    if role not in grantable(access.role):
        raise PermissionDenied("You cannot hand out this role.")
    organization, email = access.organization, address_checked(email)
    if Membership.objects.filter(organization=organization, user__email=email).exists():
        raise ValidationError({"email": "This person is a member already."})
    _check_invitation_rate(organization, email, now)
    # A new invitation to the same address replaces the old one, whose link stops working.
    open_invitations(organization).filter(email=email).update(revoked_at=now)
    token = tokens.new_token(tokens.INVITATION_PREFIX)
    invitation = Invitation(
        organization=organization,
        email=email,
        role=role,
        team_ids=_team_ids_checked(organization, role, team_ids),
        public_id=token.public_id,
        digest=token.digest(settings.KEY_PEPPER),
        invited_by=access.user,
        created_at=now,
        expires_at=now + timedelta(days=INVITATION_DAYS),
    )
    _insert(checked(invitation))
    audit_record(
        organization_id=organization.id, actor=access.user, action="member.invited", target=invitation, now=now,
        email=email, role=role,
    )  # fmt: skip
    return invitation, token.text


def _insert(invitation: Invitation) -> None:
    try:
        with transaction.atomic():
            invitation.save(force_insert=True)
    except IntegrityError as error:
        if "invitation_one_open_per_email" not in str(error):
            raise
        raise ValidationError({"email": "Somebody invited this address at the same moment."}) from error


def open_invitations(organization: Organization) -> QuerySet[Invitation]:
    return Invitation.objects.filter(organization=organization, accepted_at__isnull=True, revoked_at__isnull=True)


def address_checked(email: str) -> str:
    """The address in lower case; ValidationError for a longer one than mail knows, or letters that look like others."""
    email = email.strip().lower()
    if len(email) > ADDRESS_LENGTH:
        raise ValidationError({"email": f"An address has at most {ADDRESS_LENGTH} characters."})
    if not email.isascii():
        raise ValidationError({"email": "Enter the address in plain Latin letters."})
    return email


def _check_invitation_rate(organization: Organization, email: str, now: datetime) -> None:
    made = Invitation.objects.filter(organization=organization, created_at__gt=now - timedelta(days=1))
    if open_invitations(organization).count() >= OPEN_INVITATIONS_LIMIT or made.count() >= DAILY_INVITATIONS:
        raise ValidationError(
            {"email": ValidationError("Too many invitations are open or were sent today.", code=RATE_LIMITED)}
        )
    if made.filter(email=email).count() >= DAILY_INVITATIONS_PER_ADDRESS:
        raise ValidationError({"email": ValidationError("This address got enough mail for today.", code=RATE_LIMITED)})


def _team_ids_checked(organization: Organization, role: Role, team_ids: Iterable[int]) -> list[int]:
    """The teams of a manager, sorted; nobody else has any."""
    if role is not Role.MANAGER:
        return []
    wanted = set(team_ids)
    known = set(Team.objects.filter(organization=organization, id__in=wanted).values_list("id", flat=True))
    if not wanted or known != wanted:
        raise ValidationError({"team_ids": "Choose the teams this manager looks after."})
    return sorted(known)


def invitation_withdraw(*, access: Access, invitation: Invitation, now: datetime) -> bool:
    """Makes the link of an open invitation useless; False when it was used or withdrawn before."""
    if invitation.role not in grantable(access.role):
        raise PermissionDenied("You cannot withdraw this invitation.")
    if not open_invitations(access.organization).filter(id=invitation.id).update(revoked_at=now):
        return False
    audit_record(
        organization_id=access.organization.id, actor=access.user, action="invitation.withdrawn", target=invitation,
        now=now, email=invitation.email,
    )  # fmt: skip
    return True


def invitation_accept(*, invitation: Invitation, user: User, now: datetime) -> Membership:
    """Makes the invited user a member, once; PermissionDenied for anybody else or a used or expired invitation."""
    if not _inviter_may_still(invitation):
        raise PermissionDenied("Whoever sent this invitation may not hand out its role any more.")
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
            now=now, email=user.email, role=membership.role,
        )  # fmt: skip
    return membership


def _inviter_may_still(invitation: Invitation) -> bool:
    inviter = Membership.objects.filter(
        organization_id=invitation.organization_id, user_id=invitation.invited_by_id
    ).first()
    return inviter is not None and invitation.role in grantable(Role(inviter.role))


def member_change(
    *, access: Access, membership: Membership, role: Role, team_ids: Iterable[int], now: datetime
) -> Membership:
    """Another role for a member; PermissionDenied unless the old and the new one are the changer's to grant."""
    if not {Role(membership.role), role} <= grantable(access.role):
        raise PermissionDenied("You cannot change this member's role.")
    if role is not Role.OWNER:
        _keep_an_owner(access.organization, membership)
    before, membership.role = membership.role, role
    membership.team_ids = _team_ids_checked(access.organization, role, team_ids)
    membership.save(update_fields=["role", "team_ids"])
    audit_record(
        organization_id=access.organization.id, actor=access.user, action="member.changed", target=membership,
        now=now, email=membership.user.email, role=role, before=before,
    )  # fmt: skip
    return membership


def member_remove(*, access: Access, membership: Membership, now: datetime) -> None:
    """Ends a membership; PermissionDenied for a member of a role that the remover may not grant."""
    if Role(membership.role) not in grantable(access.role):
        raise PermissionDenied("You cannot remove this member.")
    _keep_an_owner(access.organization, membership)
    audit_record(
        organization_id=access.organization.id, actor=access.user, action="member.removed", target=membership,
        now=now, email=membership.user.email,
    )  # fmt: skip
    Membership.objects.filter(organization=access.organization, id=membership.id).delete()


def _keep_an_owner(organization: Organization, leaving: Membership) -> None:
    """The last owner stays: an organization without one could never be handed over. Holds the owners' rows."""
    owners = Membership.objects.select_for_update().filter(organization=organization, role=Role.OWNER)
    if [owner.id for owner in owners] == [leaving.id]:
        raise ValidationError("An organization keeps at least one owner.")
