"""The inbox and the claims on event ids, made by hand-written SQL (`ingest.tables`) and read through the ORM."""

from django.db import models
from django.db.models import Q
from django.utils.timezone import now as utc_now

from common.models import TenantModel, tenant_key


class InboxBatch(models.Model):
    """A batch of accepted events that is not settled yet. Settling deletes it in the transaction that stores them."""

    pk = models.CompositePrimaryKey("organization_id", "id")
    organization_id = models.BigIntegerField()
    id = models.BigIntegerField()
    received_at = models.DateTimeField()
    # MessagePack of the list of `usage.records.Reported`; all of one virtual key.
    payload = models.BinaryField()
    events = models.IntegerField()
    virtual_key_id = models.BigIntegerField()
    # The format or tool it came by, such as "native" or "otlp".
    source = models.TextField(default="native")
    attempts = models.IntegerField(default=0)
    not_before = models.DateTimeField()
    error = models.TextField(default="")

    class Meta:
        managed = False
        db_table = "ingest_inbox"


class Claim(models.Model):
    """An event id that was accepted, and the digest of what it said. Never more than one per organization."""

    pk = models.CompositePrimaryKey("organization_id", "event_id")
    organization_id = models.BigIntegerField()
    event_id = models.TextField()
    digest = models.BinaryField(max_length=16)
    claimed_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "ingest_claim"


class ImportState(models.TextChoices):
    DRAFT = "draft", "To be mapped"
    CHECKING = "checking", "Checking"
    CHECKED = "checked", "Checked"
    IMPORTING = "importing", "Importing"
    DONE = "done", "Imported"
    CANCELLED = "cancelled", "Cancelled"
    FAILED = "failed", "Failed"


# A worker is at it, or will be.
AT_WORK = (ImportState.CHECKING, ImportState.IMPORTING)
OPEN = (ImportState.DRAFT, ImportState.CHECKING, ImportState.CHECKED, ImportState.IMPORTING)


class UsageImport(TenantModel):
    """A file of usage on its way in. Its rows wait in chunks beside it, which are deleted when it ends; what it counts
    moves in the transaction of each chunk, so that a crash anywhere costs nothing and repeats nothing."""

    name = models.CharField(max_length=200)
    # SHA-256 of the file, in hex.
    digest = models.CharField(max_length=64)
    size = models.BigIntegerField(help_text="bytes")
    rows = models.IntegerField()
    # Names of a CSV's columns, empty for JSON Lines; the first rows, to choose the mapping by.
    columns = models.JSONField(default=list, blank=True)
    sample = models.JSONField(default=list, blank=True)
    # What each column means, "" for one that is left out.
    fields = models.JSONField(default=list, blank=True)
    provider = models.CharField(max_length=200, blank=True)
    model = models.CharField(max_length=200, blank=True)
    allow_old = models.BooleanField(default=False)
    virtual_key = tenant_key("tenants.VirtualKey", null=True, blank=True)
    state = models.CharField(max_length=10, choices=ImportState.choices, default=ImportState.DRAFT)
    # Rows that the running check or import has been through, and what became of them.
    done = models.IntegerField(default=0)
    accepted = models.IntegerField(default=0)
    duplicates = models.IntegerField(default=0)
    refused = models.IntegerField(default=0)
    conflicts = models.IntegerField(default=0)
    # The first refused rows: [number, column, reason].
    faults = models.JSONField(default=list, blank=True)
    failure = models.TextField(blank=True)
    created_by = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=utc_now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(rows__gte=0, done__gte=0, done__lte=models.F("rows")), name="import_within_its_rows"
            ),
            models.CheckConstraint(
                condition=Q(done=models.F("accepted") + models.F("duplicates") + models.F("refused")),
                name="import_accounts_for_every_row",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["draft", "cancelled", "failed"]) | Q(virtual_key__isnull=False),
                name="import_at_work_has_a_key",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ImportChunk(TenantModel):
    """Some rows of a file, as `ingest.files.reading` found them."""

    usage_import = tenant_key(UsageImport)
    # The number of its first row, counted from 1 without the header.
    first = models.IntegerField()
    rows = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "usage_import", "first"], name="import_has_each_row_once")
        ]
