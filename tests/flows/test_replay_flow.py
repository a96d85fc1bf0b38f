"""Recorded usage into a running product: accepted once, worth what arithmetic says, and told to mail and Slack."""

import http.cookiejar
import json
import random
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.product import CHECKOUT, Product, running_product
from tests.servers import SlackServer, SmtpServer

# USD per million tokens of gpt-4.1-nano, from the vendor's price list.
INPUT, OUTPUT = Decimal("0.10"), Decimal("0.40")
NANO = Decimal("1e-9")
ROWS = 640
ALERT_S = 30.0
FIGURES = ("sent", "accepted", "duplicates", "refused")
PAGE_RANGE = "range=7d"


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, int]]]:
    """A trace as production systems record it: long ago, unevenly spaced, 100 ns digits."""
    rng = random.Random(20)
    counts = [(rng.randrange(1, 8_000), rng.randrange(1, 900)) for _ in range(ROWS)]
    at, lines = datetime(2023, 11, 16, 18, 17, 3), ["TIMESTAMP,ContextTokens,GeneratedTokens"]  # noqa: DTZ001 - as recorded
    for context, generated in counts:
        at += timedelta(microseconds=rng.randrange(1, 12_000_000))
        lines.append(f"{at:%Y-%m-%d %H:%M:%S.%f}{rng.randrange(10)},{context},{generated}")
    path = tmp_path_factory.mktemp("trace") / "trace.csv"
    path.write_text("\n".join(lines))
    return path, counts


def cost_of(counts: list[tuple[int, int]]) -> Decimal:
    """Each call rounded half-even to the nano-dollar, then added up."""
    calls = ((context * INPUT + generated * OUTPUT) / 1_000_000 for context, generated in counts)
    return sum((call.quantize(NANO, ROUND_HALF_EVEN) for call in calls), Decimal(0))


@dataclass
class Account:
    """An organization in the product: a live key, its owner's login, a token that reads, and who is told of alerts."""

    product: Product
    slug: str
    key: str
    email: str
    password: str
    token: str
    smtp: SmtpServer
    slack: SlackServer

    def replay(self, path: Path, *more: str) -> "subprocess.CompletedProcess[str]":
        given = ("--url", self.product.url, "--key", self.key, "--provider", "openai", "--model", "gpt-4.1-nano")
        return subprocess.run(
            [sys.executable, "manage.py", "replay", str(path), *given, *more],
            cwd=CHECKOUT, env=self.product.environment, text=True, capture_output=True, timeout=120, check=False,
        )  # fmt: skip

    def spend(self) -> dict[str, Any]:
        """The total of the last days, as the API says it."""
        request = urllib.request.Request(
            f"{self.product.url}/api/v1/spend?from={_hour(3)}&to={_hour(-1)}",
            headers={"Authorization": f"Bearer {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            total: dict[str, Any] = json.load(response)["total"]
            return total

    def overview(self) -> str:
        """The page as the owner sees it after logging in."""
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        login = f"{self.product.url}/accounts/login/"
        form_page = browser.open(login, timeout=10).read().decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form_page)
        assert token
        form = {"csrfmiddlewaretoken": token[1], "login": self.email, "password": self.password}
        browser.open(urllib.request.Request(login, urlencode(form).encode(), {"Referer": login}), timeout=10)
        return str(browser.open(f"{self.product.url}/o/{self.slug}/?{PAGE_RANGE}", timeout=10).read().decode())

    def mails(self, words: str) -> list[str]:
        return [subject for mail in self.smtp.mails if words in (subject := str(mail["Subject"]))]

    def slack_texts(self, words: str) -> list[str]:
        texts = [str(request.payload.get("text")) for request in self.slack.requests]
        return [text for text in texts if words in text]


@pytest.fixture
def account(trace: tuple[Path, list[tuple[int, int]]]) -> Iterator[Account]:
    """A product of its own, whose mails and Slack messages come here; a month's budget that the trace will break."""
    limit = int(cost_of(trace[1]) * 10**9 * Decimal("0.9"))
    with (
        SmtpServer() as smtp,
        SlackServer() as slack,
        running_product(EMAIL_URL=smtp.url, OUTBOUND_ALLOWED_ORIGINS=slack.origin) as product,
    ):
        arguments = ("--slug", "replayed", "--slack", slack.url, "--limit-nano", str(limit))
        made = product.run_json("-m", "tests.flows.tenant", *arguments)
        yield Account(product, "replayed", smtp=smtp, slack=slack, **made)


def figure(report: str, name: str) -> int:
    match = re.search(rf"^  {name} +([0-9,]+)$", report, re.MULTILINE)
    assert match, report
    return int(match[1].replace(",", ""))


def shift(report: str) -> str:
    match = re.search(r"--shift-days (-?[0-9]+)\)", report)
    assert match, report
    return match[1]


def eventually(condition: Callable[[], bool], seconds: float = ALERT_S) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _hour(days_ago: int) -> str:
    """The beginning of this hour so many days ago, as the API takes it."""
    return time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime(time.time() - days_ago * 86_400))


def test_a_replay_ends_on_the_page_and_in_the_mailbox(
    account: Account, trace: tuple[Path, list[tuple[int, int]]]
) -> None:
    path, counts = trace
    cost = cost_of(counts)

    first = account.replay(path, "--batch", "50")
    assert first.returncode == 0, first.stdout + first.stderr
    assert [figure(first.stdout, name) for name in FIGURES] == [ROWS, ROWS, 0, 0]
    assert f"{cost:,.9f}" in first.stdout
    assert "DIFFERENT" not in first.stdout

    # On the API and on the page: the same figure, to the nano-dollar.
    total = account.spend()
    assert Decimal(total["cost"]) == cost
    assert (total["requests"], total["unpriced_requests"]) == (ROWS, 0)
    assert total["input_tokens"] == sum(context for context, _ in counts)
    assert total["output_tokens"] == sum(generated for _, generated in counts)
    assert f'value="{cost:.9f}"' in account.overview()

    # Told by mail and in Slack, once for this threshold.
    full = "The whole month: 100% of the budget is spent"
    assert eventually(lambda: bool(account.mails(full) and account.slack_texts(full)))

    # The same file again: all known, nothing moves, nobody is told twice.
    second = account.replay(path, "--workers", "2", "--gzip", "--shift-days", shift(first.stdout))
    assert second.returncode == 0, second.stdout + second.stderr
    assert [figure(second.stdout, name) for name in FIGURES] == [ROWS, 0, ROWS, 0]
    assert account.spend() == total

    # With other times it would be other usage under the same ids: refused, and nothing moves.
    moved = account.replay(path, "--shift-days", str(int(shift(first.stdout)) - 1))
    assert moved.returncode == 1
    assert figure(moved.stdout, "refused") == ROWS
    assert "known with other content" in moved.stdout
    assert account.spend() == total
    assert (len(account.mails(full)), len(account.slack_texts(full))) == (1, 1)

    assert "replayed: rollups and ledgers equal the events." in account.product.run("manage.py", "verify_rollups")
