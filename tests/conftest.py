"""Fixtures of every test. The database is real; tests connect as the application's role, so row security binds them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections
from django.test.utils import setup_databases

from tests.factories import Tenant, make_tenant

# Global reference data stays between tests; everything else a committed test wrote is taken away.
KEPT = ("django_migrations", "django_content_type", "auth_permission", "pricing_")


@pytest.fixture(scope="session", autouse=True)
def quick_passwords(django_test_environment: None) -> None:
    """Hashing a password is slow on purpose; here that would be most of the run."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest,
    django_test_environment: None,
    django_db_blocker: pytest.FixtureRequest,
    django_db_modify_db_settings: None,
) -> None:
    """The owner makes and migrates the test database; `default` is its mirror with the application's rights.

    Where tests run in several processes, each has a database of its own.

    pytest-django's own fixture would set up only the aliases that tests name, and leave `default` on the real one.
    It stays behind after the run: a throw-away server forgets it, a kept one (`--reuse-db`) uses it again.
    """
    keep = request.config.getvalue("reuse_db") and not request.config.getvalue("create_db")
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        setup_databases(verbosity=0, interactive=False, keepdb=keep, aliases={"default": None, "owner": None})
    assert connection.settings_dict["NAME"].startswith("test_")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the long form of the kill -9 campaigns")


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="session")
def price_list(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> None:
    """The catalog of list prices, committed once; loading it for every test would be most of the run."""
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        call_command("load_prices", stdout=StringIO())
        connection.close()


@pytest.fixture
def prices(price_list: None, db: None) -> None:
    """The catalog, for a test inside one transaction."""


@pytest.fixture
def committed_prices(price_list: None, committed_db: None) -> None:
    """The catalog, for a test whose transactions commit."""


@pytest.fixture
def committed_db(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[None]:
    """A database whose transactions really commit, for tests with several connections or processes."""
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        try:
            yield
        finally:
            connection.close()
            _truncate()


def _truncate() -> None:
    owner = connections["owner"]
    tables = [name for name in owner.introspection.table_names() if not name.startswith(KEPT)]
    with owner.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
    owner.close()


@pytest.fixture
def tenant(db: None) -> Tenant:
    """An organization with an owner, a team and a key."""
    return make_tenant("acme")


@pytest.fixture
def stranger(db: None) -> Tenant:
    """Another organization, whose people and keys must not get at the first one's."""
    return make_tenant("globex")


@pytest.fixture
def committed_tenant(committed_db: None) -> Tenant:
    return make_tenant("acme")
