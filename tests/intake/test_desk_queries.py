"""What the desk's pages ask of the database: fewer than fifteen statements, whatever the dossier and the filters."""

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from onboarding.intake import beside, checklist, desk_filters, moves, rules
from onboarding.intake.desk_models import CheckItem, DeskHabit, ReadMark, SavedView
from onboarding.intake.models import Dossier
from onboarding.intake.name_models import LostName, NameLookup, NameQuestion
from onboarding.intake.presentation import complete
from onboarding.intake.proof_models import OwnershipProof
from onboarding.intake.request_models import Claim, CoAuthor
from suite.accounts import sessions
from suite.accounts.models import OperatorRole, User, UserSession
from suite.directory.models import Operator, Organization
from suite.journal import workflow as journal
from suite.trade import reading as trade
from tests.factories.accounts import UserFactory
from tests.factories.directory import OperatorFactory
from tests.factories.intake import DossierFactory, NameChoiceFactory, ProposalFactory, RemarkFactory
from tests.factories.provisioning import deployment
from tests.factories.thread import MessageFactory
from tests.intake.browsing import said, sign_in
from tests.intake.conftest import staff

pytestmark = pytest.mark.django_db
S = Dossier.Status
MOST = 14
TRAITS = (
    "sent", "in_review", "needs_changes", "second_approval", "approved", "revoked", "rejected", "withdrawn", "expired",
)  # fmt: skip
WISHES = {
    "collectivite": ["rochefort-en-terre.collectivite.fr", "rochefort56.collectivite.fr"],
    "new": ["rochefort-en-terre.fr", "mairie-rochefort.fr", "ville-rochefort.bzh", "terre-de-rochefort.fr"],
    "existing": ["rochefort-exemple.fr"],
}


def browser(user: User) -> Client:
    """Return the browser of somebody who signed in as people do: each page looks whether the session still holds."""
    client = sign_in(user)
    session = client.session
    session[sessions.KEY] = str(UserSession.objects.create(user=user).pk)
    session.save()
    return client


def read(client: Client, url: str) -> tuple[int, str]:
    """Return how many statements a page takes where nothing is kept from the one before, and what it says."""
    client.get(url)
    trade.forget()
    trade.current("reasons")  # a process that starts reads all the settings, once
    trade._known.asked_at = None  # noqa: SLF001 - two seconds have passed
    with CaptureQueriesContext(connection) as captured:
        response = client.get(url)
    assert response.status_code == 200
    return len(captured), said(response.content.decode())


def full(dossier: Dossier, reader: User, family: str) -> None:
    """Put beside a dossier one of everything that its page shows."""
    now = timezone.now()
    Dossier.objects.filter(pk=dossier.pk).update(family=family, storage_gb=25, allocation_reason="Archives.")
    dossier.names.all().delete()
    for rank, fqdn in enumerate(WISHES[family]):
        NameChoiceFactory.create(dossier=dossier, rank=rank, typed=fqdn)
        NameLookup.objects.create(fqdn=fqdn, code="taken", checked_at=now)
    if len(WISHES[family]) > 1:
        NameQuestion.objects.create(dossier=dossier, fqdn=WISHES[family][1], asked_by=reader)
    LostName.objects.create(dossier=dossier, fqdn=WISHES[family][0])
    OwnershipProof.objects.create(
        dossier=dossier, domain=WISHES[family][0], token="a" * 40, started_by=dossier.author, started_at=now,
        expires_at=now + timedelta(days=30),
    )  # fmt: skip
    rival = DossierFactory.create(sent=True, contents=False)
    NameChoiceFactory.create(dossier=rival, typed=WISHES[family][0])
    Claim.objects.create(dossier=dossier, fact="population", claimed="840", reason="Recensement.", author=reader)
    RemarkFactory.create(dossier=dossier)
    CoAuthor.objects.create(dossier=dossier, user=UserFactory.create(), state="active", answered_by=dossier.author)
    for kind in ("message", "note"):
        MessageFactory.create(dossier=dossier, kind=kind, side="operator")
    for kind in ("create", "save", "submit", "take"):
        journal.record(moves.STREAM, dossier.pk, kind, by=dossier.author, payload={"fields": ["requester_phone"]})
    ReadMark.objects.create(user=reader, dossier=dossier, seq=1)
    dossier.refresh_from_db()
    if dossier.status in Dossier.OPEN:
        checklist.refresh(complete().get(pk=dossier.pk))
        doubt = CheckItem.objects.filter(dossier=dossier).exclude(result="ok").first()
        assert doubt
        CheckItem.objects.filter(pk=doubt.pk).update(overridden_by=reader, overridden_at=now, why="Vu avec le maire.")
    if dossier.status in {S.APPROVED, S.REVOKED}:
        built = deployment(organization=dossier.organization, operator=dossier.operator, domain=WISHES[family][0])
        Dossier.objects.filter(pk=dossier.pk).update(deployment=built)
        ProposalFactory.create(dossier=dossier, revocation=True, proposer=reader)


