"""Sealing: secrets that CostHub must be able to read again, encrypted at rest with AES-256-GCM.

A sealed value is bound to what it is for and to the organization it belongs to: moved to another row or tenant it no
longer opens. Its form is version (1 byte), key id (4), nonce (12), ciphertext and tag, so that a key can be changed
while values sealed with the old one are still told apart.
"""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

VERSION = b"\x01"
KEY_ID_BYTES, NONCE_BYTES, TAG_BYTES = 4, 12, 16
_HEAD_BYTES = len(VERSION) + KEY_ID_BYTES


class UnsealError(Exception):
    """The value was sealed for something else or with another key, or it was damaged."""


def seal(text: str, *, purpose: str, organization_id: int) -> bytes:
    """The text, readable only with the same key, purpose and organization. Name the row in the purpose."""
    head = VERSION + _key_id(settings.SEAL_KEY)
    nonce = os.urandom(NONCE_BYTES)
    bound_to = _associated(head, purpose, organization_id)
    return head + nonce + AESGCM(settings.SEAL_KEY).encrypt(nonce, text.encode(), bound_to)


def unseal(sealed: bytes, *, purpose: str, organization_id: int) -> str:
    head, nonce = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES : _HEAD_BYTES + NONCE_BYTES]
    if len(sealed) < _HEAD_BYTES + NONCE_BYTES + TAG_BYTES or head != VERSION + _key_id(settings.SEAL_KEY):
        raise UnsealError("not sealed with this key")
    bound_to = _associated(head, purpose, organization_id)
    try:
        return AESGCM(settings.SEAL_KEY).decrypt(nonce, sealed[_HEAD_BYTES + NONCE_BYTES :], bound_to).decode()
    except InvalidTag as error:
        raise UnsealError("sealed for something else, or damaged") from error


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"costhub seal key id\0" + key).digest()[:KEY_ID_BYTES]


def _associated(head: bytes, purpose: str, organization_id: int) -> bytes:
    return head + f"{organization_id}\0{purpose}".encode()
