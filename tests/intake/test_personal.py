"""What a person is handed of what we hold: its own, and nobody else's."""

import json
import time

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from onboarding.intake import personal
from onboarding.intake.desk_models import DecisionDraft, SavedView
from onboarding.intake.models import Dossier, MailboxRequest, Revision
from onboarding.intake.personal_models import ErasureRequest
from onboarding.intake.request_models import Claim, CoAuthor
from suite.accounts import sessions, stepup
from suite.accounts.block_models import AccountBlock
from suite.accounts.models import OperatorRole, User
from suite.directory.models import Operator
from suite.journal.models import Event
from suite.journal.workflow import record, verify
from suite.notices.models import Notice
from suite.notices.workflow import queue
from tests.factories.accounts import MembershipFactory, OperatorRoleFactory, UserFactory
from tests.factories.directory import OperatorFactory
from tests.factories.intake import DossierFactory, MailboxRequestFactory
from tests.factories.thread import MessageFactory
from tests.intake.browsing import sign_in

pytestmark = pytest.mark.django_db
PAGE, ERASURE, PERSON = (
    "/demandes/mes-donnees/",
    "/demandes/mes-donnees/effacement/",
    "/instruction/donnees-personnelles/",
)
CHECK = "Elle a répondu au message envoyé à son adresse."


@pytest.fixture
def shared() -> Dossier:
    """A dossier written by two people about three: Camille, its author; Maël, a colleague; Yves, in a mailbox."""
    author = UserFactory.create(email="camille@commune.example", given_name="Camille")
    dossier: Dossier = DossierFactory.create(
        sent=True, author=author, requester_email="mael@commune.example", requester_given_name="Maël",
        requester_family_name="Colin", requester_phone="06 11 22 33 44",
        privacy_contact_name="Anaïs Delegue", privacy_contact_email="anais@commune.example",
    )  # fmt: skip
    MailboxRequestFactory.create(
        dossier=dossier, given_name="Yves", family_name="Secret", recovery_email="yves@prive.example"
    )
    MailboxRequestFactory.create(dossier=dossier, given_name="Camille", recovery_email="camille@commune.example")
    Revision.objects.create(
        dossier=dossier, version=7, step=4, author=author,
        values={
            "storage_gb": 10,
            "privacy_contact_name": "Anaïs Delegue",
            "privacy_contact_email": "anais@commune.example",
        },
    )  # fmt: skip
    record("dossier", dossier.pk, "save", by=author, comment="Mes propres mots")
    record("dossier", dossier.pk, "take", by=UserFactory.create(usual_name="Instructeur"), comment="Ses mots à lui")
    return dossier


OF_OTHERS = ("Yves", "Secret", "yves@prive", "Colin", "06 11", "Anaïs", "anais@", "Instructeur", "Ses mots")


def downloaded(client: Client) -> str:
    response = client.post(PAGE, {"format": "json"})
    assert response.status_code == 200
    assert response["Content-Disposition"].startswith("attachment")
    return json.dumps(json.loads(response.content), ensure_ascii=False)


