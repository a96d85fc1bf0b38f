"""The price list once for all tests of pages: loading it for each would be most of the run."""

from io import StringIO

import pytest
from django.core.management import call_command


@pytest.fixture(scope="session")
def price_list(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> None:
    """The catalog of list prices, committed; it stays for the tests that come after."""
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        call_command("load_prices", stdout=StringIO())
