"""What makes a table a tenant table in Postgres; called by migrations right after CreateModel.

- primary key (organization_id, id), so that the data can be distributed by organization;
- composite foreign keys, so that no row can point into another organization;
- row-level security, forced, so that a forgotten filter yields nothing instead of a neighbour's rows;
- rights: the application role gets what the table's promises allow (`immutable` tables: no UPDATE, no DELETE).
"""

from collections.abc import Sequence
from typing import Any

from django.db import migrations

# What RunSQL takes; its list type is invariant.
Statement = str | tuple[str, dict[str, Any] | list[Any] | tuple[Any, ...] | tuple[()] | None]

# The role of web and workers, and the role that owns the few SECURITY DEFINER doors across organizations.
APPLICATION_ROLE = "costhub_app"
DOOR_ROLE = "costhub_door"


def tenant_table(
    table: str,
    *,
    references: Sequence[tuple[str, str]] = (),
    key: Sequence[str] = ("id",),
    immutable: bool = False,
    replace_key: bool = True,
    cascade: bool = False,
) -> migrations.RunSQL:
    """`references`: (column, table) pairs, each a foreign key (organization_id, column) → (organization_id, id)."""
    statements: list[Statement] = []
    if replace_key:
        columns = ", ".join(("organization_id", *key))
        statements.append(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey, ADD PRIMARY KEY ({columns})")
    statements.append(
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_organization_exists"
        " FOREIGN KEY (organization_id) REFERENCES tenants_organization (id)"
    )
    on_delete = " ON DELETE CASCADE" if cascade else ""
    statements += [
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_{column}_same_organization"
        f" FOREIGN KEY (organization_id, {column}) REFERENCES {target} (organization_id, id){on_delete}"
        for column, target in references
    ]
    statements += row_security(table)
    if immutable:
        statements.append(f"REVOKE UPDATE, DELETE ON {table} FROM {APPLICATION_ROLE}")
    return migrations.RunSQL(statements, migrations.RunSQL.noop)


def row_security(table: str, condition: str = "organization_id = costhub_organization()") -> list[Statement]:
    """Row-level security that binds even the table's owner. Policies name the role: nobody else sees a row."""
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY {table}_own_organization ON {table} TO {APPLICATION_ROLE}"
        f" USING ({condition}) WITH CHECK ({condition})",
    ]


def door(
    signature: str, *, returns: str, body: str, reads: Sequence[str] = (), volatility: str = "STABLE"
) -> migrations.RunSQL:
    """A SECURITY DEFINER function: the only way across organizations, as narrow as its SELECT list.

    `reads` are the tables it may see; the door's role gets SELECT on them and a policy of its own.
    """
    name = signature.split("(", 1)[0]
    statements: list[Statement] = []
    for table in reads:
        statements += [
            f"GRANT SELECT ON {table} TO {DOOR_ROLE}",
            f"DROP POLICY IF EXISTS {table}_doors ON {table}",
            f"CREATE POLICY {table}_doors ON {table} FOR SELECT TO {DOOR_ROLE} USING (true)",
        ]
    statements += [
        f"CREATE FUNCTION {signature} RETURNS {returns} LANGUAGE sql {volatility} SECURITY DEFINER"
        f" SET search_path = pg_catalog, public AS $body$ {body} $body$",
        f"ALTER FUNCTION {signature} OWNER TO {DOOR_ROLE}",
        f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION {signature} TO {APPLICATION_ROLE}",
    ]
    return migrations.RunSQL(statements, f"DROP FUNCTION {name}")
