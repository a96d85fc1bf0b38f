"""What becomes of a stored standing between readings."""

from datetime import timedelta

from alerts.machine import Level
from alerts.models import RuleStanding
from alerts.rule_kinds import RuleKind
from alerts.watching import Reading, readings_apply
from tenants.access import organization_scope
from tests.factories import Tenant, utc_now
from tests.watch.test_evaluate import make_rule

HOUR = timedelta(hours=1)


def test_one_good_reading_between_bad_ones_is_no_recovery(tenant: Tenant) -> None:
    """It must be well for as long as the kind says, without a break."""
    rule, begun = make_rule(tenant, RuleKind.SPEND_ANOMALY), utc_now()
    lasting = int(rule.spec.damping.recover_after / HOUR)
    levels = [Level.BAD] * 2 + [Level.GOOD] + [Level.BAD] * lasting + [Level.GOOD]
    with organization_scope(tenant.id):
        for hours, level in enumerate(levels):
            at = begun + hours * HOUR
            readings_apply(rule=rule, readings=[Reading("all", level, "a day", "Unusual")], at=at, now=at)
        standing = RuleStanding.objects.get(rule=rule)
        assert standing.phase == "firing"
        for hours in range(1, lasting + 1):
            at = begun + (len(levels) - 1 + hours) * HOUR
            readings_apply(rule=rule, readings=[Reading("all", Level.GOOD, "a day", "Unusual")], at=at, now=at)
        standing.refresh_from_db()
        assert standing.phase == "recovered"
