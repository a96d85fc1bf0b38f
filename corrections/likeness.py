"""The listed model that an unlisted name is most likely about. Pure.

`pricing.nearest` compares names letter by letter; here the names are made comparable first: what deployments, snapshots
and regions put around a model's name is taken away.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pricing.nearest import nearest

_DATE = re.compile(r"[-@_.]?20[0-9]{2}-?[01][0-9]-?[0-3][0-9](-v[0-9]+(:[0-9]+)?)?$")
_NOISE = re.compile(
    r"(^|[-_./@ ])(my|our|prod|production|dev|test|staging|stage|deployment|deploy|latest|preview|exp|experimental"
    r"|eastus2?|westus[23]?|swedencentral|eu|us|apac|global)(?=$|[-_./@ ])"
)
# Azure allows no point in a deployment's name, and people leave the hyphen out.
_SPELLINGS = ((re.compile(r"\bgpt-?35\b"), "gpt-3.5"), (re.compile(r"\bgpt([0-9])"), r"gpt-\1"))
_WORD = re.compile(r"[a-z]{2,}")


class Like(NamedTuple):
    provider: str
    model: str


def plain(name: str) -> str:
    """The name without what is put around it: "prod-gpt4o-mini" → "gpt-4o-mini"."""
    text = name.lower()
    if text.startswith("ft:"):
        # ft:<base>:<organization>:<suffix>:<id>; vendors list fine-tuned models as ft:<base>.
        return "ft:" + plain(text.split(":")[1])
    text = _DATE.sub("", text)
    for pattern, spelled in _SPELLINGS:
        text = pattern.sub(spelled, text)
    return _NOISE.sub("", text).strip("-_./@ ") or text


def most_like(provider: str, name: str, listed: Mapping[str, Sequence[str]]) -> Like | None:
    """The nearest of `listed` (provider → models): the same name first, then a like one, each of the same provider
    before any other's."""
    wanted = plain(name)
    by_nearness = [provider, *sorted(other for other in listed if other != provider)]
    for other in by_nearness:
        for model in listed.get(other, ()):
            if model.lower() == wanted:
                return Like(other, model)
    own = _nearest(wanted, listed.get(provider, ()))
    if own is not None:
        return Like(provider, own)
    found = _nearest(wanted, [model for models in listed.values() for model in models])
    if found is None:
        return None
    return Like(next(other for other in by_nearness if found in listed.get(other, ())), found)


def _nearest(wanted: str, models: Sequence[str]) -> str | None:
    words = set(_WORD.findall(wanted))
    # A size alone ("7b") makes no likeness: a word must be shared.
    return nearest(wanted, [model for model in models if words & set(_WORD.findall(model.lower()))])
