"""Forms of organizations, teams, members and credentials: they take text in; what is allowed is decided by services."""

from collections.abc import Collection
from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, Signer
from django.http import QueryDict

from common.ids import new_id
from tenants.roles import SCOPES, Role
from tenants.selectors import TeamNode
from tenants.zones import zone_choices

GRACE_CHOICES = [(0, "None: it stops now"), (1, "1 hour"), (24, "1 day"), (72, "3 days"), (168, "7 days")]
ROLE_WORDS = {
    Role.OWNER: "Owner: everything, including other owners",
    Role.ADMIN: "Admin: keys, teams, members, budgets, prices and settings",
    Role.FINANCE: "Finance: budgets, prices, closing months and alert channels",
    Role.MANAGER: "Manager: keys of their own teams",
    Role.VIEWER: "Viewer: sees spend, changes nothing",
}
SCOPE_WORDS = {
    "usage:write": "report usage for any key",
    "usage:read": "read spend and events",
    "budgets:read": "read budgets",
    "budgets:write": "change budgets",
    "keys:read": "list keys",
    "keys:write": "issue, rotate and revoke keys",
    "prices:read": "read prices",
    "prices:write": "change prices",
    "alerts:read": "read alerts and channels",
    "alerts:write": "change alerts and channels",
    "reconciliation:read": "compare bills with spend",
    "reconciliation:write": "upload what providers billed",
    "org:read": "read teams, members and the audit trail",
    "org:write": "change teams",
}


class ServiceForm(forms.Form):
    """A form whose service may still refuse."""

    def refuse(self, error: ValidationError) -> None:
        """Puts what the service refused beside the field it is about."""
        if not hasattr(error, "error_dict"):
            self.add_error(None, error)
            return
        for name, errors in error.error_dict.items():
            self.add_error(name if name in self.fields else None, errors)

    def has_code(self, code: str) -> bool:
        return any(error.code == code for errors in self.errors.as_data().values() for error in errors)


class OnceForm(ServiceForm):
    """What it asks for happens once, however often a browser sends it: it carries the id of the row it will make."""

    attempt = forms.CharField(widget=forms.HiddenInput, max_length=100)

    def __init__(self, data: QueryDict | None = None, **options: Any) -> None:
        super().__init__(data, **options)
        self.initial.setdefault("attempt", Signer(salt="tenants.attempt").sign(str(new_id())))

    def clean_attempt(self) -> int:
        try:
            return int(Signer(salt="tenants.attempt").unsign(self.cleaned_data["attempt"]))
        except BadSignature as error:
            raise ValidationError("The form is out of date. Open it again.") from error


class EndField(forms.DateField):
    """A day after which a credential no longer works; the end of it, in UTC."""

    widget = forms.DateInput(attrs={"type": "date"})

    def clean(self, value: Any) -> datetime | None:
        day = super().clean(value)
        return None if day is None else datetime.combine(day, time(23, 59, 59), UTC)


def team_choices(tree: Collection[TeamNode], allowed: Collection[int]) -> list[tuple[str, str]]:
    """The allowed teams as options, indented as they hang in the tree."""
    return [
        (str(node.team.id), "\N{NO-BREAK SPACE}" * 3 * node.depth + node.team.name)
        for node in tree
        if node.team.id in allowed
    ]


class KeyForm(OnceForm):
    name = forms.CharField(
        max_length=100,
        help_text="Which workload uses it, e.g. support-bot-prod.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    team = forms.TypedChoiceField(coerce=int, help_text="Its spend counts for this team and every team above it.")
    expires_at = EndField(label="Last day", required=False, help_text="It stops at the end of this day, UTC.")
    mode = forms.ChoiceField(
        choices=[("live", "Live"), ("test", "Test")],
        label="Marked as",
        help_text="A test key works the same; its secret starts with chk_test_.",
    )

    def __init__(self, *args: Any, teams: list[tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["team"].choices = teams  # type: ignore[attr-defined]


class RotateForm(OnceForm):
    grace_hours = forms.TypedChoiceField(
        label="How long the old secret goes on working", coerce=int, choices=GRACE_CHOICES, initial=24
    )


class TokenForm(OnceForm):
    name = forms.CharField(
        max_length=100, help_text="What uses it, e.g. terraform.", widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    scopes = forms.MultipleChoiceField(
        choices=[(scope, f"{scope} · {SCOPE_WORDS[scope]}") for scope in sorted(SCOPES)],
        widget=forms.CheckboxSelectMultiple,
    )
    expires_at = EndField(label="Last day", required=False, help_text="It stops at the end of this day, UTC.")


class TeamForm(ServiceForm):
    name = forms.CharField(max_length=100)


class NewTeamForm(TeamForm):
    parent = forms.TypedChoiceField(
        coerce=int, empty_value=None, required=False, help_text="Spend and budgets add up from the bottom to the top."
    )

    def __init__(self, *args: Any, teams: list[tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["parent"].choices = [("", "None: at the top"), *teams]  # type: ignore[attr-defined]


class RoleForm(ServiceForm):
    role = forms.TypedChoiceField(coerce=Role, widget=forms.RadioSelect, initial=Role.VIEWER)
    team_ids = forms.TypedMultipleChoiceField(
        label="Teams",
        coerce=int,
        required=False,
        widget=forms.SelectMultiple(attrs={"size": 6}),
        help_text="For a manager: the teams they look after, with everything below them.",
    )

    def __init__(self, *args: Any, roles: Collection[Role], teams: list[tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["role"].choices = [(role, ROLE_WORDS[role]) for role in Role if role in roles]  # type: ignore[attr-defined]
        self.fields["team_ids"].choices = teams  # type: ignore[attr-defined]


class InviteForm(RoleForm):
    email = forms.EmailField(label="Email", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    field_order = ("email", "role", "team_ids")


class OrganizationForm(ServiceForm):
    name = forms.CharField(max_length=100, widget=forms.TextInput(attrs={"autocomplete": "organization"}))
    timezone = forms.ChoiceField(
        label="Time zone", choices=zone_choices, initial="UTC", help_text="Days, weeks and months of reports follow it."
    )


class NewOrganizationForm(OrganizationForm):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if not self.is_bound:
            # The script then chooses the zone of the browser.
            self.fields["timezone"].widget.attrs["data-browser-zone"] = ""
