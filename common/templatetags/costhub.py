"""Filters and tags of every CostHub page. They only translate: the wording is in `common.display`."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from django import template
from django.http import QueryDict
from django.template.context import RequestContext
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from common import bars, display, money
from common.display import Number

register = template.Library()

# Those of every row of a table are written here and not by a template of their own: that is what a page waits for.
_SHARE_BAR = (
    '<div class="bar bar--thin{}" aria-hidden="true"><svg viewBox="0 0 1000 6" preserveAspectRatio="none">'
    '<rect class="bar__track" width="1000" height="6"/><rect class="bar__fill" width="{}" height="6"/></svg></div>'
)


def _number(value: object) -> Number | None:
    """What a template hands over; an undefined variable arrives as ''."""
    return value if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


@register.filter
def usd(nano: object) -> str:
    return display.usd(_number(nano))


@register.filter
def usd_exact(nano: object) -> str:
    return display.usd_exact(_number(nano))


@register.filter
def usd_fine(nano: object) -> str:
    return display.usd_fine(_number(nano))


@register.filter
def usd_signed(nano: object) -> str:
    return display.usd_signed(_number(nano))


@register.filter
def dollars(amount: object) -> str:
    """An exact amount in USD, not in nano-USD."""
    number = _number(amount)
    return display.dollars(None if number is None else Decimal(number))


@register.filter
def to_usd(nano: object) -> str:
    """For machines: "1.234567890"."""
    return money.to_usd(_number(nano)) or ""


@register.filter
def usd_compact(nano: object) -> str:
    return display.usd_compact(_number(nano))


@register.filter
def compact(value: object) -> str:
    return display.compact(_number(value))


@register.filter
def count(value: object) -> str:
    return display.count(_number(value))


@register.filter
def percent(value: object) -> str:
    return display.percent(_number(value))


@register.filter
def delta(current: object, previous: object) -> str:
    return display.delta(_number(current), _number(previous))


@register.filter
def share(part: object, whole: object) -> Decimal | None:
    return display.share(_number(part), _number(whole))


@register.filter
def clock(moment: datetime | None) -> str:
    return display.clock(moment or None)


@register.filter
def clock_short(moment: datetime | None) -> str:
    return display.clock_short(moment or None)


@register.filter
def seconds(length: object) -> str:
    return display.seconds(length if isinstance(length, int) else None)


@register.filter
def ago(moment: datetime | None, now: datetime | None = None) -> str:
    return display.ago(moment or None, now or timezone.now())


@register.simple_tag(takes_context=True)
def when(context: template.Context, moment: datetime | None) -> str | SafeString:
    """A <time> that reads "5 min ago" and says the exact moment and zone when asked."""
    if not moment:
        return "never"
    exact = display.moment(moment)
    spoken = display.ago(moment, context.get("now") or timezone.now())
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, spoken)


@register.simple_tag(takes_context=True)
def qs(context: RequestContext, **changes: object) -> str:
    """This page's query string with some parameters changed; None or '' drops one, a list repeats it."""
    query = context["request"].GET.copy() if "request" in context else QueryDict(mutable=True)
    for name, value in changes.items():
        if value is None or value == "":
            query.pop(name, None)
        else:
            query.setlist(name, [str(item) for item in (value if isinstance(value, list | tuple) else [value])])
    encoded = query.urlencode()
    return f"?{encoded}" if encoded else "?"


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """An icon of the sprite: decoration unless it carries a label."""
    if label:
        return format_html('<svg class="icon" role="img" aria-label="{}"><use href="{}"/></svg>', label, _sprite(name))
    return _decoration(name)


@cache
def _decoration(name: str) -> SafeString:
    """A page has a hundred of them, of a few names."""
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}"/></svg>', _sprite(name))


def _sprite(name: str) -> str:
    return f"{static('icons/sprite.svg')}#{name}"


@register.inclusion_tag("components/budget_bar.html")
def budget_bar(
    spent: object, limit: object, elapsed: object = None, reserved: object = None, label: str = ""
) -> dict[str, Any]:
    """Spent and reserved against a limit in nano-USD, with a tick at how much of the period (percent) has passed."""
    elapsed_percent = _number(elapsed)
    bar = bars.budget_bar(
        spent=_number(spent) or 0,
        limit=_number(limit),
        reserved=_number(reserved) or 0,
        elapsed=None if elapsed_percent is None else Decimal(elapsed_percent),
    )
    return {"bar": bar, "label": label}


@register.inclusion_tag("components/pill.html")
def budget_pill(spent: object, limit: object, elapsed: object = None) -> dict[str, str]:
    """The state of a budget in words; `elapsed` is how much of the period has passed, in percent."""
    passed = _number(elapsed)
    used = display.share(_number(spent), _number(limit))
    text, tone = bars.STATES[bars.budget_state(used, None if passed is None else Decimal(passed))]
    return {"text": text, "tone": tone}


@register.simple_tag
def share_bar(part: object, whole: object, slot: int | None = None) -> SafeString:
    """A part of a whole as a thin bar in a series colour (see analytics.palette) or in the accent colour."""
    return format_html(
        _SHARE_BAR, "" if slot is None else f" series-{slot}", bars.share_width(_number(part), _number(whole))
    )


@register.inclusion_tag("components/sparkline.html")
def sparkline(values: Sequence[Number | None], label: str) -> dict[str, Any]:
    points = bars.spark_points(values)
    return {"points": points, "label": label, "last": points.split(" ")[-1].split(",") if points else None}


@register.simple_tag
def delta_pill(current: object, previous: object, good: str = "down", versus: str = "") -> SafeString:
    """The change against an earlier value; `good` says which way is welcome: up, down or neither."""
    now, before = _number(current), _number(previous)
    moved = display.change(now, before)
    direction = "flat" if not moved else "up" if moved > 0 else "down"
    judged = "neutral" if direction == "flat" or good == "neither" else "good" if direction == good else "bad"
    arrow = "" if direction == "flat" else _decoration(f"arrow-{direction}")
    pill = format_html('<span class="delta" data-judged="{}">{}{}</span>', judged, arrow, display.delta(now, before))
    return format_html('{} <span class="muted">{}</span>', pill, versus) if versus else pill
