import datetime as dt
import logging
import re

import pytest
import time_machine
from django.utils import timezone

from suite.accounts import mandate_workflow
from suite.accounts.mandate_models import Letter, MandateProof
from suite.accounts.mandate_workflow import MandateRefused, Subject, enter_code, request_email_code, request_letter
from suite.accounts.mandates import Mandate, mandate
from suite.accounts.models import User
from suite.directory.models import Organization
from suite.journal.models import Event
from suite.journal.workflow import verify
from suite.notices.models import Notice
from tests.accounts.threads import together
from tests.factories.accounts import CommuneRowFactory, UserFactory
from tests.factories.directory import DeclaredContactFactory

S = MandateProof.State


@pytest.fixture
def commune(db: None) -> Organization:
    organization = CommuneRowFactory.create()
    DeclaredContactFactory.create(organization=organization, emails=["mairie@commune.example", "maire@orange.fr"])
    return organization


@pytest.fixture
def user(db: None) -> User:
    return UserFactory.create(email="camille@ailleurs.example")


def ask(commune: Organization, user: User, address: int = 0) -> MandateProof:
    return request_email_code(commune, address=address, by=user, elected=False)


def send(commune: Organization, user: User) -> MandateProof:
    return request_letter(commune, subject=Subject(user=user), by=user, elected=False)


def code_in(notice: Notice) -> str:
    found = re.search(r"^([34679ACDEFGHJKMNPQRTWXY]{4} [34679ACDEFGHJKMNPQRTWXY]{4})$", notice.body_text, re.MULTILINE)
    assert found, notice.body_text
    return found[1]


def received() -> str:
    return code_in(Notice.objects.filter(kind="mandate_code").latest("created_at"))


def refusal_of(act: object, *args: object, **kwargs: object) -> str:
    with pytest.raises(MandateRefused) as refused:
        act(*args, **kwargs)  # type: ignore[operator]
    return refused.value.code


