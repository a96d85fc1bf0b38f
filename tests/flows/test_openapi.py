"""The API does what its schema says, whatever it is sent: no 5xx, no undocumented status, no other content type."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.product import CHECKOUT, Product

SCOPES = (
    "usage:write,usage:read,budgets:read,budgets:write,keys:read,keys:write,prices:read,prices:write,alerts:read,"
    "alerts:write,org:read,org:write,reconciliation:read,reconciliation:write"
)
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.parametrize(
    ("credential", "phases"),
    [("token", "examples,coverage,fuzzing"), ("virtual key", "coverage"), ("none", "coverage")],
)
def test_the_api_keeps_to_its_schema(product: Product, credential: str, phases: str, tmp_path: Path) -> None:
    tenant = product.run_json("-m", "tests.faults.tenant", credential.replace(" ", "-"))
    headers = {
        "token": ["-H", f"Authorization: Bearer {_token(product, tenant['slug'])}"],
        "virtual key": ["-H", f"Authorization: Bearer {tenant['secret']}"],
        "none": [],
    }[credential]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{product.url}/api/schema/?format=json"),
            *("--checks", CHECKS, "--max-examples", "12", "--phases", phases),
            *("--seed", "20261124", "--suppress-health-check", "all", "--request-timeout", "20", "--no-color"),
            *headers,
        ],
        cwd=tmp_path, env=product.environment | {"PYTHONPATH": str(CHECKOUT)}, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    assert "Traceback" not in product.log.read_text()


def _token(product: Product, slug: str) -> str:
    return product.run("manage.py", "issue_token", "--organization", slug, "--scopes", SCOPES).splitlines()[-1]
