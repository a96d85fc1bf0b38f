"""What a channel is given and what it gives back. It touches no database: it runs outside any transaction."""

from collections.abc import Callable
from dataclasses import dataclass

from alerts.facts import Line
from alerts.models import AttemptOutcome


@dataclass(frozen=True, slots=True)
class Message:
    """An alert, ready to be put into words. All text is one line each; URLs are our own."""

    reference: str
    organization: str
    kind: str
    severity: str
    title: str
    lines: tuple[Line, ...]
    url: str
    alert_url: str
    # For one person because of what they may do, rather than for all whom a channel names.
    in_person: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an attempt. `detail` is our own sentence, shown on pages; it never quotes the other side.

    `channel_is_dead`: the address itself was refused for good, so the channel is to be switched off.
    `reached`: recipients who now have the message, also when others do not. `warning`: what the channel's owner should
    look at although the message was delivered.
    """

    outcome: AttemptOutcome
    detail: str
    retry_after_s: int | None = None
    channel_is_dead: bool = False
    reached: tuple[str, ...] = ()
    warning: str = ""


Send = Callable[[Message], Result]


def refuse(detail: str, *, channel_is_dead: bool = False) -> Send:
    """A channel that cannot be tried at all."""

    def send(_: Message) -> Result:
        return Result(AttemptOutcome.FAILED, detail, channel_is_dead=channel_is_dead)

    return send
