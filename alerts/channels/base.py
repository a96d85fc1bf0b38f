"""What a channel is given and what it gives back. It touches no database: it runs outside any transaction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from alerts.facts import Fact, Line
from alerts.models import Action, AttemptOutcome
from common.outbound import Kind, Outcome


@dataclass(frozen=True, slots=True)
class Message:
    """An alert, ready to be put into words. All text is one line each; URLs are our own.

    `reference` is the delivery's, the same at every attempt; `incident` is the alert's, the same for whatever is told
    of it. `thread` is shared by alerts about the same thing. A digest's lines are the alerts it tells of.
    """

    reference: str
    organization: str
    kind: str
    severity: str
    title: str
    lines: tuple[Line, ...]
    url: str
    alert_url: str
    incident: str = ""
    thread: str = ""
    action: Action = Action.FIRE
    kind_name: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    fired_at: datetime | None = None
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


@dataclass(frozen=True, slots=True)
class Receiver:
    """Whom a channel posts to, and what its answers mean. `gone` says that it no longer knows the address."""

    name: str
    gone: str

    def result_of(self, outcome: Outcome) -> Result:
        match outcome.kind:
            case Kind.DELIVERED:
                return Result(AttemptOutcome.DELIVERED, f"{self.name} accepted the message.")
            case Kind.RETRYABLE:
                return Result(AttemptOutcome.RETRY, self._wait(outcome.reason), retry_after_s=outcome.retry_after_s)
            case Kind.BLOCKED:
                return Result(AttemptOutcome.BLOCKED, _BLOCKED[outcome.reason])
            case Kind.PERMANENT if outcome.gone:
                return Result(AttemptOutcome.FAILED, f"{self.gone} (4xx).", channel_is_dead=True)
            case Kind.PERMANENT:
                return Result(AttemptOutcome.FAILED, f"{self.name} refused the message ({outcome.reason}).")

    def _wait(self, reason: str) -> str:
        match reason:
            case "429":
                return f"{self.name} asked to wait (429)."
            case "5xx":
                return f"{self.name} answered with an error (5xx)."
            case "4xx":
                return f"{self.name} was not ready (4xx)."
            case "timeout":
                return f"{self.name} did not answer in time."
            case "dns":
                return "The name of the server could not be found."
            case "network":
                return f"{self.name} could not be connected to."
        return f"{self.name} gave no usable answer."


_BLOCKED = {
    "address": "The URL leads to an address that is not allowed; nothing was sent.",
    "tls": "The server could not prove who it is (TLS); nothing was sent.",
}
