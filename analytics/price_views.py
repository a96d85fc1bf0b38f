"""Pages of the price list: everything in force, and the history of one model."""

from datetime import datetime
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from analytics.prices import models_used, price_page, price_row, reported_costs, rule_of, rules_about
from common.filters import filter_choices
from common.problems import Problem
from pricing.models import ListPrice, PriceProvider, PriceRule
from pricing.selectors import price_history, price_list, rules_of
from pricing.terms import TIERS
from pricing.wording import TIER_NAMES, unit_prices
from tenants.access import Access, organization_page
from tenants.roles import Permission

MAX_SEARCH = 100


@require_safe
@organization_page()
def prices(request: HttpRequest, access: Access) -> HttpResponse:
    now = timezone.now()
    chosen = _chosen(request)
    used = models_used(access.organization.id, now) if chosen["used"] else None
    try:
        page = price_page(
            at=now, search=chosen["q"], provider=chosen["provider"], tier=chosen["tier"], models=used,
            cursor=request.GET.get("cursor", "")[:1000],
        )  # fmt: skip
    except Problem:
        page = price_page(
            at=now, search=chosen["q"], provider=chosen["provider"], tier=chosen["tier"], models=used, cursor=""
        )
    rules = rules_of(access.organization.id)
    kept = {name: value for name, value in chosen.items() if value}
    context = {
        "nav": "prices",
        "tab": "list",
        "rows": [price_row(price, rules, now) for price in page.prices],
        "chosen": chosen,
        "filters": _filters(chosen),
        "clear_url": request.path if kept else "",
        "next_url": f"{request.path}?{urlencode(kept | {'cursor': page.cursor})}" if page.cursor else "",
        "first_url": f"{request.path}?{urlencode(kept)}" if "cursor" in request.GET else "",
        "has_rules": bool(rules),
        "may_edit": access.may(Permission.EDIT_PRICES),
    }
    return render(request, "analytics/prices.html", context)


@require_safe
@organization_page()
def price_model(request: HttpRequest, access: Access) -> HttpResponse:
    """One model and service tier: what it costs, what it cost, and which rules are about it."""
    now = timezone.now()
    price = _named_price(request, now)
    rules = list(PriceRule.objects.filter(organization=access.organization))
    rule = rule_of(price, [each.as_rule() for each in rules], now)
    paid, paid_tiers = (price.units, price.tiers) if rule is None else rule.prices(price.units, price.tiers)
    named = price.model
    wanted = urlencode({"provider": named.provider_id, "model": named.name.lower(), "tier": price.tier})
    context = {
        "nav": "prices",
        "now": now,
        "zone": access.organization.timezone,
        "price": price,
        "rule": next((each for each in rules if rule is not None and each.id == rule.id), None),
        "units": unit_prices(price.units, paid),
        "levels": [(tier["above_input_tokens"], unit_prices({}, tier["units"])) for tier in paid_tiers],
        "tiers": _tier_links(request, access, price),
        "history": [(each, unit_prices(each.units, {})) for each in price_history(price)],
        "rules": [(each, each.state(now)) for each in rules_about(price, rules)],
        "reported": reported_costs(access.organization, provider=named.provider_id, model=named.name, now=now),
        "add_url": f"{reverse('price_rule_add', kwargs={'org_slug': access.organization.slug})}?{wanted}",
        "events_url": _events_url(access, price),
        "may_edit": access.may(Permission.EDIT_PRICES),
    }
    return render(request, "analytics/price_model.html", context)


def _chosen(request: HttpRequest) -> dict[str, str]:
    """What the address asks for; what it cannot mean counts as not asked."""
    given = request.GET
    search, provider, tier = given.get("q", "")[:MAX_SEARCH], given.get("provider", ""), given.get("tier", "")
    return {
        "q": search if search.isprintable() else "",
        "provider": provider if provider.isprintable() else "",
        "tier": tier if tier in TIERS else "",
        "used": "1" if given.get("used") == "1" else "",
    }


def _filters(chosen: dict[str, str]) -> list[dict[str, Any]]:
    providers = PriceProvider.objects.order_by("name").values_list("id", "name")
    choices = {
        "provider": ("Provider", list(providers)),
        "tier": ("Service tier", [(tier, TIER_NAMES[tier]) for tier in TIERS]),
        "used": ("Models", [("1", "Used by us lately")]),
    }
    return filter_choices(choices, chosen)


def _named_price(request: HttpRequest, now: datetime) -> ListPrice:
    provider, model = request.GET.get("provider", ""), request.GET.get("model", "")
    if not (provider.isprintable() and model.isprintable()):
        raise Http404("No such price")
    found = price_list(now, provider=provider, tier=_tier(request)).filter(model__name=model).first()
    if found is None:
        raise Http404("No such price")
    return found


def _tier(request: HttpRequest) -> str:
    tier = request.GET.get("tier", "")
    return tier if tier in TIERS else "standard"


def _tier_links(request: HttpRequest, access: Access, price: ListPrice) -> list[dict[str, Any]]:
    listed = set(ListPrice.objects.filter(model=price.model_id).values_list("tier", flat=True))
    named = {"provider": price.model.provider_id, "model": price.model.name}
    return [
        {
            "text": TIER_NAMES[tier],
            "url": f"{request.path}?{urlencode(named | {'tier': tier})}",
            "current": tier == price.tier,
        }
        for tier in TIERS
        if tier in listed
    ]


def _events_url(access: Access, price: ListPrice) -> str:
    path = reverse("events", kwargs={"org_slug": access.organization.slug})
    return f"{path}?{urlencode({'provider': price.model.provider_id, 'model': price.model.name})}"
