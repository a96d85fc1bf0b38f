"""Reads of imports."""

from ingest.models import UsageImport
from tenants.models import VirtualKey


def import_list(*, organization_id: int, limit: int, before_id: int | None = None) -> list[UsageImport]:
    """Newest first, each with its key."""
    found = UsageImport.objects.filter(organization_id=organization_id).select_related("virtual_key")
    if before_id is not None:
        found = found.filter(id__lt=before_id)
    return list(found.order_by("-id")[:limit])


def importable_keys(*, organization_id: int) -> list[VirtualKey]:
    """The keys usage can be booked on, by team and name. Revoked ones too: last quarter's usage may be theirs."""
    keys = VirtualKey.objects.filter(organization_id=organization_id).select_related("team")
    return list(keys.order_by("team__name", "name", "id"))
