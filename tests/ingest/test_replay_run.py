"""Sending: nothing lost and nothing doubled, whatever the server and the network do meanwhile."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from ingest.files.columns import Defaults, Event
from ingest.replay import client as client_module
from ingest.replay.client import Client, ReplayError, Target
from ingest.replay.report import Progress, report
from ingest.replay.run import Outcome, Plan, agrees, in_batches, replay, wait_until_settled
from ingest.replay.sending import Tally
from ingest.replay.source import Row, Source, open_source
from ingest.replay.totals import Account, Totals
from pricing.resolve import price_book
from tests.ingest.replay_stub import KEY, Misbehaviour, StubCostHub

ROWS = 250


@pytest.fixture
def stub() -> Iterator[StubCostHub]:
    with StubCostHub() as stub:
        yield stub


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(client_module, "LONGEST_PAUSE_S", 0.05)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    lines = [f"2023-11-16 18:{n // 60:02d}:{n % 60:02d},{1000 + n},{n}" for n in range(ROWS)]
    path.write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *lines]))
    return path


@pytest.fixture
def source(file: Path) -> Source:
    return open_source(file, Defaults("openai", "gpt-4.1-nano"))


def plan_for(stub: StubCostHub, **options: object) -> Plan:
    return replace(Plan(Target(stub.url, KEY), shift_days=1, batch=20, workers=3), **options)  # type: ignore[arg-type]


def run(source: Source, plan: Plan) -> Outcome:
    outcome = replay(source, plan, Account(None), lambda _: None)
    if not outcome.trouble:
        wait_until_settled(plan, outcome)
    return outcome


def figures(outcome: Outcome) -> tuple[int, int, int, int]:
    tally = outcome.tally
    return tally.sent, tally.accepted, tally.duplicates, tally.refused


def test_all_arrives_once_and_a_second_time_as_duplicates(source: Source, stub: StubCostHub) -> None:
    first = run(source, plan_for(stub))
    assert figures(first) == (ROWS, ROWS, 0, 0)
    assert agrees(first)
    assert first.server == Totals(ROWS, sum(1000 + n for n in range(ROWS)), sum(range(ROWS)), Decimal(0), 0)
    assert {event["time"][:10] for event in stub.stored} == {"2023-11-17"}
    assert stub.connections <= 3 + 2, "connections are kept open"
    second = run(source, plan_for(stub, batch=7, workers=1, compress=True))
    assert figures(second) == (ROWS, 0, ROWS, 0)
    assert agrees(second)
    assert stub.gzipped == -(-ROWS // 7)


def test_trouble_on_the_way_is_overcome(source: Source, stub: StubCostHub) -> None:
    stub.misbehave.extend(
        [
            Misbehaviour(),
            Misbehaviour(503, {"Retry-After": "0"}),
            Misbehaviour(502, body=b"<html>bad gateway</html>"),
            Misbehaviour(429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}),
            Misbehaviour(408),
            Misbehaviour(),
        ]
    )
    outcome = run(source, plan_for(stub))
    assert figures(outcome) == (ROWS, ROWS, 0, 0)
    assert not stub.misbehave


def test_retry_after_is_honoured(source: Source, stub: StubCostHub) -> None:
    stub.misbehave.append(Misbehaviour(429, {"Retry-After": "1"}))
    began = time.monotonic()
    assert run(source, plan_for(stub, workers=1, batch=ROWS)).tally.accepted == ROWS
    assert stub.posted_at[0] - began >= 1


def test_a_server_that_stays_away_ends_the_replay(source: Source, stub: StubCostHub) -> None:
    stub.misbehave.extend(Misbehaviour(503) for _ in range(60))
    outcome = run(source, plan_for(stub))
    assert "answers 503, after 12 attempts" in outcome.trouble
    assert outcome.tally.accepted == 0


@pytest.mark.parametrize("url", ["ftp://x", "http://", "localhost:8000", "http://h:99999", "http://[::1"])
def test_an_impossible_url_is_told_at_once(url: str) -> None:
    with pytest.raises(ReplayError, match="must look like"):
        Target(url, KEY)


def test_a_wrong_key_and_a_wrong_server_are_told(source: Source, stub: StubCostHub) -> None:
    wrong_key = run(source, plan_for(stub, target=Target(stub.url, "chk_live_wrong")))
    assert wrong_key.trouble.startswith("The key is not accepted")
    assert "chk_live_wrong" not in repr(Target(stub.url, "chk_live_wrong"))
    stub.misbehave.append(Misbehaviour(404))
    client = Client(Target(stub.url, KEY), threading.Event())
    with pytest.raises(ReplayError, match="is it the right URL"):
        client.post("/api/v1/events", {"events": []})
    client.close()


def test_nobody_there_is_told(source: Source) -> None:
    outcome = replay(source, Plan(Target("http://127.0.0.1:9", KEY), 0), Account(None), lambda _: None)
    assert "cannot be reached" in outcome.trouble


def test_refused_rows_are_left_out_and_the_rest_of_their_batch_is_sent(stub: StubCostHub, tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    rows = [f"2026-11-16T18:00:{n % 60:02d}Z,{'bad' if n % 10 == 3 else 'good'},1" for n in range(60)]
    path.write_text("\n".join(["time,model,input_tokens", *rows, "2026-11-16T18:00:00Z,good,many"]))
    stub.bad_models.add("bad")
    outcome = run(open_source(path, Defaults("openai")), plan_for(stub, shift_days=0, workers=1))
    assert figures(outcome) == (60, 54, 0, 7)
    assert (4, "model is not valid") in outcome.tally.reasons
    assert (61, "input_tokens is not a whole number") in outcome.tally.reasons
    assert len(outcome.tally.reasons) == 5
    assert agrees(outcome)


def test_another_shift_conflicts_and_the_report_says_so(source: Source, stub: StubCostHub) -> None:
    run(source, plan_for(stub))
    kept = dict(stub.events)
    plan = plan_for(stub, shift_days=2)
    outcome = run(source, plan)
    assert figures(outcome) == (ROWS, 0, 0, ROWS)
    assert outcome.tally.conflicts == ROWS
    assert stub.events == kept
    text = "\n".join(report(source, plan, outcome, ""))
    assert f"{ROWS} events are known with other content" in text
    assert "--shift-days" in text


def test_a_batch_too_large_for_the_server_is_halved(source: Source, stub: StubCostHub) -> None:
    stub.limit = 30
    assert figures(run(source, plan_for(stub, batch=100))) == (ROWS, ROWS, 0, 0)


def test_an_answer_lost_on_the_way_back_doubles_nothing(source: Source, stub: StubCostHub) -> None:
    """Half of the file is known already, as after a crash: partly known batches, and totals that agree all the same."""
    half = replace(source, rows=0)
    stopped = replay(half, plan_for(stub, workers=1), Account(None), _interrupt_after(100))
    assert stopped.stopped
    assert 100 <= len(stub.events) < ROWS
    outcome = run(source, plan_for(stub, batch=37))
    assert outcome.tally.accepted + outcome.tally.duplicates == ROWS
    assert len(stub.events) == ROWS
    assert agrees(outcome)


def _interrupt_after(count: int) -> "_Interrupt":
    return _Interrupt(count)


class _Interrupt:
    """What Ctrl-C does: it comes up in the main thread, wherever that is just then."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __call__(self, tally: Tally) -> None:
        if tally.done >= self._count:
            raise KeyboardInterrupt