class TestEmailCode:
    def test_the_code_goes_to_the_declared_mailbox_and_proves_m1(self, commune: Organization, user: User) -> None:
        proof = ask(commune, user)
        notice = Notice.objects.get(kind="mandate_code")
        assert notice.recipient == "mairie@commune.example"
        assert user.get_full_name() in notice.body_text
        assert proof.sent_to == "m•••@commune.example"
        enter_code(proof, received().lower().replace(" ", "-"), by=user)
        assert mandate(user, commune) == Mandate.ATTACHED

    def test_nothing_that_is_stored_or_journalled_holds_the_code(
        self, commune: Organization, user: User, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        proof = ask(commune, user)
        code = received()
        enter_code(proof, code, by=user)
        row = " ".join(str(value) for value in MandateProof.objects.values_list().get(pk=proof.pk))
        events = " ".join(str(event.payload) for event in Event.objects.all())
        for where in (row, events, caplog.text, " ".join(Notice.objects.values_list("subject", flat=True))):
            assert code not in where
            assert code.replace(" ", "") not in where
        for where in (row, events, caplog.text):
            assert "mairie@commune.example" not in where
        assert verify() == []

    def test_a_public_provider_is_flagged(self, commune: Organization, user: User) -> None:
        assert ask(commune, user, address=1).free_mail
        assert not ask(commune, user).free_mail

    def test_an_address_that_is_not_declared_is_refused(self, commune: Organization, user: User) -> None:
        assert refusal_of(ask, commune, user, address=2) == "address"
        assert refusal_of(ask, commune, user, address=-1) == "address"

    def test_nothing_is_sent_where_no_contact_is_known(self, user: User) -> None:
        bare = CommuneRowFactory.create()
        assert refusal_of(ask, bare, user) == "no_contact"
        DeclaredContactFactory.create(organization=bare, without_email=True, without_address=True)
        assert refusal_of(ask, bare, user) == "no_email"
        assert refusal_of(send, bare, user) == "no_address"
        assert not Notice.objects.exists()

    def test_it_lasts_thirty_minutes(self, commune: Organization, user: User) -> None:
        proof = ask(commune, user)
        code = received()
        with time_machine.travel(timezone.now() + dt.timedelta(minutes=31)):
            assert refusal_of(enter_code, proof, code, by=user) == "expired"

    def test_five_wrong_codes_end_it(self, commune: Organization, user: User) -> None:
        proof = ask(commune, user)
        code = received()
        assert [refusal_of(enter_code, proof, "AAAA AAAA", by=user) for _ in range(5)] == [*["wrong_code"] * 4, "over"]
        assert refusal_of(enter_code, proof, code, by=user) == "over"
        assert mandate(user, commune) == Mandate.NONE

    def test_the_fifth_try_may_still_be_right(self, commune: Organization, user: User) -> None:
        proof = ask(commune, user)
        for _ in range(4):
            refusal_of(enter_code, proof, "AAAA AAAA", by=user)
        assert enter_code(proof, received(), by=user).state == S.PROVED

    def test_it_serves_once(self, commune: Organization, user: User) -> None:
        proof = ask(commune, user)
        code = received()
        enter_code(proof, code, by=user)
        assert refusal_of(enter_code, proof, code, by=user) == "over"

    def test_a_new_code_ends_the_one_before(self, commune: Organization, user: User) -> None:
        first = ask(commune, user)
        code = received()
        ask(commune, user)
        assert refusal_of(enter_code, first, code, by=user) == "over"

    def test_another_person_s_code_is_nothing_to_me(self, commune: Organization, user: User) -> None:
        proof = ask(commune, user)
        assert refusal_of(enter_code, proof, received(), by=UserFactory.create()) == "not_yours"

    def test_a_person_asks_three_times_a_day_whatever_the_commune(self, commune: Organization, user: User) -> None:
        other = CommuneRowFactory.create()
        DeclaredContactFactory.create(organization=other)
        for where in (commune, commune, other):
            ask(where, user)
        assert refusal_of(ask, other, user) == "too_many"
        with time_machine.travel(timezone.now() + dt.timedelta(hours=25)):
            assert ask(other, user).state == S.PENDING

    def test_what_exceeds_the_commune_s_number_goes_to_an_operator(self, commune: Organization, user: User) -> None:
        for stranger in UserFactory.create_batch(3):
            ask(commune, stranger)
        proof = ask(commune, user)
        assert proof.state == S.HELD
        assert Notice.objects.filter(kind="mandate_code").count() == 3
        assert Notice.objects.filter(kind="mandate_to_handle").count() == 1
        assert refusal_of(enter_code, proof, "AAAA AAAA", by=user) == "over"


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_two_tries_at_once_are_two_tries(self) -> None:
        commune, user = CommuneRowFactory.create(), UserFactory.create()
        DeclaredContactFactory.create(organization=commune)
        proof = ask(commune, user)
        _, failures = together(lambda: enter_code(proof, "AAAA AAAA", by=user), 8)
        assert len(failures) == 8
        assert all(isinstance(one, MandateRefused) for one in failures), failures
        proof.refresh_from_db()
        assert (proof.tries, proof.state) == (5, S.REVOKED)

    def test_the_right_code_typed_twice_at_once_proves_once(self) -> None:
        commune, user = CommuneRowFactory.create(), UserFactory.create()
        DeclaredContactFactory.create(organization=commune)
        proof = ask(commune, user)
        code = received()
        results, failures = together(lambda: enter_code(proof, code, by=user), 3)
        assert (len(results), len(failures)) == (1, 2)
        assert Event.objects.filter(kind="mandate.proved").count() == 1

    def test_many_requests_at_once_send_three_messages(self) -> None:
        commune, user = CommuneRowFactory.create(), UserFactory.create()
        DeclaredContactFactory.create(organization=commune)
        results, failures = together(lambda: ask(commune, user), 6)
        assert (len(results), len(failures)) == (3, 3)
        assert Notice.objects.filter(kind="mandate_code").count() == 3
        assert MandateProof.objects.filter(state=S.PENDING).count() == 1


class TestLetter:
    def test_its_code_is_sealed_and_nobody_may_type_it_before_it_is_printed(
        self, commune: Organization, user: User
    ) -> None:
        proof = send(commune, user)
        letter = Letter.objects.get(proof=proof)
        assert letter.sealed_code
        assert proof.sent_to == "01000 " + commune.name.upper()
        assert refusal_of(enter_code, proof, "AAAA AAAA", by=user) == "over"

    def test_a_second_letter_revokes_the_first_and_forgets_its_code(self, commune: Organization, user: User) -> None:
        first = send(commune, user)
        second = send(commune, user)
        first.refresh_from_db()
        assert (first.state, second.state) == (S.REVOKED, S.PENDING)
        assert Letter.objects.get(proof=first).sealed_code == ""

    def test_somebody_else_s_letter_waits_and_revokes_nothing(self, commune: Organization, user: User) -> None:
        mine = send(commune, user)
        theirs = send(commune, UserFactory.create())
        mine.refresh_from_db()
        assert (mine.state, theirs.state) == (S.PENDING, S.HELD)
        assert not Letter.objects.filter(proof=theirs).exists()

    def test_a_person_asks_three_letters_a_month(self, commune: Organization, user: User) -> None:
        for _ in range(3):
            send(commune, user)
        assert refusal_of(send, commune, user) == "too_many"

    def test_an_objected_person_asks_nothing_more(self, commune: Organization, user: User) -> None:
        from suite.accounts.mandate_objections import object_to  # noqa: PLC0415 - this test only

        object_to(send(commune, user))
        assert refusal_of(send, commune, user) == "objected"
        assert refusal_of(ask, commune, user) == "objected"


def test_the_lives_and_numbers_are_those_of_the_reference() -> None:
    assert dt.timedelta(minutes=30) == mandate_workflow.EMAIL_LIFE
    assert dt.timedelta(days=30) == mandate_workflow.LETTER_LIFE
    assert (mandate_workflow.TRIES, mandate_workflow.EMAILS_A_DAY) == (5, 3)
