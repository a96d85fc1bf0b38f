"""The form that sets a budget: what it measures, beside what may change later."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from django import forms

from budgets.forms import PLAIN, BudgetForm, choice_field, listed
from budgets.models import VALUE_SCOPES, WINDOW_KINDS, Enforcement, Scope, Unit, WhenUnavailable
from budgets.serializers import DEFAULT_THRESHOLDS
from budgets.terms import DAYS, Measure, Terms
from common.ids import parse_id
from common.periods import WEEKDAYS
from tenants.models import Organization, Team, VirtualKey
from tenants.selectors import TeamNode, team_tree
from tenants.zones import zone_choices

INDENT = "\u2003"
_MONTHS = [(number, f"{date(2000, number, 1):%B}") for number in range(1, 13)]


class BudgetCreateForm(BudgetForm):
    version = None  # type: ignore[assignment]
    limit_from = None  # type: ignore[assignment]
    scope = forms.ChoiceField(
        label="What it limits", help_text="Everything, a team with those below it, a key, or what callers name."
    )
    value = forms.CharField(
        label="Value",
        required=False,
        max_length=200,
        strip=False,
        widget=forms.TextInput(attrs=PLAIN | {"list": "known-values"}),
        help_text="Which customer, feature, agent, user or model, or what of the tag; as callers write it.",
    )
    when_unavailable = choice_field(
        [("", "Refuse where it blocks, else allow for a while"), *WhenUnavailable.choices],
        label="When counters cannot be asked",
        help_text="What a call is answered while nobody can say how much is left.",
        required=False,
    )
    tag_name = forms.CharField(
        label="Tag", required=False, max_length=40,
        widget=forms.TextInput(attrs=PLAIN | {"list": "known-tags"}),
    )  # fmt: skip
    within = forms.ChoiceField(label="Within", required=False, help_text="Count only what this team uses of it.")
    unit = choice_field(
        [(Unit.COST, "US dollars"), (Unit.TOKENS, "Tokens"), (Unit.REQUESTS, "Requests")], label="Counted in"
    )
    period = forms.ChoiceField(choices=[(kind, kind.capitalize()) for kind in WINDOW_KINDS], initial="month")
    rolling_days = forms.IntegerField(
        label="Days of a rolling window", min_value=DAYS[0], max_value=DAYS[1], required=False
    )
    fiscal_year_start_month = forms.TypedChoiceField(
        choices=_MONTHS, coerce=int, required=False, initial=1, label="Fiscal year begins in",
        help_text="For quarters and years.",
    )  # fmt: skip
    week_start = forms.ChoiceField(
        choices=[(day, day.capitalize()) for day in WEEKDAYS],
        initial="monday",
        label="Week begins on",
        help_text="For weekly budgets.",
    )
    timezone = forms.ChoiceField(choices=zone_choices, label="Time zone", help_text="Periods begin at its midnight.")

    def __init__(
        self, *args: Any, organization: Organization, choices: Any, teams: Sequence[TeamNode], **options: Any
    ) -> None:
        defaults = {
            "timezone": organization.timezone,
            "thresholds": listed(DEFAULT_THRESHOLDS),
            "grace_seconds": Terms().grace_seconds,
            "overcommit": "yes",
        }
        options["initial"] = defaults | options.get("initial", {})
        super().__init__(*args, **options)
        self.organization = organization
        self.fields["scope"].choices = choices  # type: ignore[attr-defined]
        self.fields["within"].choices = [  # type: ignore[attr-defined]
            ("", f"All of {organization.name}"),
            *((str(node.team.id), INDENT * node.depth + node.team.name) for node in teams),
        ]

    def terms(self) -> Terms:
        chosen = super().terms()
        closed = chosen.enforcement == Enforcement.HARD and not self.cleaned_data["when_unavailable"]
        return replace(chosen, when_unavailable=WhenUnavailable.CLOSED) if closed else chosen

    def measure(self) -> Measure:
        given = self.cleaned_data
        kind, _, identifier = given["scope"].partition(":")
        by_value = kind in VALUE_SCOPES
        return Measure(
            scope_type=kind,
            team=self._team(given["within"] if by_value else identifier if kind == Scope.TEAM else ""),
            virtual_key=self._key(identifier) if kind == Scope.VIRTUAL_KEY else None,
            value=given["value"] if by_value else "",
            tag_name=given["tag_name"] if kind == Scope.TAG else "",
            unit=given["unit"] or Unit.COST,
            period=given["period"],
            timezone=given["timezone"],
            week_start=given["week_start"],
            fiscal_year_start_month=given["fiscal_year_start_month"] or 1,
            rolling_days=given["rolling_days"] if given["period"] == "rolling" else None,
        )

    def _team(self, identifier: str) -> Team | None:
        """The team of a choice that was offered; None for no choice."""
        return Team.objects.get(organization=self.organization, id=parse_id(identifier) or 0) if identifier else None

    def _key(self, identifier: str) -> VirtualKey:
        return VirtualKey.objects.get(organization=self.organization, id=parse_id(identifier) or 0)


def scope_choices(organization: Organization, teams: Sequence[TeamNode], keys: Sequence[VirtualKey]) -> list[Any]:
    """Everything a budget may be set on, in groups, teams as a tree."""
    return [
        (str(Scope.ORGANIZATION), f"All of {organization.name}"),
        ("What callers name", [(str(scope), f"One {scope.label.lower()}") for scope in VALUE_SCOPES]),
        ("Teams", [(f"{Scope.TEAM}:{node.team.id}", INDENT * node.depth + node.team.name) for node in teams]),
        ("Keys", [(f"{Scope.VIRTUAL_KEY}:{key.id}", f"{key.name} ({key.team.name})") for key in keys]),
    ]


def create_form(organization: Organization, data: Any = None, **options: Any) -> BudgetCreateForm:
    """The form with everything there is to choose from."""
    teams = team_tree(organization)
    keys = VirtualKey.objects.filter(organization=organization, revoked_at__isnull=True)
    choices = scope_choices(organization, teams, list(keys.select_related("team").order_by("name", "id")))
    return BudgetCreateForm(data, organization=organization, choices=choices, teams=teams, **options)
