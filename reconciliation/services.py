"""Writes of reconciliation. Each runs inside the organization's scope, in one transaction with its audit entry."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from django.core.exceptions import ValidationError

from budgets.posting import post_entries
from common.ids import new_id
from common.money import to_usd
from pricing.resolve import price_book
from reconciliation.exports.base import MAX_COUNT, MAX_USD, ExportError, Item
from reconciliation.models import AcceptedDifference, BilledDay, BilledLine
from reconciliation.selectors import comparison, month_of
from tenants.models import AccessToken, Organization, Team, User
from tenants.services import audit_record
from usage.adjustments import Entry, Why
from usage.locks import lock_organization

NOON = time(12)
FIRST_DAY = date(2015, 1, 1)
_TIER = "standard"
_NANO_DIGITS = 9
# A line as it is stored: model, line item, nano-USD, input tokens, output tokens.
_Row = tuple[str, str, int, int, int]


@dataclass(frozen=True, slots=True)
class Uploaded:
    """Provider days of an upload: new, changed (the version before is kept), or known with the same content."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0


def billed_usage_store(
    *, organization: Organization, items: Sequence[Item], actor: User | AccessToken | None, now: datetime
) -> Uploaded:
    """Keeps what a provider billed, a version per provider, day and source. ExportError for days and sums that cannot
    be."""
    if any(not FIRST_DAY <= item.day <= now.date() + timedelta(days=1) for item in items):
        raise ExportError("", f"holds a day before {FIRST_DAY} or in the future")
    # Two uploads at once take turns, so that each day has one current version.
    lock_organization(organization.id)
    new = changed = unchanged = 0
    for (provider, day, source), rows in sorted(_rows(items).items()):
        digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
        current = BilledDay.objects.filter(
            organization=organization, provider=provider, day=day, source=source, superseded_at__isnull=True
        )
        before = current.values_list("digest", flat=True).first()
        if before == digest:
            unchanged += 1
            continue
        replaced = current.update(superseded_at=now)
        _store(organization, (provider, day, source), rows, digest, actor, now)
        new, changed = new + (not replaced), changed + replaced
    audit_record(
        organization_id=organization.id, actor=actor, action="billed_usage.uploaded", target=organization, now=now,
        new_days=str(new), changed_days=str(changed), unchanged_days=str(unchanged),
    )  # fmt: skip
    return Uploaded(new, changed, unchanged)


def _rows(items: Iterable[Item]) -> Mapping[tuple[str, date, str], list[_Row]]:
    """The lines by provider, day and source; those that say the same are added up, and rounded once."""
    sums: dict[tuple[str, date, str], dict[tuple[str, str], list[Decimal | int]]] = defaultdict(dict)
    for item in items:
        provider, model = canonical(item)
        line = sums[(provider, item.day, item.source)].setdefault((model, item.line_item), [Decimal(0), 0, 0])
        line[0] += item.amount
        line[1] += item.input_tokens
        line[2] += item.output_tokens
    return {
        key: sorted(
            (*names, _nano(Decimal(line[0])), _tokens(line[1]), _tokens(line[2])) for names, line in lines.items()
        )
        for key, lines in sums.items()
    }


def canonical(item: Item) -> tuple[str, str]:
    """Provider and model as usage of that day has them; a line that names no model goes by its own text."""
    at = datetime.combine(item.day, NOON, UTC)
    found = price_book().resolve(item.provider, item.model or "-", _TIER, at)
    return found.provider, found.model if item.model else item.line_item


def _nano(amount: Decimal) -> int:
    if abs(amount) > MAX_USD:
        raise ExportError("", "holds sums that are out of range")
    return int(amount.scaleb(_NANO_DIGITS).quantize(Decimal(1), ROUND_HALF_EVEN))


def _tokens(number: Decimal | int) -> int:
    if number > MAX_COUNT:
        raise ExportError("", "holds sums that are out of range")
    return int(number)


def _store(
    organization: Organization,
    key: tuple[str, date, str],
    rows: Sequence[_Row],
    digest: str,
    actor: User | AccessToken | None,
    now: datetime,
) -> None:
    provider, day, source = key
    version = BilledDay.objects.create(
        id=new_id(), organization=organization, provider=provider, day=day, source=source, digest=digest,
        uploaded_at=now, uploaded_by=_name(actor),
    )  # fmt: skip
    BilledLine.objects.bulk_create(
        BilledLine(
            organization=organization, billed_day=version, model=model, line_item=line_item, amount=amount,
            input_tokens=read, output_tokens=written,
        )
        for model, line_item, amount, read, written in rows
    )  # fmt: skip


def differences_accept(
    *,
    organization: Organization,
    provider: str,
    model: str,
    expected: Mapping[date, int],
    team: Team,
    note: str,
    actor: User,
    now: datetime,
) -> int:
    """Books the differences of these days on a team; their sum in nano-USD.

    `expected` is what the caller saw by day: ValidationError, with nothing booked, when one of them is another by now.
    """
    if not expected or not FIRST_DAY <= min(expected) <= now.date():
        raise ValidationError("Choose at least one day that was billed.")
    lock_organization(organization.id)
    first, end = month_of(min(expected))
    found = comparison(organization_id=organization.id, provider=provider, first=first, end=end)
    actual = {line.day: line.difference for line in found.lines if line.model == model}
    if any(not amount or actual.get(day) != amount for day, amount in expected.items()):
        raise ValidationError("A difference has changed since this page was shown. Look at it again.")
    for day, amount in sorted(expected.items()):
        entry = AcceptedDifference.objects.create(
            id=new_id(), organization=organization, provider=provider, day=day, model=model, amount=amount, team=team,
            note=note, accepted_at=now, accepted_by=actor.email,
        )  # fmt: skip
        _book(organization, entry, amount, "reconciliation", actor, now)
        _audit(entry, "accepted", actor, now)
    return sum(expected.values())


def difference_undo(*, entry: AcceptedDifference, actor: User, now: datetime) -> None:
    """Books an accepted difference back. ValidationError when that was done before."""
    undone = AcceptedDifference.objects.filter(
        organization_id=entry.organization_id, id=entry.id, undone_at__isnull=True
    ).update(undone_at=now, undone_by=actor.email)
    if not undone:
        raise ValidationError("It was undone already.")
    organization = Organization.objects.get(id=entry.organization_id)
    _book(organization, entry, -entry.amount, "undo", actor, now)
    _audit(entry, "undone", actor, now)


def _book(
    organization: Organization, entry: AcceptedDifference, amount: int, kind: str, actor: User, now: datetime
) -> None:
    reason = f"{entry.provider} bill of {entry.day}" + (f": {entry.note}" if entry.note else "")
    post_entries(
        organization=organization,
        entries=[
            Entry(datetime.combine(entry.day, NOON, UTC), {"cost": amount}, entry.team_id, entry.provider, entry.model)
        ],
        why=Why(kind, reason, actor.email, entry.id),
        now=now,
    )


def _audit(entry: AcceptedDifference, verb: str, actor: User, now: datetime) -> None:
    audit_record(
        organization_id=entry.organization_id, actor=actor, action=f"billed_difference.{verb}", target=entry, now=now,
        provider=entry.provider, model=entry.model, day=str(entry.day), usd=to_usd(entry.amount) or "",
    )  # fmt: skip


def _name(actor: User | AccessToken | None) -> str:
    if isinstance(actor, User):
        return actor.email
    return actor.hint if actor is not None else "costhub"