def test_ctrl_c_finishes_what_is_under_way(source: Source, stub: StubCostHub) -> None:
    stub.delay_s = 0.05
    outcome = replay(source, plan_for(stub), Account(None), _interrupt_after(40))
    assert outcome.stopped
    assert outcome.tally.accepted == len(stub.events) < ROWS
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("replay-")]
    assert "stopped by hand" in "\n".join(report(source, plan_for(stub), outcome, ""))


def test_totals_wait_for_settling_and_a_difference_is_told(
    source: Source, stub: StubCostHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.replay.run.POLL_S", 0.01)
    monkeypatch.setattr("ingest.replay.run.SETTLING_PATIENCE_S", 0.2)
    stub.unsettled = 5
    plan = plan_for(stub)
    assert agrees(run(source, plan))
    outcome = replay(source, plan, Account(None), lambda _: None)
    stub.events["somebody else's"] = '{"usage": {"input_tokens": 5}}'
    wait_until_settled(plan, outcome)
    assert not agrees(outcome)
    text = "\n".join(report(source, plan, outcome, ""))
    assert "DIFFERENT" in text
    assert "The totals differ" in text


def test_other_usage_of_the_key_before_is_told_apart(source: Source, stub: StubCostHub) -> None:
    stub.events["before"] = '{"usage": {"input_tokens": 5}}'
    outcome = run(source, plan_for(stub))
    assert agrees(outcome)
    assert outcome.server
    assert outcome.server.requests == ROWS + 1
    assert "begins with the 1 requests" in "\n".join(report(source, plan_for(stub), outcome, ""))


def test_the_recorded_pace_is_kept(source: Source, stub: StubCostHub) -> None:
    began = time.monotonic()
    run(source, plan_for(stub, speed=100.0))
    assert stub.posted_at[-1] - began >= (ROWS - 1) / 100


def rows(*seconds: float) -> list[Row]:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        Row(number, {"time": (start + timedelta(seconds=second)).isoformat()}) for number, second in enumerate(seconds)
    ]


