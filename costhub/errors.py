"""What nobody caught: a problem on the API, a page elsewhere, and never a traceback."""

import sys

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from common.db import outage
from common.problems import Problem, problem_response

PAGES = {status: f"errors/{status}.html" for status in (400, 403, 404, 429, 500, 503)}


def answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The problem as JSON for programs and as a page for people."""
    if request.path.startswith(("/api/", "/v1/", "/webhooks/")):
        return problem_response(problem, request)
    # Without the request, whose context processors would ask the very database that may be down.
    facts = {"detail": problem.detail, "request_id": getattr(request, "request_id", "")}
    response = HttpResponse(render_to_string(PAGES[problem.status], facts), status=problem.status)
    for name, value in problem.headers.items():
        response[name] = value
    return response


def bad_request(request: HttpRequest, exception: BadRequest | SuspiciousOperation) -> HttpResponse:
    return answer(request, Problem("bad-request"))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(request, Problem("forbidden", str(exception)[:200]))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return answer(request, Problem("forbidden", "The form was out of date or came from another site. Reload the page."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(request, Problem("not-found"))


def server_error(request: HttpRequest) -> HttpResponse:
    return answer(request, outage(sys.exc_info()[1]) or Problem("internal-error"))


def unknown_api_path(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
    return answer(request, Problem("not-found"))
