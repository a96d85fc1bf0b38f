"""Selects as Django's own template makes them, to the byte."""

from typing import Any

import pytest
from django import forms
from django.forms.renderers import DjangoTemplates
from django.forms.widgets import Select, SelectMultiple
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

from common.form_renderer import FormRenderer

CHOICES: list[Any] = [
    ("", "Choose"),
    (3, "Three <b>\"&'</b>"),
    ('a"b', mark_safe("<i>safe</i>")),
    ("Zones & more", [("UTC", "UTC"), ("Europe/Berlin", gettext_lazy("Berlin"))]),
    ("None", [(None, "nothing"), (True, 7)]),
]


@pytest.mark.parametrize("widget", [Select, SelectMultiple])
@pytest.mark.parametrize("value", [None, "", "UTC", 3, 'a"b', ["UTC", "3"]])
@pytest.mark.parametrize("attrs", [{}, {"id": "id_zone", "required": True, "disabled": False, "data-x": '"<'}])
def test_the_same_as_django(widget: type[Select], value: Any, attrs: dict[str, Any]) -> None:
    field = widget(attrs=attrs, choices=CHOICES)
    own, djangos = (field.render('n"ame', value, renderer=renderer) for renderer in (FormRenderer(), DjangoTemplates()))
    assert own == djangos
    assert hasattr(own, "__html__")


def test_everything_else_is_left_to_django() -> None:
    form = type("Form", (forms.Form,), {"name": forms.CharField(), "kind": forms.ChoiceField(choices=CHOICES)})
    assert str(form(renderer=FormRenderer())) == str(form(renderer=DjangoTemplates()))
