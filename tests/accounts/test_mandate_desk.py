import base64
import datetime as dt
import re
import zlib
from pathlib import Path

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings

from suite.accounts import documents, tasks
from suite.accounts.mandate_desk_workflow import KEPT, NotAllowed, accept_document, sweep
from suite.accounts.mandate_models import Document, Letter, MandateProof, Objection
from suite.accounts.mandate_objections import object_to
from suite.accounts.mandate_workflow import Subject, enter_code, hand_in_document, request_email_code, request_letter
from suite.accounts.mandates import Mandate, mandate
from suite.accounts.models import Membership, OperatorRole, User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.accounts.elevation import elevate
from tests.factories.accounts import MembershipFactory, OperatorRoleFactory, UserFactory
from tests.factories.directory import CommuneFactory, DeclaredContactFactory, OperatorFactory

S = MandateProof.State
PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


@pytest.fixture(autouse=True)
def _kept(settings: Settings, tmp_path: Path) -> None:
    settings.DOCUMENTS_DIR = tmp_path / "documents"


@pytest.fixture
def commune(db: None) -> Organization:
    commune = CommuneFactory.create(name="L’Haÿ-en-Œuvre", code="01999")
    DeclaredContactFactory.create(organization=commune)
    return commune


@pytest.fixture
def user(db: None) -> User:
    return UserFactory.create(given_name="Zoë", usual_name="L’Hœur", email="zoe@ailleurs.example")


@pytest.fixture
def operator(db: None) -> Operator:
    return OperatorFactory.create(email="opsn@operateur.example")


@pytest.fixture
def instructor(operator: Operator) -> User:
    return OperatorRoleFactory.create(operator=operator).user


def browser(user: User, *, factor: bool = True) -> Client:
    client = Client()
    client.force_login(user, backend="suite.accounts.oidc.ProConnectBackend")
    if factor:
        elevate(client)
    return client


@pytest.mark.parametrize("act", ["accept", "refuse", "let_go", "document", "mail", "objection"])
def test_every_decision_and_every_letter_asks_for_a_second_factor(
    commune: Organization, user: User, instructor: User, act: str
) -> None:
    proof, letter = deposit(commune, user), letter_of(commune, user)
    thing = object_to(proof) if act == "objection" else proof
    url = reverse(f"accounts:mandate_{act}", args=[] if act == "mail" else [thing.pk])
    sent = {"reason": "Motif", "letter": str(letter.pk), "outcome": "uphold", "finding": "Mairie appelée."}
    before = MandateProof.objects.order_by("pk").values_list("state", flat=True)

    response = browser(instructor, factor=False).post(url, sent)

    assert response.status_code == 403
    assert "Confirmez que c’est bien vous" in response.text
    assert list(before) == list(MandateProof.objects.order_by("pk").values_list("state", flat=True))
    assert Letter.objects.filter(printed_at__isnull=True).exists()
    assert not Objection.objects.filter(closed_at__isnull=False).exists()
    # The lists are looked at without.
    assert browser(instructor, factor=False).get(reverse("accounts:mandate_mail")).status_code == 200


def letter_of(commune: Organization, user: User) -> Letter:
    proof = request_letter(commune, subject=Subject(user=user), by=user, elected=False)
    return Letter.objects.get(proof=proof)


def deposit(commune: Organization, user: User, content: bytes = PDF) -> MandateProof:
    return hand_in_document(commune, content, subject=Subject(user=user), by=user, elected=False)


def words(pdf: bytes) -> str:
    """Return the text that a PDF of ours draws, one page after the other."""
    drawn = []
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        page = zlib.decompress(base64.a85decode(stream.strip(), adobe=stream.strip().startswith(b"<~") or True))
        said = re.findall(rb"\(((?:\\.|[^()\\])*)\) Tj", page)
        octal = rb"\\([0-7]{3})"
        drawn += [re.sub(octal, lambda m: bytes([int(m[1], 8)]), one).decode("cp1252") for one in said]
    return " ".join(" ".join(drawn).split())


