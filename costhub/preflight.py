"""What must hold before a process may accept usage or settle it; broken promises stop it at start-up.

A database that cannot be reached is not checked: it is a state that passes, and every request says so itself.
"""

import logging

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection

log = logging.getLogger(__name__)

# `on` waits for the local disk, the others for a standby as well.
DURABLE = {"on", "remote_write", "remote_apply"}


def check_database() -> None:
    """ImproperlyConfigured when the database would lose what was acknowledged, or show a tenant another's rows."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('synchronous_commit'), current_setting('fsync'), current_user,"
                " rolsuper OR rolbypassrls, (SELECT count(*) FROM pg_class WHERE relowner = pg_roles.oid)"
                " FROM pg_roles WHERE rolname = current_user"
            )
            synchronous, fsync, role, privileged, owned = cursor.fetchone()
    except OperationalError as error:
        log.warning("the database could not be checked at start: %s", error)
        return
    finally:
        # Workers fork after this: the connection must not come along.
        connection.close()
    if synchronous not in DURABLE:
        raise ImproperlyConfigured(
            f"synchronous_commit is {synchronous}: acknowledged usage could be lost. Set it to on."
        )
    if fsync != "on" and not settings.ALLOW_UNSAFE_DATABASE:
        raise ImproperlyConfigured("fsync is off: acknowledged usage could be lost. Set it to on.")
    if privileged or owned:
        raise ImproperlyConfigured(
            f"The database role {role} is not held by row-level security. Use {settings.APPLICATION_ROLE}."
        )
