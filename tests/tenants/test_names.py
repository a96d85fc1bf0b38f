"""Names and zones: what people may call things."""

import pytest
from django.core.exceptions import ValidationError

from tenants.names import clean_name
from tenants.zones import known_zones, zone_choices


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Search", "Search"),
        ("  Search   & Ads ", "Search & Ads"),
        ("Zu\u0308rich", "Zürich"),
        ("検索", "検索"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("non\u00a0breaking", "non breaking"),
    ],
)
def test_names_are_kept_readable(given: str, kept: str) -> None:
    assert clean_name(given) == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        "   ",
        "\u00a0",
        "a\r\nBcc: x@y.example",
        "a\x00b",
        "pay\u200bpal",
        "\u202egnp.exe",
        "a\u2028b",
        "\ud800",
        "\t",
    ],
)
def test_names_that_deceive_are_refused(given: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        clean_name(given)
    assert "name" in refusal.value.message_dict


def test_every_zone_on_offer_is_known_and_relics_are_not_on_offer() -> None:
    offered = {name for _, zones in zone_choices() for name, _ in zones}
    assert offered <= known_zones()
    assert {"UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Calcutta", "Australia/Lord_Howe"} <= offered
    assert not {"EST5EDT", "localtime", "Factory", "Etc/GMT+5"} & offered
    assert zone_choices()[0][1] == (("UTC", "UTC"),)
