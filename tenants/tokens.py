"""The text of credentials: made, checked and hashed. Pure; the database is asked only about a token that can be one.

A token is prefix + public id + secret + checksum, e.g. `chk_live_` + 12 + 32 + 6 characters of base 62. The public id
finds the row, the secret (190 bits) proves the right to it, the checksum turns typos away before any query.
"""

import hashlib
import hmac
import secrets
import string
import zlib
from dataclasses import dataclass

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
PUBLIC_LENGTH, SECRET_LENGTH, CHECK_LENGTH = 12, 32, 6

VIRTUAL_KEY_PREFIXES = {"live": "chk_live_", "test": "chk_test_"}
ACCESS_TOKEN_PREFIX = "cht_"  # noqa: S105
INVITATION_PREFIX = "chi_"
PREFIXES = (*VIRTUAL_KEY_PREFIXES.values(), ACCESS_TOKEN_PREFIX, INVITATION_PREFIX)


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    prefix: str
    public_id: str
    secret: str

    @property
    def text(self) -> str:
        body = self.prefix + self.public_id + self.secret
        return body + _checksum(body)

    @property
    def hint(self) -> str:
        """What lists may show: enough to recognize, useless to an attacker."""
        return f"{self.prefix}{self.public_id[:4]}…"

    def digest(self, pepper: bytes) -> bytes:
        return hmac.new(pepper, (self.public_id + self.secret).encode(), hashlib.sha256).digest()

    def matches(self, digest: bytes, pepper: bytes) -> bool:
        return hmac.compare_digest(self.digest(pepper), digest)


def new_token(prefix: str) -> Token:
    return Token(prefix, _random(PUBLIC_LENGTH), _random(SECRET_LENGTH))


def parse_token(text: str) -> Token | None:
    """The token that `text` writes; None for anything malformed or with a wrong checksum."""
    prefix = next((prefix for prefix in PREFIXES if text.startswith(prefix)), None)
    if prefix is None or len(text) != len(prefix) + PUBLIC_LENGTH + SECRET_LENGTH + CHECK_LENGTH:
        return None
    body, check = text[:-CHECK_LENGTH], text[-CHECK_LENGTH:]
    rest = body[len(prefix) :]
    if not all(character in ALPHABET for character in rest) or check != _checksum(body):
        return None
    return Token(prefix, rest[:PUBLIC_LENGTH], rest[PUBLIC_LENGTH:])


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    value, digits = zlib.crc32(body.encode("ascii")), []
    for _ in range(CHECK_LENGTH):
        value, digit = divmod(value, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
