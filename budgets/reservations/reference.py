"""The name of an authorization: `res_`, 24 digits that follow from whose call it is and its id, 16 of a number.

The first part is where Redis keeps the hold, so that the same id finds it again; the number tells one use of an id from
a later one, and is the key of what Postgres keeps. Both in hexadecimal.
"""

import re
from dataclasses import dataclass
from hashlib import sha256

from common.ids import new_id

_FORM = re.compile(r"res_([0-9a-f]{24})([0-9a-f]{16})")


@dataclass(frozen=True, slots=True)
class Reference:
    """`member` names the hold among those of its organization."""

    member: str
    number: int

    @classmethod
    def new(cls, *, virtual_key_id: int, caller_id: str) -> "Reference":
        return cls(sha256(f"{virtual_key_id}:{caller_id}".encode()).hexdigest()[:24], new_id())

    @classmethod
    def parse(cls, text: str) -> "Reference | None":
        """None for what is not one of ours."""
        found = _FORM.fullmatch(text)
        return cls(found[1], int(found[2], 16)) if found and int(found[2], 16) < 2**63 else None

    def __str__(self) -> str:
        return f"res_{self.member}{self.number:016x}"
