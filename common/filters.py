"""The filters above a list, as `templates/components/filters.html` shows them."""

from collections.abc import Iterable, Mapping
from typing import Any


def filter_choices(
    choices: Mapping[str, tuple[str, Iterable[tuple[Any, Any]]]], chosen: Mapping[str, str]
) -> list[dict[str, Any]]:
    """`choices`: name of the URL's parameter → its label, and pairs of value and text; `chosen`: what the URL says."""
    return [
        {
            "name": name,
            "label": label,
            "value": chosen.get(name, ""),
            "options": [{"value": value, "text": text} for value, text in options],
        }
        for name, (label, options) in choices.items()
    ]
