"""Organizations and who and what belongs to them.

Tenant tables carry composite keys and row-level security that Django does not see: `common.tenant_tables`.
"""

from datetime import datetime
from typing import Any, ClassVar, Self

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.timezone import now as utc_now

from common.ids import new_id
from common.models import TenantModel, tenant_key
from tenants.roles import Role

ROLES = [(role.value, role.value.capitalize()) for role in Role]


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """A person, in any number of organizations. Not tenant data: one login serves all memberships."""

    id = models.BigIntegerField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=100, blank=True)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(default=utc_now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    # Nobody works on tenant data by way of Django's own permissions; allauth asks for these names all the same.
    is_staff = False
    is_superuser = False

    def __str__(self) -> str:
        return self.name or self.email


class Organization(models.Model):
    id = models.BigIntegerField(primary_key=True, default=new_id, editable=False)
    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=100)
    # Reports and new budgets use it; budgets keep the zone they were made with.
    timezone = models.CharField(max_length=64, default="UTC")
    # Whether usage of closed months is refused when it arrives, instead of counting in the open month.
    refuses_closed = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=utc_now)

    def __str__(self) -> str:
        return self.name


class Team(TenantModel):
    """A node of the tree of teams. A parent is older than its child, which rules cycles out."""

    parent = tenant_key("tenants.Team", null=True, blank=True)
    slug = models.SlugField(max_length=60)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=utc_now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "slug"], name="team_slug_unique_in_organization"),
            models.CheckConstraint(
                condition=Q(parent__isnull=True) | Q(parent__lt=models.F("id")), name="team_parent_older_so_no_cycle"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Membership(TenantModel):
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=10, choices=ROLES)
    # For the role manager: the teams (with everything below them) the member looks after.
    team_ids = ArrayField(models.BigIntegerField(), default=list, blank=True)
    created_at = models.DateTimeField(default=utc_now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="membership_one_per_user"),
            models.CheckConstraint(condition=Q(role__in=[role.value for role in Role]), name="membership_role_known"),
        ]
        indexes = [models.Index(fields=["user", "organization"], name="membership_by_user")]


class Invitation(TenantModel):
    """An offer of membership, sent by email; its token is stored as a digest and works once."""

    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=10, choices=ROLES)
    team_ids = ArrayField(models.BigIntegerField(), default=list, blank=True)
    public_id = models.CharField(max_length=12)
    digest = models.BinaryField(max_length=32)
    invited_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=utc_now)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "email"],
                condition=Q(accepted_at__isnull=True, revoked_at__isnull=True),
                name="invitation_one_open_per_email",
            ),
        ]
        indexes = [models.Index(fields=["public_id"], name="invitation_by_public_id")]


class CredentialState(models.TextChoices):
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class CredentialQuerySet(models.QuerySet[Any]):
    def in_state(self, state: str, now: datetime) -> Self:
        """Credentials whose `state(now)` is this one."""
        if state == CredentialState.REVOKED:
            return self.filter(revoked_at__isnull=False)
        present = self.filter(revoked_at__isnull=True)
        if state == CredentialState.EXPIRED:
            return present.filter(expires_at__lte=now)
        return present.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=now))


class Credential(TenantModel):
    """What virtual keys and access tokens share: a public id to find them, a digest to prove them, an end."""

    name = models.CharField(max_length=100)
    public_id = models.CharField(max_length=12)
    digest = models.BinaryField(max_length=32)
    hint = models.CharField(max_length=20)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(default=utc_now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = CredentialQuerySet.as_manager()

    class Meta:
        abstract = True

    def state(self, now: datetime) -> CredentialState:
        if self.revoked_at is not None:
            return CredentialState.REVOKED
        ended = self.expires_at is not None and self.expires_at <= now
        return CredentialState.EXPIRED if ended else CredentialState.ACTIVE


class VirtualKey(Credential):
    """The credential of a workload; its team and budgets follow from it."""

    team = tenant_key(Team)
    mode = models.CharField(max_length=4, choices=[("live", "Live"), ("test", "Test")], default="live")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "public_id"], name="virtualkey_public_id_unique"),
        ]
        # Authentication has no organization yet: it looks a key up by its public id alone, through a door.
        indexes = [models.Index(fields=["public_id"], name="virtualkey_by_public_id")]

    def __str__(self) -> str:
        return self.name


class RetiredSecret(TenantModel):
    """The secret a virtual key had before it was rotated; it proves the key until `ends_at`, so nobody is cut off."""

    virtual_key = tenant_key(VirtualKey)
    public_id = models.CharField(max_length=12)
    digest = models.BinaryField(max_length=32)
    hint = models.CharField(max_length=20)
    created_at = models.DateTimeField(default=utc_now)
    ends_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "public_id"], name="retiredsecret_public_id_unique"),
        ]
        indexes = [
            models.Index(fields=["public_id"], name="retiredsecret_by_public_id"),
            models.Index(fields=["organization", "virtual_key"], name="retiredsecret_by_key"),
        ]


class AccessToken(Credential):
    """The credential of automation: scopes instead of a team."""

    scopes = ArrayField(models.CharField(max_length=20))

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "public_id"], name="accesstoken_public_id_unique"),
        ]
        indexes = [models.Index(fields=["public_id"], name="accesstoken_by_public_id")]


class AuditEntry(TenantModel):
    """What was done, by whom, to what. Only ever appended: the application has no right to change a row."""

    at = models.DateTimeField(default=utc_now)
    # "user", "token", "key" or "system", and its id; text, so that the entry outlives what it names.
    actor_type = models.CharField(max_length=10)
    actor = models.CharField(max_length=254)
    action = models.CharField(max_length=60)
    target = models.CharField(max_length=100)
    facts = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["organization", "-at"], name="audit_newest_first")]
