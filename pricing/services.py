"""Writes to an organization's price book and its commitments. Each runs inside the organization's scope.

Nothing here changes what was charged: a new rule counts for what is settled from now on, and past usage is repriced
only when somebody asks for that.
"""

from dataclasses import dataclass
from datetime import date, datetime

from django.core.exceptions import ValidationError
from django.db.models import Q

from common.display import usd_exact
from common.ids import new_id
from common.problems import Fault, Problem
from pricing.drafts import Draft, checked
from pricing.models import MOST_FEE, Commitment, CommitmentKind, FeePeriod, PriceBookVersion, PriceRule
from pricing.normalize import normalize
from pricing.plausible import Doubt, doubts_of_percent, doubts_of_units
from pricing.selectors import comparable_prices
from tenants.models import AccessToken, Organization, Team, User
from tenants.names import clean_name
from tenants.services import actor_name, audit_record, zone_checked

Actor = User | AccessToken | None

# In force or still ahead; what has ended costs nothing.
RULES_LIMIT = 1_000
COMMITMENTS_LIMIT = 1_000
FIRST_DAY, LAST_DAY = date(2020, 1, 1), date(2099, 12, 31)


def rule_add(
    *, organization: Organization, draft: Draft, actor: Actor, now: datetime, confirmed: bool = False
) -> PriceRule:
    """A new rule. ValidationError by field for one that cannot be; Problem 422 `price-implausible` with every doubt
    for prices a hundred times off the known ones, unless the caller confirms them."""
    draft = checked(draft, now)
    if not confirmed:
        _refuse_doubtful(rule_doubts(draft, now))
    _book_changes(organization)
    if PriceRule.objects.filter(_present(now), organization=organization).count() >= RULES_LIMIT:
        raise ValidationError(f"At most {RULES_LIMIT:,} rules can be in force. End some first.")
    rule = PriceRule(
        id=new_id(),
        organization=organization,
        name=clean_name(draft.name),
        note=clean_name(draft.note, field="note") if draft.note.strip() else "",
        provider=draft.provider,
        model=draft.model,
        tier=draft.tier,
        kind=draft.kind,
        percent=draft.percent,
        units=draft.units,
        tiers=draft.tiers,
        effective_from=draft.effective_from or now,
        effective_to=draft.effective_to,
        created_by=actor_name(actor),
        created_at=now,
    )
    rule.full_clean(validate_unique=False)
    rule.save(force_insert=True)
    audit_record(
        organization_id=organization.id, actor=actor, action="price_rule.added", target=rule, now=now,
        name=rule.name, models=f"{rule.provider}/{rule.model}", tier=rule.tier or "all", price=rule.says,
        effective_from=rule.effective_from.isoformat(),
        effective_to=rule.effective_to.isoformat() if rule.effective_to else "open",
    )  # fmt: skip
    return rule


def rule_doubts(draft: Draft, now: datetime) -> list[Doubt]:
    """What of a checked draft looks like a slip of the pen."""
    if draft.percent is not None:
        return doubts_of_percent(draft.percent)
    known, known_as = comparable_prices(draft.provider, draft.model, draft.tier, now)
    return doubts_of_units(draft.units, draft.tiers, known, known_as)


def rule_end(
    *, organization: Organization, rule: PriceRule, at: datetime | None, actor: Actor, now: datetime
) -> PriceRule:
    """Ends a rule, at `at` or now; one that is not yet in force ends before it begins. What it has priced stays.

    ValidationError for a moment that has passed, Problem 409 for a rule that is over already.
    """
    end = now if at is None else at
    if end < now:
        raise ValidationError({"at": "must not lie in the past: what was charged stays charged"})
    end = max(end, rule.effective_from)
    _book_changes(organization)
    if not PriceRule.objects.filter(_present(now), organization=organization, id=rule.id).update(effective_to=end):
        raise Problem("conflict", "The rule is over already.")
    rule.effective_to = end
    audit_record(
        organization_id=organization.id, actor=actor, action="price_rule.ended", target=rule, now=now,
        name=rule.name, models=f"{rule.provider}/{rule.model}", price=rule.says, effective_to=end.isoformat(),
    )  # fmt: skip
    return rule


@dataclass(frozen=True, slots=True)
class FeeDraft:
    """Local days of the organization's zone, both included; `amount` in nano-USD per period."""

    name: str
    kind: str
    provider: str
    model: str
    team: Team
    amount: int
    period: str
    first_day: date
    last_day: date | None


