"""Makes the demo organization through the product's own services, and keeps its usage up to date.

Each of the two is one transaction: nobody sees half of it, and no worker settles what has its own time to be settled.
"""

import logging
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from allauth.account.models import EmailAddress
from django.db import transaction

from alerts.models import Alert, Channel
from alerts.rules import default_rules_create
from alerts.services import alert_acknowledge, channel_create
from alerts.watching import periods_end
from budgets.services import budget_create
from budgets.terms import Measure
from common.money import usd_to_nano
from common.periods import local_midnight
from common.problems import Problem
from costhub.demo import company
from costhub.demo.agreements import agreements_make
from costhub.demo.company import PLANS, TEAMS, WORKLOADS, Plan
from costhub.demo.story import RECENT, calendar_of, first_moment, local_days, months, steps
from costhub.demo.traffic import Calendar, Use, day_of_usage
from ingest import inbox
from ingest.pipeline import settle_organization
from tenants.access import memberships_of, organization_scope
from tenants.models import AuditEntry, Membership, Organization, Team, User, VirtualKey
from tenants.services import (
    audit_record,
    organization_create,
    team_create,
    virtual_key_issue,
)
from usage.locks import lock_organization
from usage.records import Reported
from usage.store import make_partitions

log = logging.getLogger(__name__)

MADE, FILLED = "demo.made", "demo.filled"


class DemoError(Exception):
    """Why there can be no demo, in a sentence."""


@dataclass(frozen=True, slots=True)
class Demo:
    organization: Organization
    owner: User
    calendar: Calendar
    filled_until: datetime


def demo_find() -> Demo | None:
    """The demo organization, if it was made before."""
    owner = User.objects.filter(email=company.OWNER[0]).first()
    if owner is None:
        return None
    own = [member.organization for member in memberships_of(owner) if member.organization.slug == company.SLUG]
    if not own:
        raise DemoError(f"{owner.email} has an account already, but no demo organization; remove one to get the other.")
    with organization_scope(own[0].id):
        facts = _latest(own[0], MADE).facts
        until = datetime.fromisoformat(_latest(own[0], FILLED).facts["until"])
    first, incident = date.fromisoformat(facts["first"]), date.fromisoformat(facts["incident"])
    return Demo(own[0], owner, Calendar(int(facts["seed"]), first, incident, ZoneInfo(own[0].timezone)), until)


def _latest(organization: Organization, action: str) -> AuditEntry:
    return AuditEntry.objects.filter(organization=organization, action=action).latest("at", "id")


def demo_make(*, password: str, now: datetime) -> Demo:
    """The company with its people, keys and budgets, and its usage from 90 days ago up to now."""
    calendar = calendar_of(now=now, zone=ZoneInfo(company.ZONE))
    start = first_moment(calendar)
    make_partitions(months(start, now))
    with transaction.atomic():
        owner = _user(*company.OWNER, password)
        EmailAddress.objects.create(user=owner, email=owner.email, primary=True, verified=True)
        organization = organization_create(
            name=company.NAME, owner=owner, timezone=company.ZONE, now=start, slug=company.SLUG
        )
        with organization_scope(organization.id):
            teams = _furnish(organization, owner, start)
            agreements_make(organization=organization, owner=owner, teams=teams, start=start, now=now)
            audit_record(
                organization_id=organization.id, actor=None, action=MADE, target=organization, now=now,
                seed=str(calendar.seed), first=str(calendar.first), incident=str(calendar.incident),
            )  # fmt: skip
            demo = Demo(organization, owner, calendar, start)
            return _filled(demo, now)


def demo_fill(*, demo: Demo, now: datetime) -> Demo:
    """The demo with the usage since it was last filled. Usage of others in the organization is left alone.

    A demo that another version of the story has told stays as it is: its hours cannot be told again differently.
    """
    if now <= demo.filled_until:
        return demo
    make_partitions(months(demo.filled_until, now))
    try:
        with organization_scope(demo.organization.id):
            return _filled(demo, now)
    except Problem as problem:
        if problem.slug != "event-conflict":
            raise
        log.warning("the demo organization was made by another version of CostHub; no new usage was added to it")
        return demo


def _furnish(organization: Organization, owner: User, start: datetime) -> dict[str, Team]:
    teams: dict[str, Team] = {}
    for slug, (name, parent) in TEAMS.items():
        teams[slug] = team_create(
            organization=organization, name=name, parent=teams[parent] if parent else None, actor=owner, now=start,
            slug=slug,
        )  # fmt: skip
    keys = {
        workload.key: virtual_key_issue(
            team=teams[workload.team], name=workload.key, actor=owner, now=start + timedelta(days=workload.first_day)
        )[0]
        for workload in WORKLOADS
    }
    _members(organization, teams, start)
    for plan in PLANS:
        _budget(plan, organization, owner, teams, keys, start)
    channel_create(
        organization=organization, kind="email", name="Email to Dana", recipients=[owner.email], actor=owner, now=start
    )
    default_rules_create(organization=organization, now=start)
    return teams


