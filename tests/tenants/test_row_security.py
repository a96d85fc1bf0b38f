"""The second line: what Postgres itself refuses, whatever the code above it forgets."""

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.utils import IntegrityError, ProgrammingError

from tenants.access import organization_scope, user_scope
from tenants.models import AuditEntry, Membership, Organization, Team, VirtualKey
from tests.factories import Tenant, make_team


def tenant_tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.columns"
            " JOIN information_schema.tables USING (table_schema, table_name)"
            " WHERE table_schema = 'public' AND column_name = 'organization_id' AND table_type = 'BASE TABLE'"
            " ORDER BY 1"
        )
        return [name for (name,) in cursor.fetchall()]


def test_the_application_is_bound_by_row_security(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == ("costhub_app", False, False)
        cursor.execute("SELECT count(*) FROM pg_class WHERE pg_get_userbyid(relowner) = current_user")
        assert cursor.fetchone() == (0,)


def test_every_tenant_table_forces_row_security_and_starts_its_key_with_the_organization(db: None) -> None:
    tables = tenant_tables()
    assert {"tenants_team", "usage_event", "usage_rollup", "ingest_inbox", "budgets_budget"} <= set(tables)
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(
                "SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE oid = %s::regclass", [table]
            )
            assert cursor.fetchone() == (True,), table
            cursor.execute(
                "SELECT i.indexrelid::regclass::text, a.attname FROM pg_index i"
                " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
                " WHERE i.indrelid = %s::regclass AND i.indisunique",
                [table],
            )
            assert {column for _, column in cursor.fetchall()} == {"organization_id"}, table


def test_views_see_with_their_readers_rights(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace"
            " AND NOT coalesce(reloptions @> '{security_invoker=true}', false)"
        )
        assert cursor.fetchall() == []


def test_nothing_is_visible_without_a_scope(tenant: Tenant) -> None:
    assert list(Team.objects.all()) == []
    assert list(VirtualKey.objects.all()) == []
    assert list(Organization.objects.all()) == []
    assert list(Membership.objects.all()) == []


def test_a_scope_shows_its_own_organization_only(tenant: Tenant, stranger: Tenant) -> None:
    with organization_scope(tenant.id):
        assert {team.organization_id for team in Team.objects.all()} == {tenant.id}
        assert not Team.objects.filter(id=stranger.team.id).exists()
        assert Team.objects.filter(id=stranger.team.id).update(name="taken over") == 0
    with organization_scope(stranger.id):
        assert Team.objects.get(id=stranger.team.id).name == "Default"


def test_a_row_of_another_organization_cannot_be_written(tenant: Tenant, stranger: Tenant) -> None:
    with (
        organization_scope(tenant.id),
        pytest.raises(ProgrammingError, match="row-level security"),
        transaction.atomic(),
    ):
        Team.objects.create(organization=stranger.organization, name="Trojan", slug="trojan")
    with organization_scope(stranger.id):
        assert not Team.objects.filter(slug="trojan").exists()


def test_scopes_nest_and_end(tenant: Tenant, stranger: Tenant) -> None:
    with organization_scope(tenant.id):
        with organization_scope(stranger.id):
            assert set(Team.objects.values_list("organization_id", flat=True)) == {stranger.id}
        assert set(Team.objects.values_list("organization_id", flat=True)) == {tenant.id}
    assert not Team.objects.exists()


def test_a_user_sees_own_memberships_only(tenant: Tenant, stranger: Tenant) -> None:
    with user_scope(tenant.owner.id):
        assert [m.user_id for m in Membership.objects.all()] == [tenant.owner.id]
        assert [o.id for o in Organization.objects.all()] == [tenant.id]
        assert not Team.objects.exists()


def test_a_child_team_cannot_hang_under_another_organization(tenant: Tenant, stranger: Tenant) -> None:
    with organization_scope(tenant.id):
        with pytest.raises(IntegrityError, match="parent_id_same_organization"), transaction.atomic():
            Team.objects.create(
                organization=tenant.organization, name="Trojan", slug="trojan", parent_id=stranger.team.id
            )
        assert not Team.objects.filter(slug="trojan").exists()
    with pytest.raises(ValidationError, match="parent"):
        make_team(tenant, "Trojan", parent=stranger.team)


def test_the_audit_trail_cannot_be_changed(tenant: Tenant) -> None:
    with organization_scope(tenant.id):
        assert AuditEntry.objects.filter(action="organization.created").exists()
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            AuditEntry.objects.all().delete()
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            AuditEntry.objects.update(action="nothing happened")
