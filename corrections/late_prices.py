"""A price that arrives after the usage: once the list has a newer version, what it can price now is repriced."""

from datetime import datetime, timedelta

from corrections.inbox import unpriced_names
from corrections.models import PriceWatch, RepriceRun
from corrections.services import Asked, repricing_start
from pricing.resolve import book_of
from pricing.selectors import catalog_version
from tenants.access import organization_scope
from tenants.models import Organization
from tenants.selectors import organization_ids

REASON = "The price list has a price now"
_MOMENT = timedelta(microseconds=1)


def reprice_late(now: datetime) -> list[RepriceRun]:
    """Starts a run, applied by itself, in every organization whose unpriced usage a newer list prices."""
    started = []
    for organization_id in organization_ids():
        with organization_scope(organization_id):
            run = _reprice(organization_id, now)
            if run is not None:
                started.append(run)
    return started


def _reprice(organization_id: int, now: datetime) -> RepriceRun | None:
    version = catalog_version()
    watch, first = PriceWatch.objects.select_for_update().get_or_create(
        organization_id=organization_id, defaults={"catalog_version": version}
    )
    if watch.catalog_version == version and not first:
        return None
    watch.catalog_version = version
    watch.save(update_fields=["catalog_version"])
    book = book_of(organization_id)
    names = [
        name
        for name in unpriced_names(organization_id)
        if book.resolve(name.provider, name.model, name.tier, name.last_at).rate is not None
    ]
    if not names:
        return None
    start, end = min(name.first_at for name in names), max(name.last_at for name in names)
    return repricing_start(
        organization=Organization.objects.get(id=organization_id),
        asked=Asked(start, end + _MOMENT, REASON, unpriced_only=True),
        actor=None,
        now=now,
        apply_at_once=True,
    )