@pytest.fixture(params=["anct", "opsn"])
def reader(request: pytest.FixtureRequest, anct: Operator) -> User:
    """Whoever leads at the national operator, or at that of the territory."""
    place = anct if request.param == "anct" else OperatorFactory.create(departments=["56"])
    return staff(place, OperatorRole.Role.LEAD)


class TestDossier:
    @pytest.mark.slow
    @pytest.mark.parametrize("family", sorted(WISHES))
    @pytest.mark.parametrize("trait", TRAITS)
    def test_it_takes_fewer_than_fifteen_statements_in_every_state(
        self, trait: str, family: str, reader: User, commune: Organization, agent: User
    ) -> None:
        operator = reader.operator_roles.get().operator
        dates = {"submitted_at": timezone.now(), "operator": operator, "assignee": reader}
        if trait == "sent":
            dates["assignee"] = None
        dossier = DossierFactory.create(organization=commune, author=agent, **{trait: True}, **dates)
        full(dossier, reader, family)
        queries, text = read(browser(reader), f"/instruction/{dossier.pk}/")
        assert queries <= MOST
        assert WISHES[family][0] in text
        assert "840" in text
        assert ("Il manque l’accueil." in text) == (dossier.status == S.NEEDS_CHANGES)
        assert ("Vu avec le maire." in text) == (dossier.status in Dossier.OPEN)
        assert ("Mise en service" in text) == (dossier.status in {S.APPROVED, S.REVOKED})

    def test_rows_read_beside_a_dossier_are_those_of_the_tables(
        self, reader: User, commune: Organization, agent: User
    ) -> None:
        operator = reader.operator_roles.get().operator
        dossier = DossierFactory.create(organization=commune, author=agent, needs_changes=True, operator=operator)
        full(dossier, reader, "new")
        loaded = beside.unpack(beside.read(complete(), reader).get(pk=dossier.pk), reader)
        with CaptureQueriesContext(connection) as captured:
            read_beside = {name: [row.__dict__ for row in getattr(loaded, name).all()] for name in beside.TABLES}
            people = [item.overridden_by.get_full_name() for item in loaded.check_items.all() if item.overridden_by]
        assert not captured.captured_queries
        assert people == [reader.get_full_name()]
        for name, rows in read_beside.items():
            stored = [row.__dict__ for row in getattr(dossier, name).all()]
            assert [{key: row[key] for key in row if key != "_state"} for row in rows] == [
                {key: row[key] for key in row if key != "_state"} for row in stored
            ]
        assert not rules.is_insider(loaded, reader)
        assert rules.is_insider(beside.unpack(beside.read(complete(), agent).get(pk=dossier.pk), agent), agent)


class TestQueue:
    VALUES = {
        "statut": "submitted", "attribution": "moi", "operateur": "{operator}", "departement": "56",
        "epci": "200000016",
        "opsn": "{operator}", "population": "0-499", "famille": "new", "habilitation": "M2", "motif": "mailbox_list",
        "sensible": "oui", "delai": "retard", "signal": "objection", "q": "rochefort",
    }  # fmt: skip

    @pytest.fixture
    def crowd(self, reader: User, commune: Organization) -> None:
        """More dossiers than a page holds, and as many saved views as a person and its team may have."""
        operator = reader.operator_roles.get().operator
        for _ in range(27):
            DossierFactory.create(sent=True, operator=operator, assignee=reader)
        for index, query in enumerate([f"opsn={operator.pk}", "q=rochefort", "delai=retard", "motif=other"] * 3):
            view = SavedView.objects.create(owner=reader, name=f"Vue {index}", query=query)
            SavedView.objects.create(owner=reader, operator=operator, name=f"Équipe {index}", query=query)
        DeskHabit.objects.create(user=reader, view=view)

    @pytest.mark.slow
    @pytest.mark.usefixtures("crowd")
    def test_it_takes_fewer_than_fifteen_statements_whatever_the_filter_and_the_order(self, reader: User) -> None:
        assert set(self.VALUES) == set(desk_filters.FILTERS)
        operator, client = reader.operator_roles.get().operator, browser(reader)
        asked = [{name: value.format(operator=operator.pk)} for name, value in self.VALUES.items()]
        asked += [{"vue": "toutes"}, *({"tri": order} for order in desk_filters.ORDERS)]
        asked += [{name: value for one in asked[:14] for name, value in one.items()}]
        for query in asked:
            queries, text = read(client, f"/instruction/?{urlencode(query)}")
            assert queries <= MOST, query
            assert "Équipe 11" in text
