"""What every format makes of a body. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def as_is(pointer: str) -> str:
    return pointer


@dataclass(frozen=True, slots=True)
class Decoded:
    """Events in the shape of `ingest.schema.WireEvent` as plain JSON values, unchecked; `pointers[i]` leads to i."""

    events: list[Any]
    pointers: list[str]
    # What is well-formed but no usage of a model, and therefore left out (spans without usage, other metrics).
    ignored: int = 0
    # From where our shape has a value (pointer of the event + our field) to where the source's own body has it.
    place: Callable[[str], str] = as_is
    # No text in it can hold a control character.
    clean: bool = False
