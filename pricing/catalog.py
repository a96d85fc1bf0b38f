"""Loading the price source into our own dated tables. The only writer of prices."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from common.ids import new_id
from pricing.history import Changes, changes
from pricing.models import ListPrice, PriceCatalog, PricedModel, PriceProvider
from pricing.price_source import SOURCE, SOURCE_VERSION, SourceModel, SourceProvider
from pricing.terms import Terms

# Counted up when the code that reads the source comes to other prices from the same data.
READER_VERSION = 1

_MODEL_FIELDS = ("match", "position", "listed")
_PROVIDER_FIELDS = ("name", "url", "fallbacks", "position")

Schedules = dict[tuple[int, str], list[tuple[datetime, Terms]]]


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load changed; all zero when the catalog already said the same."""

    source_version: str
    providers_changed: int = 0
    models_added: int = 0
    models_changed: int = 0
    models_unlisted: int = 0
    prices_added: int = 0
    prices_withdrawn: int = 0

    @property
    def changed(self) -> bool:
        models = self.models_added or self.models_changed
        return bool(self.providers_changed or models or self.prices_added or self.prices_withdrawn)


def catalog_is_current() -> bool:
    """Whether this source version was loaded by this reader; then a load could not change anything."""
    loaded = {"source": SOURCE, "source_version": SOURCE_VERSION, "reader_version": READER_VERSION}
    return PriceCatalog.objects.filter(pk=1, **loaded).exists()


@transaction.atomic
def catalog_load(
    *, source: Sequence[SourceProvider], now: datetime, source_version: str = SOURCE_VERSION
) -> LoadReport:
    """Bring the catalog to what `source` says, adding to history and never changing it. Loads wait for each other."""
    catalog = _locked_catalog(now)
    providers_changed = _providers_write(source)
    models, added, changed, unlisted = _models_write(source)
    prices_added, prices_withdrawn = _prices_write(source, models, now, source_version)
    report = LoadReport(source_version, providers_changed, added, changed, unlisted, prices_added, prices_withdrawn)
    catalog.source, catalog.source_version, catalog.reader_version = SOURCE, source_version, READER_VERSION
    catalog.loaded_at = now
    if report.changed:
        catalog.version = new_id()
    catalog.save()
    return report


def _locked_catalog(now: datetime) -> PriceCatalog:
    empty = PriceCatalog(version=0, source="", source_version="", reader_version=0, loaded_at=now)
    PriceCatalog.objects.bulk_create([empty], ignore_conflicts=True)
    return PriceCatalog.objects.select_for_update().get(pk=1)


def _providers_write(source: Sequence[SourceProvider]) -> int:
    known = PriceProvider.objects.in_bulk()
    wanted = [
        PriceProvider(id=p.id, name=p.name, url=p.url, fallbacks=list(p.fallbacks), position=position)
        for position, p in enumerate(source)
    ]
    changed = [row for row in wanted if row.id not in known or not _same(row, known[row.id], _PROVIDER_FIELDS)]
    PriceProvider.objects.bulk_create(
        changed, update_conflicts=True, unique_fields=["id"], update_fields=_PROVIDER_FIELDS
    )
    return len(changed)


def _models_write(source: Sequence[SourceProvider]) -> tuple[Mapping[tuple[str, str], PricedModel], int, int, int]:
    known = {(model.provider_id, model.name): model for model in PricedModel.objects.all()}
    wanted = {
        (provider.id, model.name): PricedModel(
            provider_id=provider.id, name=model.name, match=model.match, position=position
        )
        for provider in source
        for position, model in enumerate(provider.models)
    }
    new = [model for key, model in wanted.items() if key not in known]
    changed = [known[key] for key, model in wanted.items() if key in known and _update(known[key], model)]
    gone = [model for key, model in known.items() if key not in wanted and model.listed]
    for model in gone:
        model.listed = False
    PricedModel.objects.bulk_create(new, batch_size=1000)
    PricedModel.objects.bulk_update([*changed, *gone], _MODEL_FIELDS, batch_size=500)
    known |= {(model.provider_id, model.name): model for model in new}
    return known, len(new), len(changed) + len(gone), len(gone)


def _prices_write(
    source: Iterable[SourceProvider],
    models: Mapping[tuple[str, str], PricedModel],
    now: datetime,
    source_version: str,
) -> tuple[int, int]:
    published = _published()
    added: list[ListPrice] = []
    withdrawn = 0
    for provider in source:
        for model in provider.models:
            row = models[provider.id, model.name]
            for tier, difference in _differences(row.pk, model, published, now):
                withdrawn += _withdraw(row.pk, tier, difference)
                added += [
                    ListPrice(
                        model=row,
                        tier=tier,
                        effective_from=start,
                        source=SOURCE,
                        source_version=source_version,
                        source_url=provider.url,
                        loaded_at=now,
                        **terms.as_json(),
                    )
                    for start, terms in difference.added
                ]
    ListPrice.objects.bulk_create(added, batch_size=1000)
    return len(added), withdrawn


def _published() -> Schedules:
    schedules: Schedules = defaultdict(list)
    columns = ("model_id", "tier", "effective_from", "units", "tiers", "extras", "windows")
    for model, tier, start, *terms in ListPrice.objects.order_by("effective_from").values_list(*columns):
        schedules[model, tier].append((start, Terms(*terms)))
    return schedules


def _differences(
    model_id: int, model: SourceModel, published: Schedules, now: datetime
) -> Iterable[tuple[str, Changes]]:
    for tier, periods in model.schedules.items():
        difference = changes(published.get((model_id, tier), ()), periods, now)
        if difference:
            yield tier, difference


def _withdraw(model_id: int, tier: str, difference: Changes) -> int:
    if not difference.withdrawn:
        return 0
    rows = ListPrice.objects.filter(model_id=model_id, tier=tier, effective_from__in=difference.withdrawn)
    return rows.delete()[0]


def _update(known: PricedModel, wanted: PricedModel) -> bool:
    if _same(known, wanted, _MODEL_FIELDS):
        return False
    for name in _MODEL_FIELDS:
        setattr(known, name, getattr(wanted, name))
    return True


def _same(one: object, other: object, fields: Iterable[str]) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in fields)
