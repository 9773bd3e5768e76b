"""Every address that acts on a dossier, posted in every state by everybody: the expected answer, never an error."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from onboarding.intake.models import Dossier
from suite.accounts.models import Membership, OperatorRole, User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from tests.accounts.elevation import elevate
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.factories.directory import OperatorFactory
from tests.factories.intake import RemarkFactory
from tests.intake.conftest import staff
from tests.intake.situations import situation

pytestmark = pytest.mark.django_db
S = Dossier.Status
UNSENT = {S.DRAFT, S.EXPIRED}
INSTRUCTING = {"instructor", "other", "lead"}
DECIDERS = {"instructor", "lead"}
WITHDRAWABLE = {S.DRAFT, S.SUBMITTED, S.IN_REVIEW, S.NEEDS_CHANGES, S.SECOND_APPROVAL}

# Who may, by state: the first answer of a legal act. Everything else is derived from `expected`.
DESK: dict[str, dict[str, set[str]]] = {
    "take": {S.SUBMITTED: INSTRUCTING},
    "release": {S.IN_REVIEW: DECIDERS},
    "assign": {S.IN_REVIEW: INSTRUCTING},
    "request_changes": {S.IN_REVIEW: DECIDERS, S.SECOND_APPROVAL: DECIDERS},
    "reject": {S.IN_REVIEW: DECIDERS, S.SECOND_APPROVAL: DECIDERS},
    "approve": {S.IN_REVIEW: {"instructor"}, S.SECOND_APPROVAL: {"lead"}},
    "propose": {S.IN_REVIEW: {"instructor"}},
    "confirm": {S.SECOND_APPROVAL: {"lead"}},
    "reopen": {S.REJECTED: {"lead"}},
    "propose_revocation": {S.APPROVED: {"lead"}},
    "revoke": {S.APPROVED: {"lead"}},
}
LEADS_ONLY = {"confirm", "reopen", "propose_revocation", "revoke"}
# Legal, and refused by a guard: nothing makes it sensitive, nobody proposed it.
GUARDED = {"propose", "revoke"}
STEPS = [f"step-{number}" for number in range(1, 6)]
ADDRESSES = [*DESK, *STEPS, "withdraw"]


def data(address: str, other: User) -> dict[str, Any]:
    """Return a form that is right whatever the state."""
    return {
        "version": "1",
        "rank": "0",
        "message": "Voici pourquoi.",
        "reason": "Voici pourquoi.",
        "reasons": ["mailbox_list"] if address == "request_changes" else ["not_public_use"],
        "assignee": str(other.pk),
        "action": "quit",
    }


PREVIEWED = {"approve", "reject", "request_changes", "confirm", "reopen", "revoke"}


def expected(address: str, status: str, role: str) -> set[int]:
    """Return the answers that the specification allows."""
    if role == "visitor":
        return {302}
    if address in DESK:
        return {_desk(address, status, role)}
    return _requester(address, status, role)


def _desk(address: str, status: str, role: str) -> int:
    if role in {"stranger", "reader", "requester", "colleague"}:
        return 403
    if role == "elsewhere" or status in UNSENT:
        return 404
    if role in {"auditor", "superadmin"} or (address in LEADS_ONLY and role != "lead"):
        return 403
    if status not in DESK[address]:
        return 409
    if role not in DESK[address][status]:
        return 403
    return 422 if address in GUARDED else 302


def _requester(address: str, status: str, role: str) -> set[int]:
    if role in {"stranger", "elsewhere"} or (status in UNSENT and role not in {"reader", "requester", "colleague"}):
        return {404}
    if role not in {"requester", "colleague"}:
        return {403}
    if address == "withdraw":
        return {302} if status in WITHDRAWABLE else {409}
    if status == S.DRAFT:
        return {302, 422}
    if status == S.NEEDS_CHANGES:  # a blank form touches what is closed, or says what is missing
        return {302, 403, 422}
    return {409}


@pytest.fixture
def people(commune: Organization, agent: User, anct: Operator, instructor: User, lead: User) -> dict[str, User | None]:
    return {
        "visitor": None,
        "stranger": UserFactory.create(),
        "reader": MembershipFactory.create(organization=commune, role=Membership.Role.READER).user,
        "requester": agent,
        "colleague": MembershipFactory.create(organization=commune).user,
        "auditor": staff(anct, OperatorRole.Role.READER),
        "instructor": instructor,
        "other": staff(anct, OperatorRole.Role.INSTRUCTOR),
        "lead": lead,
        "elsewhere": staff(OperatorFactory.create(departments=["01"]), OperatorRole.Role.LEAD),
        "superadmin": UserFactory.create(is_superuser=True, is_staff=True),
    }


def at(address: str, dossier: Dossier) -> str:
    """Return the address of an act on that dossier."""
    if address in STEPS:
        return reverse("intake:step", args=[dossier.pk, int(address[-1])])
    return reverse(f"{'desk' if address in DESK else 'intake'}:{address}", args=[dossier.pk])


def browser(user: User | None, *, csrf: bool = False) -> Client:
    """Return the browser of somebody, signed in with a second factor."""
    client = Client(enforce_csrf_checks=csrf)
    if user:
        client.force_login(User.objects.get(pk=user.pk), backend="suite.accounts.oidc.ProConnectBackend")
        elevate(client)
    return client


@pytest.fixture(params=S.values)
def dossier(
    request: pytest.FixtureRequest, commune: Organization, agent: User, anct: Operator, instructor: User
) -> Dossier:
    made = situation(request.param, commune, agent, anct, instructor)
    if request.param == S.NEEDS_CHANGES:
        RemarkFactory.create(dossier=made)
    return made


@pytest.mark.slow
def test_every_post_in_every_state_by_everybody(dossier: Dossier, people: dict[str, User | None]) -> None:
    wrong = []
    for role, user in people.items():
        client = browser(user)
        wrong += [f"{role}, {at}: {said}" for at in ADDRESSES for said in _post(client, at, dossier, people, role)]
    assert not wrong, "\n".join(wrong)


def _post(client: Client, address: str, dossier: Dossier, people: dict[str, User | None], role: str) -> Iterator[str]:
    """Post twice in a transaction that is undone, and yield what is not as it should be."""
    user, other, url = people[role], people["other"], at(address, dossier)
    assert other
    form = data(address, other)
    with transaction.atomic():
        if address in PREVIEWED:  # nothing is decided but what was shown
            client.post(url, {**form, "etape": "apercu"})
            form = {**form, "etape": "envoi"}
        first = client.post(url, form)
        events, now = list(Event.objects.about("dossier", dossier.pk)), Dossier.objects.get(pk=dossier.pk)
        if first.status_code not in expected(address, dossier.status, role):
            yield f"{first.status_code}, not {expected(address, dossier.status, role)}"
        done = first.status_code == 302 and user is not None
        saves = address in STEPS and user is not None and first.status_code in {302, 422}  # right or wrong, it is kept
        if not (done or saves) and (events or now.version != dossier.version):
            yield f"refused with {first.status_code}, and yet {[event.kind for event in events]}"
        if done and address not in STEPS:
            assert user
            if [event.actor for event in events] != [user.pk]:  # R37
                yield f"signed {[event.actor for event in events]}"
            second = client.post(url, form)
            if second.status_code != 302 or Event.objects.about("dossier", dossier.pk).count() != len(events):
                yield f"a second click answers {second.status_code}"
        transaction.set_rollback(True)


@pytest.mark.slow
def test_r04_reading_an_act_changes_nothing_and_a_forged_post_is_refused(
    dossier: Dossier, people: dict[str, User | None]
) -> None:
    before, other = Dossier.objects.values().get(pk=dossier.pk), people["other"]
    assert other
    for role in ("requester", "instructor", "lead"):
        client = browser(people[role], csrf=True)
        for address in ADDRESSES:
            url = at(address, dossier)
            for asked in (client.get(url), client.head(url), client.get(url, headers={"Sec-Purpose": "prefetch"})):
                assert asked.status_code in {200, 302, 403, 404, 405}
            assert client.post(url, data(address, other)).status_code == 403, url
    assert Dossier.objects.values().get(pk=dossier.pk) == before
    assert not Event.objects.about("dossier", dossier.pk).exists()
