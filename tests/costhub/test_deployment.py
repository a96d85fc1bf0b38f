"""What cannot be run here is held to what can be checked: compose file, image, settings, pins, scripts."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from costhub.embedded.postgres import BOOTSTRAP, Postgres
from costhub.gunicorn_config import PathLogger, access_log_format
from tests.costhub.conftest import CHECKOUT, environment

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"]
OURS = ("web", "worker", "beat", "migrate")
SECRETS = {
    "SECRET_KEY": "s" * 50,
    "COSTHUB_KEY_PEPPER": "A" * 43 + "=",
    "COSTHUB_SEAL_KEY": "A" * 43 + "=",
}


def read(name: str) -> str:
    return (CHECKOUT / name).read_text()


def documented() -> set[str]:
    return set(re.findall(r"^#?([A-Z][A-Z_]+)=", read(".env.example"), re.MULTILINE))


def asked_for() -> set[str]:
    """Names that our code reads from the environment."""
    packages = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["root_packages"]
    sources = [path.read_text() for package in packages for path in (CHECKOUT / package).rglob("*.py")]
    readers = r"(?:env\.(?:text|flag|number|words)\(|os\.environ\.get\(|os\.environ\[|environment\.get\()"
    readers += r'\s*"([A-Z][A-Z_]+)"'
    return {name for source in sources for name in re.findall(readers, source)} - {"PATH"}


def test_every_setting_is_documented_and_nothing_else() -> None:
    assert len(asked_for()) > 15
    for_compose_alone = {"POSTGRES_PASSWORD", "COSTHUB_OWNER_PASSWORD", "COSTHUB_APP_PASSWORD", "PUBLISH"}
    assert documented() == asked_for() | for_compose_alone


def test_the_example_ships_no_secret() -> None:
    values = dict(re.findall(r"^([A-Z][A-Z_]+)=(.*)$", read(".env.example"), re.MULTILINE))
    secret = {"SECRET_KEY", "COSTHUB_KEY_PEPPER", "COSTHUB_SEAL_KEY"}
    secret |= {"POSTGRES_PASSWORD", "COSTHUB_OWNER_PASSWORD", "COSTHUB_APP_PASSWORD"}
    assert {values[name] for name in secret} == {""}


def test_compose_asks_for_nothing_undocumented() -> None:
    assert set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", read("docker-compose.yml"))) <= documented()


def test_compose_has_the_real_layout() -> None:
    assert set(SERVICES) == {*OURS, "postgres", "redis"}
    assert "appendonly" in " ".join(SERVICES["redis"]["command"])
    assert "synchronous_commit=on" in SERVICES["postgres"]["command"]
    for name in ("web", "worker", "beat"):
        waits = SERVICES[name]["depends_on"]
        assert waits["migrate"]["condition"] == "service_completed_successfully"
        assert waits["postgres"]["condition"] == waits["redis"]["condition"] == "service_healthy"
    for name in ("worker", "postgres", "redis"):
        assert SERVICES[name]["healthcheck"]["test"]
    assert "HEALTHCHECK" in read("Dockerfile")


def test_only_the_migration_knows_the_owner() -> None:
    assert [name for name in OURS if "DATABASE_OWNER_URL" in SERVICES[name]["environment"]] == ["migrate"]
    assert "costhub_app:" in SERVICES["web"]["environment"]["DATABASE_URL"]


@pytest.mark.parametrize("name", OURS)
def test_commands_of_services_exist(name: str) -> None:
    program, *arguments = SERVICES[name]["command"]
    assert (Path(sys.executable).parent / program).exists()
    if program == "python":
        assert arguments[0] == "manage.py"
        assert arguments[1] in get_commands()
        ran = subprocess.run(
            [sys.executable, *arguments, "--help"],
            cwd=CHECKOUT,
            env=os.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0
        assert set(arguments[2:]) <= set(ran.stdout.split()) | {word.strip("[],") for word in ran.stdout.split()}


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_celery_understands_its_options(name: str) -> None:
    _, app, package, part, *options = SERVICES[name]["command"]
    assert (app, package) == ("--app", "costhub")
    ran = subprocess.run(
        [sys.executable, "-m", "celery", part, "--help"],
        cwd=CHECKOUT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(option in ran.stdout for option in options if option.startswith("--"))


def test_gunicorn_accepts_its_configuration_and_the_application() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "gunicorn", "--check-config", "--config", "python:costhub.gunicorn_config"],
        cwd=CHECKOUT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def test_compose_itself_agrees_where_it_is_installed() -> None:
    """The rest of the file holds by the tests above; this one adds the tool's own opinion where there is one."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    ):
        assert importlib.util.find_spec("yaml")
        return
    filled = dict.fromkeys(documented(), "x")
    subprocess.run(["docker", "compose", "config", "--quiet"], cwd=CHECKOUT, env=environment(**filled), check=True)


