"""What the demo prints at every start: a password nobody else can guess, and a virtual key that works.

The password follows from this installation's SECRET_KEY, so that it need not be stored to be shown again. A key's
secret exists nowhere but in its holder's hands; the holder of this one is a sealed file in the data folder.
"""

import base64
import hashlib
import hmac
import os
from datetime import datetime
from pathlib import Path

from django.conf import settings

from common.secrets import UnsealError, seal, unseal
from costhub.demo.company import PLAYGROUND_KEY
from costhub.demo.services import Demo
from tenants.access import organization_scope
from tenants.models import CredentialState, Team, VirtualKey
from tenants.services import virtual_key_issue
from tenants.tokens import parse_token

_FILE = "demo-key"
_PURPOSE = "demo.playground"


def demo_password() -> str:
    """The same at every start of this installation; 75 bits of its SECRET_KEY."""
    digest = hmac.new(settings.SECRET_KEY.encode(), b"costhub demo password", hashlib.sha256).digest()
    text = base64.b32encode(digest).decode().lower()
    return "-".join(text[start : start + 5] for start in (0, 5, 10))


def playground_key(demo: Demo, now: datetime) -> str:
    """The secret of the demo's live virtual key: the one handed out before while it works, else a new one."""
    path = Path(settings.COSTHUB_HOME) / _FILE
    with organization_scope(demo.organization.id):
        known = _unsealed(path, demo.organization.id)
        if known is not None and _works(known, demo, now):
            return known
        team = Team.objects.filter(organization=demo.organization).earliest("id")
        _, secret = virtual_key_issue(team=team, name=PLAYGROUND_KEY, actor=demo.owner, now=now)
    _write(path, seal(secret, purpose=_PURPOSE, organization_id=demo.organization.id))
    return secret


def _unsealed(path: Path, organization_id: int) -> str | None:
    try:
        return unseal(path.read_bytes(), purpose=_PURPOSE, organization_id=organization_id)
    except (FileNotFoundError, UnsealError):
        return None


def _works(secret: str, demo: Demo, now: datetime) -> bool:
    token = parse_token(secret)
    if token is None:
        return False
    key = VirtualKey.objects.filter(organization=demo.organization, public_id=token.public_id).first()
    if key is None or key.state(now) != CredentialState.ACTIVE:
        return False
    return token.matches(bytes(key.digest), settings.KEY_PEPPER)


def _write(path: Path, content: bytes) -> None:
    """At once or not at all, and for the owner's eyes only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)
