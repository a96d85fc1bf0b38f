"""The process refuses to start on a database that would break a promise."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection, connections

from costhub.preflight import check_database


@pytest.fixture
def keep_open(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own transaction stays, whatever the check closes."""
    monkeypatch.setattr(connection, "close", lambda: None)


def test_the_test_database_is_fine(keep_open: None) -> None:
    check_database()


def test_commits_that_do_not_wait_are_refused(keep_open: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
    with pytest.raises(ImproperlyConfigured, match="synchronous_commit is off"):
        check_database()


def test_a_role_that_owns_tables_is_refused(django_db_setup: None, django_db_blocker: Any, monkeypatch: Any) -> None:
    with django_db_blocker.unblock():
        owner = connections["owner"]
        monkeypatch.setattr("costhub.preflight.connection", owner)
        with pytest.raises(ImproperlyConfigured, match="not held by row-level security"):
            check_database()


def test_a_database_that_is_away_is_no_reason_not_to_start(monkeypatch: Any, caplog: Any) -> None:
    def refuse() -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr("costhub.preflight.connection.cursor", refuse)
    check_database()
    assert "could not be checked" in caplog.text