def test_roles_are_the_same_in_the_container_and_embedded() -> None:
    [script] = re.findall(r"<<'SQL'\n(.*)SQL\n", read("docker/roles.sh"), re.DOTALL)
    without_passwords = re.sub(r" PASSWORD :'\w+'", "", script)
    assert without_passwords.replace(";\n", "\n") == BOOTSTRAP


def test_the_image_holds_what_runs_and_not_more() -> None:
    kept = set(re.findall(r"^!(\S+)$", read(".dockerignore"), re.MULTILINE))
    packages = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["root_packages"]
    assert kept == {*packages, "static", "templates", "manage.py", "requirements.txt"}
    assert re.search(r"^USER costhub$", read("Dockerfile"), re.MULTILINE)
    assert all((CHECKOUT / name).exists() for name in kept)


def test_static_files_can_be_collected_as_in_the_image(tmp_path: Path) -> None:
    settings = {"DATABASE_URL": "postgresql://build@localhost/build", "REDIS_URL": "redis://localhost"}
    places = {"STATIC_ROOT": str(tmp_path / "static"), "COSTHUB_HOME": str(tmp_path / "home")}
    ran = subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input"],
        cwd=CHECKOUT,
        env=environment(**settings, **SECRETS, **places),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "static" / "staticfiles.json").exists()


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_pins_have_hashes_and_name_no_host(name: str) -> None:
    text = read(f"{name}.txt")
    pins = re.split(r"\n(?=\S)", text.strip())
    assert all(re.match(r"[a-z0-9-]+(\[[a-z,]+\])?==\S+", pin) and "--hash=sha256:" in pin for pin in pins)
    assert "://" not in text + read(f"{name}.in")
    wanted = set(re.findall(r"^([a-zA-Z][a-zA-Z0-9-]+)", read(f"{name}.in"), re.MULTILINE))
    assert {word.lower() for word in wanted} <= {pin.partition("==")[0].partition("[")[0] for pin in pins}


def test_development_uses_the_versions_of_production() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9-]+==\S+)", read(name), re.MULTILINE))

    assert pins("requirements.txt") <= pins("requirements-dev.txt")


@pytest.mark.parametrize("script", [".ci/run", "tools/chromium.sh", "docker/roles.sh"])
def test_scripts_are_well_formed(script: str) -> None:
    assert os.access(CHECKOUT / script, os.X_OK)
    subprocess.run(["bash", "-n", CHECKOUT / script], check=True)


def test_every_make_target_is_explained_and_known() -> None:
    listed = subprocess.run(["make", "help"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"make (\w+)", listed)) >= {
        "run", "test", "lint", "format", "bench", "faults", "setup", "lock", "clean", "help",
    }  # fmt: skip
    ran = subprocess.run(["make", "-n", "run", "PORT=9123"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert "up --port 9123" in ran.stdout


def test_the_access_log_has_no_query_and_no_forged_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = PathLogger.__new__(PathLogger)
    environ = {
        "RAW_URI": "/api/v1/events%0Aforged?api_key=chk_live_secret",
        "PATH_INFO": "/api/v1/events\nforged",
        "QUERY_STRING": "api_key=chk_live_secret",
        "REQUEST_METHOD": "GET",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_USER_AGENT": "a",
    }
    answer = SimpleNamespace(status="401 Unauthorized", sent=12, headers=[], response_length=12)
    request = SimpleNamespace(headers=[])
    line = access_log_format % logger.atoms(answer, request, environ, timedelta(milliseconds=3))
    assert line == '127.0.0.1 "GET /api/v1/events%0Aforged" 401 12 bytes 3 ms'


def test_every_secret_stays_out_of_the_server_log() -> None:
    """A failing statement's text may hold what somebody typed."""
    source = Path(sys.modules[Postgres.__module__].__file__ or "").read_text()
    assert "log_min_error_statement = panic" in source
