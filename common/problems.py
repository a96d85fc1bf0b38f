"""RFC 9457 problems: the one shape of every error on the API.

`type` comes from the closed list below and never changes its meaning. Input is echoed escaped and cut to 64 characters.
"""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, JsonResponse

TYPE_BASE = "https://costhub.dev/problems/"
CONTENT_TYPE = "application/problem+json"

# type → (status, title)
PROBLEMS: dict[str, tuple[int, str]] = {
    "malformed-json": (400, "The body is not JSON"),
    "malformed-body": (400, "The body could not be read"),
    "too-deep": (400, "The body is nested too deeply"),
    "bad-request": (400, "The request could not be read"),
    "unauthenticated": (401, "A valid bearer token is needed"),
    "budget-exceeded": (402, "A budget has no room for this"),
    "approval-required": (402, "A budget asks for approval before this goes on"),
    "unpriced-model": (402, "A budget refuses models without a known price"),
    "insufficient-scope": (403, "The token may not do this"),
    "scope-exceeds-grantor": (403, "A token cannot grant more than its maker may do"),
    "forbidden": (403, "Not allowed"),
    "model-not-allowed": (403, "The model is not allowed here"),
    "not-found": (404, "There is no such thing"),
    "method-not-allowed": (405, "The method is not allowed here"),
    "not-acceptable": (406, "No offered form of the answer is acceptable"),
    "request-timeout": (408, "The body took too long to arrive"),
    "conflict": (409, "The state of the object does not allow this"),
    "event-conflict": (409, "An event of this id is known with other content"),
    "authorization-conflict": (409, "An authorization of this id is known with other content"),
    "authorization-ended": (409, "The authorization has ended"),
    "stale-write": (412, "The object was changed by somebody else"),
    "batch-too-large": (413, "The batch holds too many events"),
    "body-too-large": (413, "The body is too large"),
    "unsupported-media-type": (415, "The content type is not supported"),
    "validation-error": (422, "Request is not valid"),
    "price-implausible": (422, "The price is so far from known ones that it must be confirmed"),
    "url-not-allowed": (422, "The URL is not allowed"),
    "secret-required": (422, "The secret must be given again"),
    "precondition-required": (428, "Say which version you mean to change"),
    "rate-limited": (429, "Too many requests"),
    "internal-error": (500, "Something went wrong on our side"),
    "unavailable": (503, "Not available right now"),
    "budget-unavailable": (503, "Budgets cannot be checked right now"),
    "ingestion-overloaded": (503, "More usage is waiting than can be taken in"),
}


def excerpt(value: object) -> str:
    """At most 64 characters of what a caller sent, with everything but visible ASCII escaped."""
    text = value if isinstance(value, str) else repr(value)
    return text.encode("unicode_escape").decode("ascii")[:64]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request: an RFC 6901 pointer into the body, a stable code, a sentence."""

    pointer: str
    code: str
    detail: str

    def as_json(self) -> dict[str, str]:
        return {"pointer": self.pointer, "code": self.code, "detail": self.detail}


@dataclass
class Problem(Exception):
    """Raise it anywhere below an API view; it becomes the answer."""

    slug: str
    detail: str = ""
    errors: tuple[Fault, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.slug, self.detail)

    @property
    def status(self) -> int:
        return PROBLEMS[self.slug][0]

    def body(self, request_id: str) -> dict[str, Any]:
        status, title = PROBLEMS[self.slug]
        document: dict[str, Any] = {
            "type": TYPE_BASE + self.slug,
            "title": title,
            "status": status,
            "detail": self.detail or title,
            "instance": f"urn:costhub:req:{request_id}",
            "request_id": request_id,
        }
        if self.errors:
            document["errors"] = [fault.as_json() for fault in self.errors]
        return document | self.extra


def unauthenticated() -> Problem:
    """The one 401 body: it never says which part of a credential was wrong."""
    return Problem("unauthenticated", headers={"WWW-Authenticate": 'Bearer realm="costhub"'})


def invalid(*faults: Fault) -> Problem:
    return Problem("validation-error", "; ".join(fault.detail for fault in faults[:3]), errors=faults)


def problem_response(problem: Problem, request: HttpRequest) -> JsonResponse:
    response = JsonResponse(
        problem.body(getattr(request, "request_id", "")), status=problem.status, content_type=CONTENT_TYPE
    )
    response.reason_phrase = HTTPStatus(problem.status).phrase
    for name, value in problem.headers.items():
        response[name] = value
    return response