class TestMail:
    def post(self, client: Client, letters: list[Letter], action: str) -> tuple[int, bytes]:
        response = client.post(
            reverse("accounts:mandate_mail"), {"letter": [str(one.pk) for one in letters], "action": action}
        )
        return response.status_code, response.content

    def test_letters_leave_in_one_pdf_and_their_codes_prove(
        self, commune: Organization, user: User, instructor: User
    ) -> None:
        other = CommuneFactory.create(name="Ailleurs")
        DeclaredContactFactory.create(organization=other)
        letters = [letter_of(commune, user), letter_of(other, user)]
        response = browser(instructor).post(
            reverse("accounts:mandate_mail"), {"letter": [str(one.pk) for one in letters], "action": "print"}
        )
        assert response["Content-Type"] == "application/pdf"
        assert response["Content-Disposition"].startswith("attachment")
        assert response.content.startswith(b"%PDF-")
        assert response.content.count(b"/Type /Page\n") == 2
        said = words(response.content)
        assert "Mairie de L’Haÿ-en-Œuvre" in said
        assert "Zoë L’Hœur" in said
        assert "/habilitation/objection/" in said
        codes = re.findall(r"\b([34679ACDEFGHJKMNPQRTWXY]{5} [34679ACDEFGHJKMNPQRTWXY]{5})\b", said)
        assert len(codes) == 2
        proof = MandateProof.objects.get(organization=commune)
        assert codes[0] not in str(list(Event.objects.values_list("payload", flat=True)))
        enter_code(proof, codes[0], by=user)
        assert mandate(user, commune) == Mandate.PROVED

    def test_once_posted_the_code_is_read_by_nobody(self, commune: Organization, user: User, instructor: User) -> None:
        letter, client = letter_of(commune, user), browser(instructor)
        assert self.post(client, [letter], "posted")[0] == 422
        assert self.post(client, [letter], "print")[0] == 200
        assert self.post(client, [letter], "posted")[0] == 302
        letter.refresh_from_db()
        assert (letter.sealed_code, letter.sealed_objection, letter.posted_by) == ("", "", instructor)
        assert self.post(client, [letter], "print")[0] == 422

    def test_a_letter_lasts_thirty_days_from_the_post(
        self, commune: Organization, user: User, instructor: User
    ) -> None:
        letter, client = letter_of(commune, user), browser(instructor)
        _, pdf = self.post(client, [letter], "print")
        found = re.search(r"\b([34679ACDEFGHJKMNPQRTWXY]{5} [34679ACDEFGHJKMNPQRTWXY]{5})\b", words(pdf))
        assert found
        with time_machine.travel(timezone.now() + dt.timedelta(days=10)):
            client = browser(instructor)
            assert self.post(client, [letter], "posted")[0] == 302
        with time_machine.travel(timezone.now() + dt.timedelta(days=39)):
            assert enter_code(letter.proof, found[1], by=user).state == S.PROVED

    def test_printing_needs_the_role_and_the_territory(
        self, commune: Organization, user: User, operator: Operator
    ) -> None:
        letter = letter_of(commune, user)
        reader = OperatorRoleFactory.create(operator=operator, role=OperatorRole.Role.READER).user
        elsewhere = OperatorRoleFactory.create(operator=OperatorFactory.create(departments=["75"])).user
        assert self.post(browser(reader), [letter], "print")[0] == 403
        assert self.post(browser(elsewhere), [letter], "print")[0] == 422
        assert self.post(browser(user), [letter], "print")[0] == 403
        assert browser(reader).get(reverse("accounts:mandate_mail")).status_code == 200

    def test_who_asked_for_a_letter_does_not_print_it(self, commune: Organization, instructor: User) -> None:
        letter = letter_of(commune, instructor)
        assert self.post(browser(instructor), [letter], "print")[0] == 422

    def test_the_list_takes_few_queries(
        self, user: User, instructor: User, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        for stranger in UserFactory.create_batch(8):
            place = CommuneFactory.create()
            DeclaredContactFactory.create(organization=place)
            letter_of(place, stranger)
        client = browser(instructor)
        with django_assert_max_num_queries(15):
            assert client.get(reverse("accounts:mandate_mail")).status_code == 200
        with django_assert_max_num_queries(15):
            assert client.get(reverse("accounts:mandate_queue")).status_code == 200


class TestDocument:
    def test_it_is_kept_apart_and_handed_over_closed(
        self, commune: Organization, user: User, instructor: User, settings: Settings
    ) -> None:
        proof = deposit(commune, user)
        kept = list(Path(settings.DOCUMENTS_DIR).iterdir())
        assert [one.stat().st_mode & 0o777 for one in kept] == [0o600]
        response = browser(instructor).post(reverse("accounts:mandate_document", args=[proof.pk]))
        assert response.content == PDF
        assert response["Content-Disposition"] == 'attachment; filename="habilitation-01999.pdf"'
        assert response["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in response["Content-Security-Policy"]
        assert "no-store" in response["Cache-Control"]
        assert Event.objects.filter(kind="mandate.read", actor=instructor.pk).exists()

    def test_nobody_else_reads_it(self, commune: Organization, user: User, operator: Operator) -> None:
        url = reverse("accounts:mandate_document", args=[deposit(commune, user).pk])
        elsewhere = OperatorRoleFactory.create(operator=OperatorFactory.create(departments=["75"])).user
        reader = OperatorRoleFactory.create(operator=operator, role=OperatorRole.Role.READER).user
        assert browser(elsewhere).post(url).status_code == 404
        assert browser(reader).post(url).status_code == 403
        assert browser(user).post(url).status_code == 403
        assert Client().post(url).status_code == 302

    def test_the_town_hall_hears_of_it(self, commune: Organization, user: User) -> None:
        deposit(commune, user)
        notice = Notice.objects.get(kind="mandate_document_received")
        assert notice.recipient == "mairie@commune.example"
        assert "/habilitation/objection/" in notice.body_text

    def test_the_original_goes_six_months_after_the_decision_and_its_digest_stays(
        self,
        commune: Organization,
        user: User,
        instructor: User,
        settings: Settings,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        proof = deposit(commune, user)
        accept_document(proof, by=instructor, signatory="Maire", signed_on=timezone.localdate(), term_ends_on=None)
        with time_machine.travel(timezone.now() + KEPT - dt.timedelta(days=1)):
            tasks.sweep_mandates()
        assert len(list(Path(settings.DOCUMENTS_DIR).iterdir())) == 1
        later = timezone.now() + KEPT + dt.timedelta(days=1)
        with time_machine.travel(later), django_capture_on_commit_callbacks(execute=True):
            tasks.sweep_mandates()
        document = Document.objects.get()
        assert (document.stored_name, len(document.sha256)) == ("", 64)
        assert document.erased_at
        assert list(Path(settings.DOCUMENTS_DIR).iterdir()) == []

    def test_a_file_of_no_row_goes_too(self, commune: Organization, settings: Settings) -> None:
        name = documents.store(documents.inspect(PDF))
        sweep()
        assert (Path(settings.DOCUMENTS_DIR) / name).exists()
        with time_machine.travel(timezone.now() + dt.timedelta(days=2)):
            sweep()
        assert not (Path(settings.DOCUMENTS_DIR) / name).exists()


class TestAccept:
    def data(self, **changed: str) -> dict[str, str]:
        return {"signatory": "Mme Le Gall, maire", "signed_on": "2026-11-01", "term_ends_on": "", **changed}

    def test_it_proves_m2_and_tells_the_person(self, commune: Organization, user: User, instructor: User) -> None:
        proof = deposit(commune, user)
        response = browser(instructor).post(reverse("accounts:mandate_accept", args=[proof.pk]), self.data())
        assert response.status_code == 302
        assert mandate(user, commune) == Mandate.PROVED
        assert Notice.objects.filter(kind="mandate_accepted", recipient=user.email).exists()
        assert Document.objects.get().signatory == "Mme Le Gall, maire"

    def test_the_signatory_s_term_bounds_it(self, commune: Organization, user: User, instructor: User) -> None:
        proof = deposit(commune, user)
        ends = timezone.localdate() + dt.timedelta(days=20)
        browser(instructor).post(
            reverse("accounts:mandate_accept", args=[proof.pk]), self.data(term_ends_on=ends.isoformat())
        )
        proof.refresh_from_db()
        assert proof.expires_at
        assert timezone.localdate(proof.expires_at) == ends

    @pytest.mark.parametrize(
        "changed",
        [{"signatory": ""}, {"signed_on": "demain"}, {"signed_on": "2090-01-01"}, {"term_ends_on": "2020-01-01"}],
    )
    def test_what_is_wrong_is_said(
        self, commune: Organization, user: User, instructor: User, changed: dict[str, str]
    ) -> None:
        proof = deposit(commune, user)
        response = browser(instructor).post(reverse("accounts:mandate_accept", args=[proof.pk]), self.data(**changed))
        assert response.status_code == 422
        assert 'role="alert"' in response.content.decode()

    def test_who_handed_it_in_does_not_accept_it(self, commune: Organization, instructor: User) -> None:
        proof = deposit(commune, instructor)
        response = browser(instructor).post(reverse("accounts:mandate_accept", args=[proof.pk]), self.data())
        assert response.status_code == 403

    def test_a_member_of_the_commune_does_not_accept_it(
        self, commune: Organization, user: User, instructor: User
    ) -> None:
        proof = deposit(commune, user)
        MembershipFactory.create(user=instructor, organization=commune)
        with pytest.raises(NotAllowed):
            accept_document(proof, by=instructor, signatory="M", signed_on=timezone.localdate(), term_ends_on=None)


class TestRefuse:
    def test_the_person_reads_why(self, commune: Organization, user: User, instructor: User) -> None:
        proof = deposit(commune, user)
        url = reverse("accounts:mandate_refuse", args=[proof.pk])
        assert browser(instructor).post(url, {"reason": ""}).status_code == 422
        assert browser(instructor).post(url, {"reason": "Signature illisible."}).status_code == 302
        assert "Signature illisible." in Notice.objects.get(kind="mandate_refused").body_text
        assert browser(instructor).post(url, {"reason": "Encore."}).status_code == 422


class TestLetGo:
    def test_a_held_code_leaves_when_an_operator_says_so(
        self, commune: Organization, user: User, instructor: User
    ) -> None:
        for stranger in UserFactory.create_batch(3):
            request_email_code(commune, address=0, by=stranger, elected=False)
        proof = request_email_code(commune, address=0, by=user, elected=False)
        assert commune.name.encode() in browser(instructor).get(reverse("accounts:mandate_queue")).content
        url = reverse("accounts:mandate_let_go", args=[proof.pk])
        assert browser(instructor).post(url).status_code == 302
        assert Notice.objects.filter(kind="mandate_code").count() == 4
        assert browser(instructor).post(url).status_code == 422


class TestQueue:
    def test_it_is_for_operators(self, user: User, instructor: User) -> None:
        assert browser(user).get(reverse("accounts:mandate_queue")).status_code == 403
        assert browser(instructor).get(reverse("accounts:mandate_queue")).status_code == 200


class TestProof:
    def test_it_shows_the_facts_and_the_same_file_seen_before(
        self,
        commune: Organization,
        user: User,
        instructor: User,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        deposit(CommuneFactory.create(), user)
        proof = deposit(commune, user)
        client = browser(instructor)
        with django_assert_max_num_queries(15):
            page = client.get(reverse("accounts:mandate_proof", args=[proof.pk])).content.decode()
        assert "Déjà vu" in page
        assert "Télécharger le document" in page


class TestObjections:
    def test_they_wait_for_the_operators_of_the_territory(
        self, commune: Organization, user: User, instructor: User
    ) -> None:
        object_to(deposit(commune, user))
        page = browser(instructor).get(reverse("accounts:mandate_objections")).content.decode()
        assert "L’Haÿ-en-Œuvre" in page
        elsewhere = OperatorRoleFactory.create(operator=OperatorFactory.create(departments=["75"])).user
        assert "L’Haÿ" not in browser(elsewhere).get(reverse("accounts:mandate_objections")).content.decode()
        assert Notice.objects.filter(kind="mandate_objected", recipient="opsn@operateur.example").count() == 1


class TestObjection:
    def objected(self, commune: Organization, user: User, instructor: User) -> Objection:
        MembershipFactory.create(user=user, organization=commune)
        proof = deposit(commune, user)
        accept_document(proof, by=instructor, signatory="M", signed_on=timezone.localdate(), term_ends_on=None)
        assert mandate(user, commune) == Mandate.DOUBLE
        return object_to(proof)

    def settle(self, objection: Objection, instructor: User, outcome: str, finding: str = "Appelé la mairie.") -> int:
        url = reverse("accounts:mandate_objection", args=[objection.pk])
        return browser(instructor).post(url, {"outcome": outcome, "finding": finding}).status_code

    def test_upheld_it_ends_the_person_s_right(self, commune: Organization, user: User, instructor: User) -> None:
        objection = self.objected(commune, user, instructor)
        assert self.settle(objection, instructor, "uphold") == 302
        assert mandate(user, commune) == Mandate.NONE
        assert Membership.objects.get().state == Membership.State.ENDED

    def test_dismissed_it_gives_back_what_was_proved(self, commune: Organization, user: User, instructor: User) -> None:
        objection = self.objected(commune, user, instructor)
        assert mandate(user, commune) == Mandate.NONE
        assert self.settle(objection, instructor, "dismiss") == 302
        assert mandate(user, commune) == Mandate.DOUBLE

    def test_it_is_settled_with_a_reason_and_once(self, commune: Organization, user: User, instructor: User) -> None:
        objection = self.objected(commune, user, instructor)
        assert self.settle(objection, instructor, "uphold", finding="") == 422
        assert self.settle(objection, instructor, "autre") == 422
        assert self.settle(objection, instructor, "dismiss") == 302
        assert self.settle(objection, instructor, "uphold") == 404


class TestSweep:
    def test_it_ends_what_is_over_and_forgets_the_codes(self, commune: Organization, user: User) -> None:
        request_email_code(commune, address=0, by=user, elected=False)
        letter = letter_of(commune, user)
        Notice.objects.update(state=Notice.State.SENT, sent_at=timezone.now())
        with time_machine.travel(timezone.now() + dt.timedelta(days=31)):
            sweep()
            sweep()
        assert set(MandateProof.objects.values_list("state", flat=True)) == {S.EXPIRED}
        letter.refresh_from_db()
        assert letter.sealed_code == ""
        assert Notice.objects.get(kind="mandate_code").body_text == ""
        assert Event.objects.filter(kind="mandate.expired").count() == 2


def test_handing_in_reads_the_file_and_not_its_name(commune: Organization, user: User) -> None:
    url = reverse("accounts:mandate_hand_in", args=[commune.code])
    wrong = SimpleUploadedFile("arrete.pdf", b"MZ\x90\x00", content_type="application/pdf")
    assert browser(user).post(url, {"file": wrong}).status_code == 422
    right = SimpleUploadedFile("programme.exe", PDF, content_type="application/octet-stream")
    assert browser(user).post(url, {"file": right}).status_code == 302