def _user(email: str, name: str, password: str | None = None) -> User:
    return User.objects.create_user(email=email, password=password, name=name)


def _members(organization: Organization, teams: dict[str, Team], start: datetime) -> None:
    """Colleagues to look at; none of them can log in, for they have no password."""
    for email, name, role, managed in company.MEMBERS:
        user = User.objects.filter(email=email).first() or _user(email, name)
        membership = Membership.objects.create(
            organization=organization,
            user=user,
            role=role,
            team_ids=sorted(teams[slug].id for slug in managed),
            created_at=start,
        )
        audit_record(
            organization_id=organization.id, actor=None, action="member.joined", target=membership, now=start,
            email=email, role=role,
        )  # fmt: skip


def _budget(
    plan: Plan,
    organization: Organization,
    owner: User,
    teams: dict[str, Team],
    keys: dict[str, VirtualKey],
    start: datetime,
) -> None:
    key_name = plan.scope.removeprefix("key:") if plan.scope.startswith("key:") else None
    budget_create(
        organization=organization,
        name=plan.name,
        measure=Measure(
            scope_type="virtual_key" if key_name else "team" if plan.scope else "organization",
            team=None if key_name or not plan.scope else teams[plan.scope],
            virtual_key=keys[key_name] if key_name else None,
            period=plan.period,
            timezone=organization.timezone,
        ),
        limit=usd_to_nano(Decimal(plan.usd)) or 0,
        thresholds=list(plan.thresholds),
        actor=owner,
        now=start,
    )


def _filled(demo: Demo, until: datetime) -> Demo:
    """Accepts and settles the usage step by step, each at its own time of the story."""
    organization, since = demo.organization, demo.filled_until
    lock_organization(organization.id)
    keys = _active_keys(organization)
    days, waiting = local_days(demo.calendar, since, until), list[Use]()
    prepared = since
    muted = _mute_channels(organization)
    for moment in steps(demo.calendar, since, until):
        while prepared < moment and (day := next(days, None)):
            prepared = local_midnight(day + timedelta(days=1), demo.calendar.zone)
            waiting += (use for use in day_of_usage(demo.calendar, day) if since <= use[1].time < until)
        due = bisect_left(waiting, moment, key=lambda use: use[1].time)
        if muted and until - moment <= RECENT:
            Channel.objects.filter(organization=organization, id__in=muted).update(enabled=True)
            muted = []
        _settle(organization, [use for use in waiting[:due] if use[0] in keys], keys, moment)
        del waiting[:due]
        periods_end(organization_id=organization.id, now=moment)
    _acknowledge_the_old(demo, until)
    audit_record(
        organization_id=organization.id, actor=None, action=FILLED, target=organization, now=until,
        until=until.isoformat(),
    )  # fmt: skip
    return replace(demo, filled_until=until)


def _acknowledge_the_old(demo: Demo, until: datetime) -> None:
    """Somebody has dealt with what fired more than a week ago, an hour after it did."""
    old = Alert.objects.filter(
        organization=demo.organization, acknowledged_at__isnull=True, created_at__lt=until - timedelta(days=7)
    )
    for alert in old:
        alert_acknowledge(alert=alert, actor=demo.owner, now=alert.created_at + timedelta(hours=1))


def _active_keys(organization: Organization) -> dict[str, int]:
    """Name → id; the oldest where several have a name. The workload of a revoked key falls silent, as it would."""
    keys = VirtualKey.objects.filter(organization=organization, revoked_at__isnull=True).order_by("-id")
    return dict(keys.values_list("name", "id"))


def _mute_channels(organization: Organization) -> list[int]:
    """Nobody is told today of what happened weeks ago. The ids of the channels that listened."""
    listening = Channel.objects.listening().filter(organization=organization)
    ids = list(listening.values_list("id", flat=True))
    listening.update(enabled=False)
    return ids


def _settle(organization: Organization, uses: Sequence[Use], keys: dict[str, int], moment: datetime) -> None:
    by_key: dict[int, list[Reported]] = {}
    for name, event in uses:
        by_key.setdefault(keys[name], []).append(event)
    left = inbox.accept(organization_id=organization.id, events=by_key, now=moment).accepted if by_key else 0
    while left > 0:
        settled = settle_organization(organization.id, moment)
        if not settled:
            raise DemoError("The pipeline did not settle the usage of the demo; its error stands in the log above.")
        left -= settled
