"""The link in an approver's mail: it names the approver and one request, opens nothing else, and ends by itself.

It stands for a sign-in on the page of that request only. What it may do there is what its holder may do at that moment.
"""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

from django.core.signing import BadSignature, TimestampSigner
from django.urls import reverse

LIFETIME = timedelta(days=7)
_SALT = "costhub.budgets.approvals.decide"


@dataclass(frozen=True, slots=True)
class Invited:
    """Who was asked to decide on what."""

    organization_id: int
    request_id: int
    membership_id: int


def decision_path(invited: Invited) -> str:
    """The token stands in the query, which access logs leave out."""
    ids = f"{invited.organization_id}.{invited.request_id}.{invited.membership_id}"
    return f"{reverse('increase_link')}?{urlencode({'token': TimestampSigner(salt=_SALT).sign(ids)})}"


def invited_by(token: str) -> Invited | None:
    """Whom the token names; None for one that was not made here, was changed, or is too old."""
    try:
        ids = TimestampSigner(salt=_SALT).unsign(token, max_age=LIFETIME)
    except BadSignature:
        return None
    return Invited(*(int(part) for part in ids.split(".")))
