"""The inbox and the claims on event ids, made by hand-written SQL (`ingest.tables`) and read through the ORM."""

from django.db import models


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
