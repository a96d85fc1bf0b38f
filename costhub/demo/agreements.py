"""What the demo company agreed with its vendors: a discount in force, and capacity that begins next month."""

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from common.money import NANO
from common.periods import PeriodKind, period_at
from pricing.drafts import Draft
from pricing.rules import RuleKind
from pricing.services import FeeDraft, commitment_add, rule_add
from tenants.models import Organization, Team, User

_DAY = timedelta(days=1)


def agreements_make(
    *, organization: Organization, owner: User, teams: dict[str, Team], start: datetime, now: datetime
) -> None:
    """`start`: when the story begins; `now`: when it is told."""
    discount = Draft(
        name="Mistral framework agreement",
        note="Signed by purchasing",
        provider="mistral",
        model="*",
        kind=RuleKind.PERCENT,
        percent=Decimal(-8),
    )
    rule_add(organization=organization, draft=discount, actor=owner, now=start)
    zone = ZoneInfo(organization.timezone)
    first_day = (period_at(PeriodKind.MONTH, now, zone).end + _DAY).astimezone(zone).date().replace(day=1)
    capacity = FeeDraft(
        name="Gemini provisioned throughput",
        kind="provisioned",
        provider="google",
        model="",
        team=teams["search"],
        amount=1_450 * NANO,
        period="month",
        first_day=first_day,
        last_day=None,
    )
    commitment_add(organization=organization, draft=capacity, actor=owner, now=now)
