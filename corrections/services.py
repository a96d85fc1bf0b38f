"""Writes: starting, applying, stopping and undoing a repricing. Each runs inside the organization's scope."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, Q, QuerySet

from common.ids import new_id
from common.problems import Problem
from corrections.models import AT_WORK, ReportedAdjustment, RepriceRun, RunState
from corrections.runs import rewind
from tenants.models import AccessToken, Organization, User
from tenants.names import clean_name
from tenants.services import actor_name, audit_record
from usage.locks import lock_organization
from usage.models import Adjustment

Actor = User | AccessToken | None

# Per organization: they share the settling lock with the usage that comes in.
MOST_AT_WORK = 20
LONGEST = timedelta(days=366 * 5)
_NAME_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """What to price anew: [start, end), everything or one provider's or model's, in any spelling."""

    start: datetime
    end: datetime
    reason: str
    provider: str = ""
    model: str = ""
    unpriced_only: bool = False


def repricing_start(
    *, organization: Organization, asked: Asked, actor: Actor, now: datetime, apply_at_once: bool = False
) -> RepriceRun:
    """A new run, to be previewed by the next worker; it books nothing before `repricing_apply` unless it is told to.

    ValidationError by field for a scope that cannot be; Problem 409 when too many runs are at work.
    """
    _check(asked)
    if RepriceRun.objects.filter(organization=organization, state__in=AT_WORK).count() >= MOST_AT_WORK:
        raise Problem("conflict", f"{MOST_AT_WORK} repricings are at work. Wait for one to end.")
    run = RepriceRun.objects.create(
        id=new_id(),
        organization=organization,
        reason=clean_name(asked.reason, field="reason"),
        starts_at=asked.start,
        ends_at=asked.end,
        provider=asked.provider.strip(),
        model=asked.model.strip(),
        unpriced_only=asked.unpriced_only,
        apply_at_once=apply_at_once,
        started_by=actor_name(actor),
        created_at=now,
    )
    audit_record(
        organization_id=organization.id, actor=actor, action="reprice_run.started", target=run, now=now,
        reason=run.reason, scope=scope_in_words(run), start=asked.start.isoformat(), end=asked.end.isoformat(),
        apply="by itself" if apply_at_once else "after the preview",
    )  # fmt: skip
    return run


def repricing_apply(*, run: RepriceRun, actor: Actor, now: datetime) -> RepriceRun:
    """Books what the preview found, at the prices of the moment of booking. Problem 409 without a preview."""
    run = _locked(run)
    if run.state != RunState.PREVIEWED:
        raise Problem("conflict", f"Only a finished preview can be applied; this run is: {run.get_state_display()}.")
    return _go(run, RunState.APPLYING, "reprice_run.apply", actor, now)


def repricing_cancel(*, run: RepriceRun, actor: Actor, now: datetime) -> RepriceRun:
    """Ends a run that has booked nothing. Problem 409 for one that has: undo it."""
    run = _locked(run)
    if run.step not in (RunState.PREVIEWING, RunState.PREVIEWED):
        raise Problem("conflict", "What has begun to be applied cannot be cancelled. Undo it instead.")
    return _go(run, RunState.CANCELLED, "reprice_run.cancelled", actor, now)


def repricing_undo(*, run: RepriceRun, actor: Actor, now: datetime) -> RepriceRun:
    """Books the reverse of exactly what the run has booked, also of one that is being applied or has failed at it.

    Problem 409 for one that has booked nothing, or when the same usage was priced since: by a later run, or because
    its counts were corrected.
    """
    run = _locked(run)
    # Whoever reports other counts has done so by now, or waits and finds the run being undone.
    lock_organization(run.organization_id)
    if run.step not in (RunState.APPLYING, RunState.APPLIED):
        raise Problem("conflict", "Only what has been applied can be undone.")
    later = _overlapping(run).first()
    if later is not None:
        raise Problem("conflict", f'"{later.reason}" has priced the same usage since. Undo that first.')
    if _recounted(run):
        raise Problem(
            "conflict",
            "Usage that it priced was corrected since, and charged anew. Change the price and reprice instead.",
        )
    return _go(run, RunState.UNDOING, "reprice_run.undo", actor, now)


def repricing_retry(*, run: RepriceRun, actor: Actor, now: datetime) -> RepriceRun:
    """A failed run goes on where it stopped. Problem 409 for any other."""
    run = _locked(run)
    if run.state != RunState.FAILED:
        raise Problem("conflict", "Only a run that has failed can be tried again.")
    run.state = run.failed_in
    run.failed_in = run.error = ""
    run.save()
    _audit(run, "reprice_run.retried", actor, now)
    return run


def _locked(run: RepriceRun) -> RepriceRun:
    """The run as it stands now, held until the end of the transaction: a worker at it finishes its batch first."""
    return RepriceRun.objects.select_for_update(of=("self",)).get(organization_id=run.organization_id, id=run.id)


def _go(run: RepriceRun, state: RunState, action: str, actor: Actor, now: datetime) -> RepriceRun:
    run.state, run.failed_in, run.error, run.events_done = state, "", "", 0
    rewind(run)
    run.save()
    _audit(run, action, actor, now)
    return run


def _audit(run: RepriceRun, action: str, actor: Actor, now: datetime) -> None:
    audit_record(
        organization_id=run.organization_id, actor=actor, action=action, target=run, now=now, reason=run.reason,
        scope=scope_in_words(run),
    )  # fmt: skip


def _overlapping(run: RepriceRun) -> QuerySet[RepriceRun]:
    """Later runs that have booked about usage of the same time and, as far as both name one, model."""
    booked = Q(events_booked__gt=0) | Q(state=RunState.APPLYING)
    found = RepriceRun.objects.filter(
        booked, organization_id=run.organization_id, id__gt=run.id, starts_at__lt=run.ends_at, ends_at__gt=run.starts_at
    )
    for name in ("provider", "model"):
        if wanted := getattr(run, name):
            found = found.filter(Q(**{name: ""}) | Q(**{f"{name}__iexact": wanted}))
    return found


def _recounted(run: RepriceRun) -> bool:
    """Whether other counts were reported for an event after the run had priced it."""
    priced = Adjustment.objects.filter(
        organization_id=run.organization_id, event_time=OuterRef("event_time"), event_id=OuterRef("event_id"),
        run_id=run.id, kind="reprice", id__lt=OuterRef("id"),
    )  # fmt: skip
    reported = ReportedAdjustment.objects.filter(
        organization_id=run.organization_id, kind="usage", event_time__gte=run.starts_at, event_time__lt=run.ends_at
    )
    return reported.filter(Exists(priced)).exists()


def scope_in_words(run: RepriceRun) -> str:
    what = "/".join(part for part in (run.provider, run.model) if part) or "all models"
    return f"{what}, unpriced usage only" if run.unpriced_only else what


def _check(asked: Asked) -> None:
    refused: dict[str, str] = {}
    if asked.end <= asked.start:
        refused["end"] = "must be later than the start"
    elif asked.end - asked.start > LONGEST:
        refused["start"] = f"must not be more than {LONGEST.days:,} days before the end"
    for name in ("provider", "model"):
        text = getattr(asked, name).strip()
        if len(text) > _NAME_LIMIT or not text.isprintable():
            refused[name] = f"must be up to {_NAME_LIMIT} printable characters, or empty for any"
    if not 0 < len(asked.reason.strip()) <= _NAME_LIMIT:
        refused["reason"] = f"must say in up to {_NAME_LIMIT} characters what this is for"
    if refused:
        raise ValidationError(dict(refused))