class TestPersonal:
    def test_one_s_own_is_there_and_no_one_else_s(self, shared: Dossier) -> None:
        text = downloaded(sign_in(shared.author))

        for word in (
            "camille@commune.example",
            shared.reference,
            "Mes propres mots",
            "auteur",
            "titulaire d’une boîte",
        ):
            assert word in text, word
        for word in OF_OTHERS:
            assert word not in text, word

    def test_the_page_and_the_file_to_read_say_the_same(self, shared: Dossier) -> None:
        client = sign_in(shared.author)
        shown, file = client.get(PAGE).content.decode(), client.post(PAGE, {"format": "html"}).content.decode()

        for html in (shown, file):
            assert shared.reference in html
            assert not [word for word in OF_OTHERS if word in html]

    def test_the_requester_finds_its_own_name_in_a_colleague_s_dossier(self, shared: Dossier) -> None:
        mael = UserFactory.create(email="Mael@commune.example")
        text = downloaded(sign_in(mael))

        assert "06 11 22 33 44" in text
        assert "Yves" not in text
        assert "Mes propres mots" not in text

    def test_an_unrelated_person_gets_nothing_of_it(self, shared: Dossier) -> None:
        assert shared.reference not in downloaded(sign_in(UserFactory.create()))

    def test_a_handing_over_is_written_in_numbers(self, shared: Dossier) -> None:
        downloaded(sign_in(shared.author))
        event = Event.objects.get(kind="personal.exported")

        assert event.actor == shared.author_id
        assert set(map(type, event.payload["rows"].values())) == {int}

    def test_an_old_session_must_sign_in_again(self, shared: Dossier) -> None:
        client = Client()
        client.force_login(shared.author, backend="suite.accounts.oidc.ProConnectBackend")

        assert "Reconnectez-vous" in client.get(PAGE).content.decode()
        assert shared.reference not in client.get(PAGE).content.decode()
        assert client.post(PAGE, {"format": "json"}).status_code == 403
        session = client.session
        session[sessions.SIGNED_IN_AT] = time.time() - 60
        session.save()
        assert client.post(PAGE, {"format": "json"}).status_code == 200
        assert stepup.KEY not in client.session

    def test_ten_a_day(self, shared: Dossier) -> None:
        client = sign_in(shared.author)
        answers = [client.post(PAGE, {"format": "json"}).status_code for _ in range(11)]

        assert answers == [200] * 10 + [429]

    def test_what_one_wrote_around_the_requests_is_there_and_no_other_s(self, shared: Dossier, anct: Operator) -> None:
        author, other = shared.author, UserFactory.create()
        for writer, word in ((author, "le mien"), (other, "le sien")):
            MessageFactory.create(dossier=shared, author=writer, body=f"Message {word}")
            Claim.objects.create(dossier=shared, fact="name", claimed=f"Nom {word}", reason="Vu", author=writer)
            CoAuthor.objects.create(dossier=shared, user=writer, message=f"Demande {word}", state="asked")
            DecisionDraft.objects.create(
                user=writer,
                dossier=shared,
                decision="reject",
                fields={"message": [f"Projet {word}"]},
                dossier_version=1,
            )
            SavedView.objects.create(owner=writer, name=f"Vue {word}")
            AccountBlock.objects.create(
                user=writer, kind="block", state="refused", reason=f"Motif {word}", asked_by=UserFactory.create(),
                decided_at=timezone.now(),
            )  # fmt: skip
        said = repr(personal.of_user(author))
        for title in ("Message", "Nom", "Demande", "Projet", "Vue", "Motif"):
            assert f"{title} le mien" in said
        assert "le sien" not in said

    def test_it_costs_few_queries(self, shared: Dossier, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
        client = sign_in(shared.author)
        for _ in range(5):
            DossierFactory.create(author=shared.author)
        with django_assert_max_num_queries(40):
            client.get(PAGE)


class TestErasure:
    def test_it_says_what_the_law_keeps_and_takes_one_request(self) -> None:
        user = UserFactory.create()
        client = sign_in(user)
        assert "Ce que la loi ou la convention" in client.get(ERASURE).content.decode()
        for _ in range(2):
            assert client.post(ERASURE, {"message": "Je pars."}).status_code == 302

        asked = ErasureRequest.objects.get()
        assert (asked.user, asked.message, asked.due_on > timezone.localdate()) == (user, "Je pars.", True)
        assert Notice.objects.filter(kind="erasure_asked").count() == 1
        assert "nous vous répondons avant" in client.get(ERASURE).content.decode()


@pytest.fixture
def national(anct: Operator) -> User:
    return OperatorRoleFactory.create(operator=anct, role=OperatorRole.Role.LEAD).user


class TestPerson:
    def test_a_national_lead_gathers_for_somebody_without_account(self, shared: Dossier, national: User) -> None:
        response = sign_in(national).post(
            PERSON, {"email": "yves@prive.example", "check_text": CHECK, "format": "json"}
        )
        text = response.content.decode()

        assert "Yves" in text
        for word in ("Colin", "06 11", "anais@", "camille@"):
            assert word not in text

    def test_it_is_written_without_the_address(self, shared: Dossier, national: User) -> None:
        sign_in(national).post(PERSON, {"email": "yves@prive.example", "check_text": CHECK, "format": "json"})
        event = Event.objects.get(kind="personal.gathered")

        assert event.actor == national.pk
        assert event.text.comment == CHECK
        assert "yves" not in repr(Event.objects.filter(pk=event.pk).values().get())

    def test_another_operator_s_lead_finds_nothing_out_of_its_scope(self, shared: Dossier) -> None:
        away = OperatorRoleFactory.create(operator=OperatorFactory.create(departments=["35"]), lead=True).user
        response = sign_in(away).post(PERSON, {"email": "yves@prive.example", "check_text": CHECK, "format": "json"})

        assert "Yves" not in response.content.decode()

    def test_how_it_was_checked_is_asked(self, national: User) -> None:
        response = sign_in(national).post(PERSON, {"email": "yves@prive.example", "check_text": ""})

        assert response.status_code == 422
        assert not Event.objects.filter(kind="personal.gathered").exists()

    def test_a_second_factor_and_a_lead_are_needed(self, national: User, instructor: User) -> None:
        client = Client()
        client.force_login(national, backend="suite.accounts.oidc.ProConnectBackend")
        typed = {"email": "yves@prive.example", "check_text": CHECK}

        assert client.post(PERSON, typed).status_code == 403
        assert sign_in(instructor).post(PERSON, typed).status_code == 403
        assert not Event.objects.filter(kind="personal.gathered").exists()


@pytest.fixture
def asked() -> ErasureRequest:
    user = UserFactory.create(email="depart@commune.example")
    return ErasureRequest.objects.create(user=user, due_on=timezone.localdate())


class TestErasures:
    def test_a_lead_sees_those_of_its_scope(self, asked: ErasureRequest, national: User, commune: object) -> None:
        away = OperatorRoleFactory.create(operator=OperatorFactory.create(departments=["35"]), lead=True).user
        url = reverse("desk:erasures")

        assert asked.user.get_full_name() in sign_in(national).get(url).content.decode()
        assert asked.user.get_full_name() not in sign_in(away).get(url).content.decode()


class TestErase:
    def url(self, asked: ErasureRequest) -> str:
        return reverse("desk:erase", args=[asked.pk])

    def test_without_rights_the_account_goes_and_the_person_is_answered(
        self, asked: ErasureRequest, national: User
    ) -> None:
        draft = DossierFactory.create(author=asked.user, expired=True)
        assert sign_in(national).post(self.url(asked), {"action": "erase"}).status_code == 302

        assert User.objects.get(pk=asked.user_id).email == ""
        assert Dossier.objects.get(pk=draft.pk).requester_email == ""
        assert not MailboxRequest.objects.filter(dossier=draft).exists()
        notice = Notice.objects.get(kind="erasure_answered")
        assert notice.recipient == "depart@commune.example"
        assert "votre compte" in notice.body_text
        assert verify() == []

    def test_with_rights_the_account_stays_and_what_is_sent_stays(self, asked: ErasureRequest, national: User) -> None:
        MembershipFactory.create(user=asked.user)
        sent = DossierFactory.create(author=asked.user, sent=True, requester_email="depart@commune.example")
        sign_in(national).post(self.url(asked), {"action": "erase"})

        assert User.objects.get(pk=asked.user_id).email
        assert Dossier.objects.get(pk=sent.pk).requester_email
        assert ErasureRequest.objects.get().state == "done"

    def test_a_refusal_says_why_and_twice_is_once(self, asked: ErasureRequest, national: User) -> None:
        client = sign_in(national)
        assert client.post(self.url(asked), {"action": "refuse", "reason": ""}).status_code == 422
        reason = "Cette adresse n’est pas la vôtre."
        assert client.post(self.url(asked), {"action": "refuse", "reason": reason}).status_code == 302
        assert client.post(self.url(asked), {"action": "erase"}).status_code == 409

        assert reason in Notice.objects.get(kind="erasure_answered").body_text
        assert User.objects.get(pk=asked.user_id).email

    def test_nobody_answers_its_own(self, national: User) -> None:
        own = ErasureRequest.objects.create(user=national, due_on=timezone.localdate())

        assert sign_in(national).post(self.url(own), {"action": "erase"}).status_code == 403
        assert ErasureRequest.objects.get().state == "waiting"


def test_messages_are_listed_to_their_recipient_only(shared: Dossier) -> None:
    queue("membership_changed", to="camille@commune.example", key="a", context={"what": "role"})
    queue("membership_changed", to="autre@commune.example", key="b", context={"what": "role"})
    found = json.loads(downloaded(sign_in(shared.author)))
    sections = {one["title"]: one["rows"] for one in found["sections"]}

    assert len(sections["Messages qui vous ont été envoyés"]) == 1