def commitment_add(*, organization: Organization, draft: FeeDraft, actor: Actor, now: datetime) -> Commitment:
    """A flat fee; its hours are booked as they pass. ValidationError by field for one that cannot be."""
    _check_fee(draft)
    if Commitment.objects.filter(organization=organization, complete=False).count() >= COMMITMENTS_LIMIT:
        raise ValidationError(f"At most {COMMITMENTS_LIMIT:,} commitments can be running.")
    provider, model = normalize(draft.provider, draft.model)
    commitment = Commitment(
        id=new_id(),
        organization=organization,
        name=clean_name(draft.name),
        kind=draft.kind,
        provider=provider,
        model=model,
        team=draft.team,
        amount=draft.amount,
        period=draft.period,
        first_day=draft.first_day,
        last_day=draft.last_day,
        timezone=zone_checked(organization.timezone),
        created_by=actor_name(actor),
        created_at=now,
        booked_until=now,
    )
    commitment.booked_until = commitment.fee.start
    commitment.full_clean(validate_unique=False, validate_constraints=False)
    commitment.save(force_insert=True)
    audit_record(
        organization_id=organization.id, actor=actor, action="commitment.added", target=commitment, now=now,
        name=commitment.name, models=f"{provider}/{model}" if model else provider,
        fee=f"{usd_exact(commitment.amount)} {commitment.get_period_display().lower()}",
        first_day=draft.first_day.isoformat(), last_day=draft.last_day.isoformat() if draft.last_day else "open",
    )  # fmt: skip
    return commitment


def commitment_stop(
    *, organization: Organization, commitment: Commitment, at: datetime | None, actor: Actor, now: datetime
) -> Commitment:
    """Stops a fee: hours that begin at `at`, or from now on, cost nothing. What is booked stays booked.

    ValidationError for a moment that has passed, Problem 409 for a commitment that is over already.
    """
    stop = now if at is None else at
    if stop < now:
        raise ValidationError({"at": "must not lie in the past: what was booked stays booked"})
    over = Q(stopped_at__lte=now) | Q(complete=True)
    found = Commitment.objects.filter(~over, organization=organization, id=commitment.id)
    if commitment.has_ended(now) or not found.update(stopped_at=stop):
        raise Problem("conflict", "The commitment is over already.")
    commitment.stopped_at = stop
    audit_record(
        organization_id=organization.id, actor=actor, action="commitment.stopped", target=commitment, now=now,
        name=commitment.name, stopped_at=stop.isoformat(),
    )  # fmt: skip
    return commitment


def _present(now: datetime) -> Q:
    return Q(effective_to__isnull=True) | Q(effective_to__gt=now)


def _book_changes(organization: Organization) -> None:
    """Every process reads the book anew once this commits; writers of one organization wait here for each other."""
    PriceBookVersion.objects.bulk_create(
        [PriceBookVersion(organization=organization, version=new_id())],
        update_conflicts=True,
        unique_fields=["organization"],
        update_fields=["version"],
    )


def _refuse_doubtful(doubts: list[Doubt]) -> None:
    if doubts:
        faults = tuple(Fault("/" + "/".join(doubt.path), "implausible", doubt.detail) for doubt in doubts)
        raise Problem("price-implausible", " ".join(doubt.detail for doubt in doubts[:3]), errors=faults)


def _check_fee(draft: FeeDraft) -> None:
    refused: dict[str, str] = {}
    if draft.kind not in CommitmentKind.values:
        refused["kind"] = f"must be one of {', '.join(CommitmentKind.values)}"
    if draft.period not in FeePeriod.values:
        refused["period"] = f"must be one of {', '.join(FeePeriod.values)}"
    if not draft.provider.strip().isprintable() or not draft.provider.strip():
        refused["provider"] = "must name a provider"
    if not draft.model.isprintable():
        refused["model"] = "must be a model's name, or empty for all of the provider's"
    if not 0 < draft.amount <= MOST_FEE:
        refused["amount"] = "must be more than 0 and at most 1,000,000,000 USD"
    if draft.last_day is None and draft.period == FeePeriod.WHOLE:
        refused["last_day"] = "must say when the term ends that the fee is for"
    if draft.last_day is not None and draft.last_day < draft.first_day:
        refused["last_day"] = "must not be earlier than the first day"
    refused |= _outside_calendar(draft)
    if refused:
        raise ValidationError(dict(refused))


def _outside_calendar(draft: FeeDraft) -> dict[str, str]:
    days = {"first_day": draft.first_day, "last_day": draft.last_day}
    wrong = [name for name, day in days.items() if day is not None and not FIRST_DAY <= day <= LAST_DAY]
    return dict.fromkeys(wrong, f"must be from {FIRST_DAY} to {LAST_DAY}")
