"""The ladder of cheaper models as a plain mapping, and what stands in the way of its steps. Pure."""

from collections.abc import Collection, Mapping, Sequence

from budgets.verdict import model_allowed

# Names that a sentence spells out before it counts the rest.
SPELLED_OUT = 3

EMPTY_LIST = "No model is on this list, so that every call is refused."


def way_back(steps: Mapping[str, str], from_model: str, to_model: str) -> list[str]:
    """The names from `from_model` over `to_model` down to itself again; none where the ladder ends before that.

    `steps`: model → the cheaper one. A loop among them that leaves `from_model` out is nobody's way back.
    """
    way = [from_model, to_model]
    while way[-1] != from_model:
        following = steps.get(way[-1])
        if following is None or following in way[1:]:
            return []
        way.append(following)
    return way


def step_cautions(
    from_model: str, to_model: str, *, lists: Sequence[tuple[str, Sequence[str]]], priced: Collection[str]
) -> list[str]:
    """Why a step does less than it seems to, in sentences.

    `lists`: whose list of allowed models it is, and its names; `priced`: those of both names that have a price.
    """
    cautions = []
    if from_model not in priced:
        cautions.append(
            f"No price is known of {from_model}: only calls that are counted by exactly this name are stepped down."
        )
    if to_model not in priced:
        cautions.append(f"No price is known of {to_model}: what it saves cannot be said, and its cost is not counted.")
    refusing = [
        owner
        for owner, names in lists
        if model_allowed([from_model], names) and not model_allowed([to_model], names)
    ]  # fmt: skip
    if refusing:
        cautions.append(f"{to_model} is not on the list of {_spelled(refusing)}: whoever follows it is refused there.")
    return cautions


def _spelled(owners: Sequence[str]) -> str:
    shown, more = owners[:SPELLED_OUT], len(owners) - SPELLED_OUT
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
