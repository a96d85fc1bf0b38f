"""Why usage has no price, in words that people can act on. Pure text."""

from pricing.book import (
    BEFORE_FIRST_PRICE,
    NO_PRICE,
    NO_TIER_PRICE,
    UNKNOWN_MODEL,
    UNKNOWN_PROVIDER,
    UNSUPPORTED_UNITS,
)
from pricing.rate import AMOUNT_OUT_OF_RANGE, NO_UNIT_PRICE

BUCKET_NAMES = {
    "uncached_input": "Input tokens, not cached",
    "cache_read": "Input tokens read from cache",
    "cache_write_5m": "Input tokens written to cache, 5 minutes",
    "cache_write_1h": "Input tokens written to cache, 1 hour",
    "output": "Output tokens",
    "reasoning_output": "Reasoning tokens",
    "input_audio": "Audio input tokens",
    "output_audio": "Audio output tokens",
    "images": "Images",
    "requests": "Requests",
    "tool_calls": "Tool calls billed by the provider",
}

# reason → (in plain words, what to do)
_REASONS = {
    UNKNOWN_PROVIDER: (
        "The price list has no provider of this name.",
        "Report one of the names it knows, such as openai, anthropic, google or azure. A model you host yourself "
        "gets a price of your own under Prices.",
    ),
    UNKNOWN_MODEL: (
        "The provider is known, this model of it is not.",
        "Check the name for typos. If the vendor has just brought it out, load a newer price list.",
    ),
    NO_PRICE: ("The price list names the model, but gives no price for it.", "Load a newer price list."),
    NO_TIER_PRICE: (
        "The model has prices, but none for the service tier that was reported.",
        "Check the service tier: batch, flex and priority are priced apart from standard.",
    ),
    BEFORE_FIRST_PRICE: (
        "The call was made before the first price of this model.",
        "Check the time that the caller reports.",
    ),
    UNSUPPORTED_UNITS: (
        "The model is billed by something that events do not count, such as seconds or pages.",
        "Report the model's own cost beside the event; CostHub shows it, but does not add it up.",
    ),
    AMOUNT_OUT_OF_RANGE: ("The amount is larger than any bill.", "Check the token counts that the caller reports."),
}


def reason_in_words(reason: str) -> tuple[str, str]:
    """Why usage has no price and what to do about it; a reason nobody has words for is shown as it stands."""
    if reason.startswith(f"{NO_UNIT_PRICE}:"):
        unit = BUCKET_NAMES.get(reason.partition(":")[2], reason).lower()
        return f"The price list has no price for {unit} of this model.", "Load a newer price list."
    return _REASONS.get(reason, (reason, "Load a newer price list."))
