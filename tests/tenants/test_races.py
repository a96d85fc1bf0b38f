"""The same thing at the same moment, on real connections: one of them happens."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.db import connection
from django.utils import timezone

from tenants.access import open_organization, organization_scope
from tenants.members import member_invite
from tenants.models import Invitation, Membership, VirtualKey
from tenants.roles import Role
from tests.factories import Tenant, make_member, make_team, make_user
from tests.tenants.conftest import browser
from tests.tenants.test_keys import SECRET, attempt


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """The answers of calls that start together, each in a thread and on a connection of its own."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_a_form_sent_many_times_at_once_issues_one_key(committed_tenant: Tenant) -> None:
    tenant, page = committed_tenant, "/o/acme/keys/new"
    clients = [browser(tenant.owner) for _ in range(6)]
    form = {"name": "bot", "team": tenant.team.id, "mode": "live", "attempt": attempt(clients[0], page)}
    answers = at_once(*[lambda client=client: client.post(page, form) for client in clients])
    assert sorted(answer.status_code for answer in answers) == [200] + [302] * 5
    assert sum(bool(SECRET.search(answer.content)) for answer in answers) == 1
    with organization_scope(tenant.id):
        assert VirtualKey.objects.filter(name="bot").count() == 1


def test_two_owners_who_remove_each_other_leave_one(committed_tenant: Tenant) -> None:
    tenant = committed_tenant
    users = [tenant.owner, make_member(tenant, Role.OWNER, email="second@acme.example")]
    with organization_scope(tenant.id):
        rows = {row.user_id: row.id for row in Membership.objects.all()}
    pairs = [(browser(users[0]), rows[users[1].id]), (browser(users[1]), rows[users[0].id])]
    at_once(*[lambda pair=pair: pair[0].post(f"/o/acme/members/{pair[1]}/remove") for pair in pairs])
    with organization_scope(tenant.id):
        assert Membership.objects.filter(role=Role.OWNER).count() == 1


def test_an_invitation_accepted_many_times_at_once_makes_one_member(committed_tenant: Tenant) -> None:
    tenant, newcomer = committed_tenant, make_user("new@people.example")
    access = open_organization(tenant.owner, "acme")
    with organization_scope(tenant.id):
        _, token = member_invite(access=access, email=newcomer.email, role=Role.VIEWER, team_ids=[], now=timezone.now())
    clients = [browser(newcomer) for _ in range(4)]
    url = f"/invitations/accept?token={token}"
    answers = at_once(*[lambda client=client: client.post(url) for client in clients])
    assert {answer.status_code for answer in answers} <= {302, 403, 410}
    with organization_scope(tenant.id):
        assert Membership.objects.filter(user=newcomer).count() == 1
        assert Invitation.objects.get().accepted_at is not None


def test_inviting_one_address_many_times_at_once_leaves_one_open_link(committed_tenant: Tenant) -> None:
    tenant = committed_tenant
    clients = [browser(tenant.owner) for _ in range(4)]
    form = {"email": "new@people.example", "role": "viewer"}
    answers = at_once(*[lambda client=client: client.post("/o/acme/members/invite", form) for client in clients])
    assert {answer.status_code for answer in answers} <= {302, 422}
    with organization_scope(tenant.id):
        assert Invitation.objects.filter(revoked_at__isnull=True).count() == 1


def test_teams_of_one_name_made_at_once_get_slugs_of_their_own_or_a_sentence(committed_tenant: Tenant) -> None:
    tenant = committed_tenant
    make_team(tenant, "Search")
    clients = [browser(tenant.owner) for _ in range(4)]
    answers = at_once(
        *[lambda client=client: client.post("/o/acme/teams/new", {"name": "Search"}) for client in clients]
    )
    assert {answer.status_code for answer in answers} <= {302, 422}
    assert 302 in {answer.status_code for answer in answers}
