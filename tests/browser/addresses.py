"""Every address of an organization: those the URL configuration names, and those that its pages lead to."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve
from playwright.sync_api import APIRequestContext


def organization_names() -> set[str]:
    """The names of all addresses under /o/<organization>/."""
    return {str(pattern.name) for pattern in _patterns(get_resolver()) if "org_slug" in pattern.pattern.converters}


def _patterns(resolver: URLResolver) -> Iterator[URLPattern]:
    for each in resolver.url_patterns:
        if isinstance(each, URLResolver):
            yield from _patterns(each)
        else:
            yield each


@dataclass
class Site:
    """Addresses by the name of their URL and what tells them apart but ids, e.g. `channel_create slack`."""

    pages: dict[str, str] = field(default_factory=dict)
    forms: dict[str, str] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    downloads: dict[str, str] = field(default_factory=dict)

    @property
    def all(self) -> dict[str, str]:
        return self.pages | self.parts | self.forms | self.downloads

    @property
    def names(self) -> set[str]:
        return {key.split()[0] for key in self.all}


def explore(request: APIRequestContext, org: str) -> Site:
    """Follows one link of every kind, from the organization's first page on, as the one who is signed in. What lies
    nearer comes first, so that of alerts it is the newest in their list that is looked at."""
    site, waiting = Site(), [f"/o/{org}/"]
    site.pages["overview"] = waiting[0]
    while waiting:
        path = waiting.pop(0)
        answer = request.get(path)
        assert answer.status == 200, f"a page leads to {path}, which answers {answer.status}"
        read = _Addresses(path)
        read.feed(answer.text())
        site.forms.update(_new(read.forms, org, site.forms))
        site.parts.update(_new(read.parts, org, site.parts))
        site.downloads.update(_new(read.downloads, org, site.downloads))
        pages = _new(read.links, org, site.pages)
        site.pages.update(pages)
        waiting += pages.values()
    return site


def _new(paths: list[str], org: str, known: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in paths:
        key = _key(path, org)
        if key and key not in known:
            found.setdefault(key, path)
    return found


def _key(path: str, org: str) -> str | None:
    try:
        match = resolve(urlsplit(path).path)
    except Resolver404:
        return None
    if match.kwargs.get("org_slug") != org:
        return None
    kinds = [value for name, value in match.kwargs.items() if isinstance(value, str) and name != "org_slug"]
    return " ".join([str(match.url_name), *kinds])


class _Addresses(HTMLParser):
    """What a page leads to: by links (to files where they say so), by posted forms, by parts it loads itself."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[str] = []
        self.parts: list[str] = []
        self.downloads: list[str] = []
        self._path = path

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a" and given.get("href"):
            self._note(self.downloads if "download" in given else self.links, given["href"])
        if tag == "form" and (given.get("method") or "").lower() == "post":
            self._note(self.forms, given.get("action") or self._path)
        if given.get("hx-get"):
            self._note(self.parts, given["hx-get"])

    def _note(self, found: list[str], address: str | None) -> None:
        target = urljoin(self._path, address or "")
        if target.startswith("/"):
            found.append(target)
