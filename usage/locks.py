"""One writer of sums per organization: settling, repairing rollups and making a budget take turns."""

from django.db import connection

_SETTLING = 1_129_270_339  # any number, as long as it is the same everywhere and no other lock's


def lock_organization(organization_id: int) -> None:
    """Waits for the lock and takes it until the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashint8(%s), %s)", [organization_id, _SETTLING])
