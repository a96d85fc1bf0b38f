"""One writer of an organization's rules and of where they stand: reading rules and changing one take turns.

Reading takes standings and alerts before the rule's own row, changing a rule takes that row first. So whoever changes
one takes this lock before anything else.
"""

from django.db import connection

_WATCHING = 1_129_270_340  # any number, as long as it is the same everywhere and no other lock's


def lock_rules(organization_id: int) -> None:
    """Waits for the lock and takes it until the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashint8(%s), %s)", [organization_id, _WATCHING])


def try_lock_rules(organization_id: int) -> bool:
    """Takes the lock until the end of the transaction, or at once says no."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashint8(%s), %s)", [organization_id, _WATCHING])
        return bool(cursor.fetchone()[0])
