"""Signing up, in, out and resetting: sessions that end, rates that are counted, answers that give nobody away."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import caches
from django.test import Client
from pytest_django import Settings

from common.cache import FailOpenRedisCache
from tenants.models import User
from tests.factories import PASSWORD, Tenant, make_user
from tests.tenants.conftest import browser

LOGIN, SIGNUP, RESET = "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"
OTHER_PASSWORD = "tall ships of 1838"


@pytest.fixture
def person(db: None, fresh_email: str) -> User:
    return make_user(fresh_email)


@pytest.fixture
def client(fresh_address: str) -> Client:
    return Client(REMOTE_ADDR=fresh_address)


@pytest.fixture
def dead_redis(settings: Settings) -> Iterator[None]:
    """A Redis that refuses connections."""
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1"}}
    FailOpenRedisCache._rests_until = 0
    yield
    FailOpenRedisCache._rests_until = 0


def sign_in(client: Client, email: str, password: str = PASSWORD, **more: str) -> Any:
    return client.post(LOGIN, {"login": email, "password": password, **more})


def test_from_sign_up_to_the_first_page(client: Client, db: None, fresh_email: str) -> None:
    assert client.get("/")["Location"] == LOGIN
    data = {"email": fresh_email.upper(), "password1": OTHER_PASSWORD, "password2": OTHER_PASSWORD}
    assert client.post(SIGNUP, data)["Location"] == "/"
    assert User.objects.get().email == fresh_email
    assert client.get("/")["Location"] == "/organizations/new"
    (message,) = mail.outbox
    assert message.to == [fresh_email]
    assert "http://127.0.0.1:8000/accounts/confirm-email/" in str(message.body)
    assert client.post("/accounts/logout/")["Location"] == LOGIN
    assert client.get("/")["Location"] == LOGIN


def test_signing_in_takes_a_new_session_id(client: Client, person: User) -> None:
    # Somebody planted this session in the victim's browser.
    client.session.save()
    client.get(LOGIN)
    planted = client.session
    planted["planted"] = "yes"
    planted.save()
    client.cookies["costhub_session"] = str(planted.session_key)
    assert sign_in(client, person.email).status_code == 302
    assert client.cookies["costhub_session"].value != planted.session_key
    thief = Client()
    thief.cookies["costhub_session"] = str(planted.session_key)
    assert thief.get("/organizations/new").status_code == 302


def test_cookies_are_kept_from_scripts_and_other_sites(client: Client, person: User) -> None:
    client.get(LOGIN)
    sign_in(client, person.email)
    for name in ("costhub_session", "csrftoken"):
        cookie = client.cookies[name]
        assert cookie["httponly"], name
        assert cookie["samesite"] == "Lax", name
        assert cookie["path"] == "/", name
        assert not cookie["domain"], name


def test_another_password_ends_every_other_session(client: Client, person: User) -> None:
    other = browser(person)
    assert other.get("/organizations/new").status_code == 200
    sign_in(client, person.email)
    form = {"oldpassword": PASSWORD, "password1": OTHER_PASSWORD, "password2": OTHER_PASSWORD}
    assert client.post("/accounts/password/change/", form).status_code == 302
    assert client.get("/organizations/new").status_code == 200
    assert other.get("/organizations/new").status_code == 302
    assert [message.to for message in mail.outbox] == [[person.email]]


def test_a_reset_password_ends_every_session_and_its_link_works_once(client: Client, person: User) -> None:
    other = browser(person)
    client.post(RESET, {"email": person.email})
    (url,) = re.findall(r"http://127\.0\.0\.1:8000(/accounts/password/reset/key/\S+)", str(mail.outbox[0].body))
    page = client.get(url, follow=True)
    form = {"password1": OTHER_PASSWORD, "password2": OTHER_PASSWORD}
    assert client.post(page.redirect_chain[-1][0], form).status_code == 302
    assert other.get("/organizations/new").status_code == 302
    assert b"no longer works" in Client().get(url, follow=True).content
    assert sign_in(client, person.email, OTHER_PASSWORD)["Location"] == "/"


def test_a_reset_says_the_same_to_everybody(client: Client, person: User, fresh_address: str) -> None:
    known = client.post(RESET, {"email": person.email}, follow=True)
    unknown = Client(REMOTE_ADDR=fresh_address).post(RESET, {"email": "nobody@people.example"}, follow=True)
    texts = [re.sub(rb'value="[^"]*"', b"", answer.content) for answer in (known, unknown)]
    assert texts[0] == texts[1]
    assert known.status_code == unknown.status_code == 200
    assert SESSION_KEY not in client.session


def test_a_link_in_a_mail_leads_to_the_configured_address_whatever_the_host_header(
    client: Client, person: User, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS = ["evil.example"]
    client.post(RESET, {"email": person.email}, headers={"Host": "evil.example"})
    assert b"evil.example" not in mail.outbox[0].message().as_bytes()


def test_a_dead_mail_server_keeps_nobody_from_signing_up(
    client: Client, db: None, fresh_email: str, settings: Settings
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    data = {"email": fresh_email, "password1": OTHER_PASSWORD, "password2": OTHER_PASSWORD}
    assert client.post(SIGNUP, data)["Location"] == "/"
    assert client.post(RESET, {"email": fresh_email}).status_code == 302


def test_guessing_a_password_ends_in_429_and_locks_the_account_for_a_while(client: Client, person: User) -> None:
    answers = [sign_in(client, person.email, f"guess {number}").status_code for number in range(40)]
    assert answers[-1] == 429
    assert answers.count(200) == 30
    # From elsewhere, too, and even with the right password: five guesses were wrong.
    elsewhere = Client(REMOTE_ADDR="2001:db8:ffff::1")
    answer = sign_in(elsewhere, person.email)
    assert answer.status_code == 200
    assert b"Too many failed login attempts" in answer.content
    assert SESSION_KEY not in elsewhere.session


def test_the_rate_is_counted_in_redis(client: Client, person: User) -> None:
    sign_in(client, person.email, "wrong")
    connection = caches["default"]._cache.get_client()  # type: ignore[attr-defined]
    assert any(b"login_failed" in key for key in connection.keys("*allauth*"))


def test_a_made_up_forwarding_header_does_not_reset_the_rate(client: Client, person: User) -> None:
    for number in range(31):
        answer = client.post(
            LOGIN, {"login": person.email, "password": "wrong"}, headers={"X-Forwarded-For": f"198.51.100.{number}"}
        )
    assert answer.status_code == 429


def test_without_redis_people_still_sign_in(client: Client, person: User, dead_redis: None) -> None:
    assert sign_in(client, person.email, "wrong").status_code == 200
    started = datetime.now(UTC)
    assert sign_in(client, person.email)["Location"] == "/"
    assert datetime.now(UTC) - started < timedelta(seconds=2)
    assert SESSION_KEY in client.session


@pytest.mark.parametrize(
    "email",
    [
        "", "x", "a" * 100_000 + "@people.example", "a@people.example\r\nBcc: b@people.example", "a@b\x00.example",
        "раураl@people.example", "a@реоple.example", "a" * 250 + "@people.example",
    ],
)  # fmt: skip
def test_addresses_that_do_not_sign_up(client: Client, db: None, email: str) -> None:
    data = {"email": email, "password1": OTHER_PASSWORD, "password2": OTHER_PASSWORD}
    assert client.post(SIGNUP, data).status_code == 200
    assert not User.objects.exists()
    assert mail.outbox == []


@pytest.mark.parametrize("password", ["short", "password123", "1234567890", ""])
def test_passwords_that_are_too_easy(client: Client, db: None, fresh_email: str, password: str) -> None:
    assert client.post(SIGNUP, {"email": fresh_email, "password1": password, "password2": password}).status_code == 200
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"]
)
def test_signing_in_leads_nowhere_else(client: Client, person: User, target: str) -> None:
    assert sign_in(client, person.email, next=target)["Location"] == "/"


def test_signing_out_takes_a_post(client: Client, person: User) -> None:
    sign_in(client, person.email)
    assert client.get("/accounts/logout/").status_code == 200
    assert SESSION_KEY in client.session
    client.post("/accounts/logout/")
    assert not Session.objects.exists()


def test_forms_of_accounts_take_no_post_from_elsewhere(tenant: Tenant, fresh_address: str) -> None:
    client = Client(enforce_csrf_checks=True, REMOTE_ADDR=fresh_address)
    assert sign_in(client, tenant.owner.email).status_code == 403
    assert SESSION_KEY not in client.session