@pytest.mark.parametrize(
    ("seconds", "size", "speed", "expected"),
    [
        ((0, 1, 2, 3, 4), 2, None, [(2, 0), (2, 0), (1, 0)]),
        ((0, 0.4, 0.8, 5, 5.1), 10, 1.0, [(3, 0.8), (2, 5.1)]),
        ((0, 0.4, 0.8, 5, 5.1), 2, 1.0, [(2, 0.4), (1, 0.8), (2, 5.1)]),
        ((0, 10, 20), 10, 10.0, [(2, 1.0), (1, 2.0)]),
        ((5, 0, 6), 10, 1.0, [(3, 1.0)]),
        ((), 10, 1.0, []),
    ],
)
def test_batches(seconds: tuple[float, ...], size: int, speed: float | None, expected: list[tuple[int, float]]) -> None:
    made = in_batches(rows(*seconds), size, speed)
    assert [(len(batch.rows), round(batch.due_s, 6)) for batch in made] == expected


def test_our_account_is_exact(prices: None) -> None:
    """gpt-4.1-nano costs 0.10, cached 0.025, output 0.40 USD per million; half a nano-dollar goes to the even one."""
    base: Event = {"time": "2026-11-20T10:00:00Z", "provider": "openai", "model": "gpt-4.1-nano"}
    events: list[Event] = [
        base | {"usage": {"input_tokens": 1500, "cache_read_input_tokens": 300, "output_tokens": 250}},
        base | {"usage": {"input_tokens": 20, "cache_read_input_tokens": 20}},
        base | {"usage": {"input_tokens": 9, "requests": 3}, "cache": "hit"},
        base | {"usage": {"input_tokens": 9, "requests": 2}, "model": "nobody-knows-this"},
    ]
    cost = Decimal(1200) * Decimal("0.10") + 300 * Decimal("0.025") + 250 * Decimal("0.40") + 20 * Decimal("0.025")
    assert Account(price_book()).of(events) == Totals(7, 1538, 250, cost / 1_000_000, 2)
    assert Account(None).of(events) == Totals(7, 1538, 250, None, None)


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_moves_on_a_terminal_and_a_log_gets_lines() -> None:
    for stream, expected in ((Terminal(), "\r"), (StringIO(), "\n")):
        clock = iter([0.0, 0.1, 20.0, 20.05])
        progress = Progress(stream, 200, lambda clock=clock: next(clock))  # type: ignore[misc]
        for done in (10, 100, 101):
            progress(Tally(accepted=done))
        written = stream.getvalue()
        assert written.count("50%") == 1
        assert "100 of 200" in written
        assert "101" not in written
        assert expected in written


def test_the_command_reports_and_exits_by_the_outcome(
    file: Path, stub: StubCostHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.management.commands.replay._catalog", lambda: (None, ""))
    out = StringIO()
    call_command("replay", str(file), url=stub.url, key=KEY, provider="openai", model="m", stdout=out)
    text = out.getvalue()
    assert f"accepted    {ROWS:>14,}" in text
    assert "moved by" in text
    assert "no price catalog within reach" in text
    with pytest.raises(SystemExit) as exit_:
        call_command("replay", str(file), url=stub.url, key=KEY, provider="openai", model="n", stdout=StringIO())
    assert exit_.value.code == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.csv", "--key", KEY], "cannot be read: No such file"),
        (["{file}", "--key", KEY], "give --provider and --model"),
        (["{file}", "--model", "m", "--provider", "p"], "Give a virtual key"),
        (["{file}", "--key", KEY, "--model", "m", "--provider", "p", "--url", "nowhere"], "must look like"),
        (["{file}", "--key", KEY, "--workers", "0"], "from 1 to 32"),
        (["{file}", "--key", KEY, "--batch", "1001"], "from 1 to 1000"),
        (["{file}", "--key", KEY, "--speed", "fast"], "must be max or a number"),
        (["{file}", "--key", KEY, "--speed", "nan"], "must be max or a number"),
        (["{file}", "--key", KEY, "--shift-days", "1.5"], "auto, none or a whole number"),
    ],
)
def test_a_wrong_command_line_is_explained(file: Path, arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        call_command("replay", *(argument.format(file=file) for argument in arguments))
