"""The data folder: addresses known beforehand, secrets made once, one holder at a time."""

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from costhub.embedded import EmbeddedError, Home, secrets, urls
from tests.costhub.conftest import CHECKOUT, environment

# What sun_path holds on Linux, less the closing zero.
LONGEST_SOCKET_PATH = 107


def test_addresses_are_known_without_touching_anything(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    found = urls(missing)
    assert not missing.exists()
    assert not Home.at(missing).runtime.exists()
    assert found == urls(missing)
    assert found != urls(tmp_path / "elsewhere")


def test_addresses_do_not_depend_on_who_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = urls(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path.parent)
    assert urls(Path(tmp_path.name)) == before


def test_socket_paths_are_short_however_long_the_home(tmp_path: Path) -> None:
    found = urls(tmp_path / ("long" * 50) / ("longer" * 30))
    folder = parse_qs(urlsplit(found.database_url).query)["host"][0]
    assert len(f"{folder}/.s.PGSQL.5432.lock") <= LONGEST_SOCKET_PATH
    assert len(urlsplit(found.redis_url).path) <= LONGEST_SOCKET_PATH


def test_application_and_owner_are_different_logins(tmp_path: Path) -> None:
    found = urls(tmp_path)
    assert urlsplit(found.database_url).username == "costhub_app"
    assert urlsplit(found.database_owner_url).username == "costhub_owner"


def test_settings_may_import_it_cheaply() -> None:
    check = (
        "import sys, costhub.embedded; print([n for n in ('django', 'psycopg', 'psutil', 'redis') if n in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", check], cwd=CHECKOUT, text=True, capture_output=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_secrets_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    made = secrets(tmp_path / "home")
    path = tmp_path / "home" / "secrets.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert secrets(tmp_path / "home") == made
    assert len(made["SECRET_KEY"]) >= 50
    assert len(base64.b64decode(made["COSTHUB_SEAL_KEY"], validate=True)) == 32
    assert len(base64.b64decode(made["COSTHUB_KEY_PEPPER"], validate=True)) == 32
    assert len(set(made.values())) == 3


def test_processes_that_start_together_agree_on_the_secrets(tmp_path: Path) -> None:
    ask = (
        "import json, pathlib; from costhub.embedded import secrets;"
        f" print(json.dumps(secrets(pathlib.Path({str(tmp_path)!r}))))"
    )
    asking = [
        subprocess.Popen([sys.executable, "-c", ask], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) for _ in range(6)
    ]
    answers = {process.communicate(timeout=20)[0] for process in asking}
    assert len(answers) == 1
    assert json.loads(answers.pop()) == secrets(tmp_path)


def test_a_secret_that_a_newer_version_needs_is_added_and_the_others_stay(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text('{"SECRET_KEY": "kept"}')
    made = secrets(tmp_path)
    assert made["SECRET_KEY"] == "kept"
    assert made["COSTHUB_SEAL_KEY"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"SECRET_KEY": 7}', '{"SECRET_KEY": ""}'])
def test_damaged_secrets_are_never_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(content)
    with pytest.raises(EmbeddedError, match="damaged"):
        secrets(tmp_path)
    assert path.read_text() == content


def test_secrets_that_cannot_be_read_are_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").mkdir()
    with pytest.raises(EmbeddedError, match=r"cannot read or write .*/secrets.json: Is a directory\.$"):
        secrets(tmp_path)


def test_a_home_has_one_holder_until_it_lets_go(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    sentence = f"already running on {tmp_path} \\(process {os.getpid()}\\)"
    with home.lock(), pytest.raises(EmbeddedError, match=sentence), home.lock():
        pass
    with home.lock():
        pass


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    hold = (
        "import pathlib, time; from costhub.embedded import Home\n"
        f"with Home.at(pathlib.Path({str(tmp_path)!r})).lock():\n    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", hold], cwd=CHECKOUT, env=environment(), stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    with Home.at(tmp_path).lock():
        pass


def test_somebody_elses_socket_folder_is_refused(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "home")
    home.runtime.symlink_to(tmp_path)
    try:
        with pytest.raises(EmbeddedError, match="belongs to somebody else"):
            home.create_runtime()
    finally:
        home.runtime.unlink()


def test_a_file_where_the_home_should_be_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(EmbeddedError, match="must be a folder"):
        Home.at(tmp_path / "home").create()
