"""Several people on one dossier: invited or admitted, never by themselves."""

import re

import pytest
from django.test import Client

from onboarding.intake import coauthors, moves, workflow
from onboarding.intake.models import Dossier
from onboarding.intake.request_models import CoAuthor
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.notices.models import Notice
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.factories.intake import DossierFactory
from tests.intake.browsing import follow, page, said, sign_in
from tests.intake.conftest import staff
from tests.intake.test_races import together

pytestmark = pytest.mark.django_db
State = CoAuthor.State


@pytest.fixture
def draft(commune: Organization) -> Dossier:
    """Somebody without any right there began a dossier: M0."""
    return DossierFactory.create(organization=commune)


@pytest.fixture
def author(draft: Dossier) -> Client:
    return sign_in(draft.author)


@pytest.fixture
def friend(db: None) -> User:
    return UserFactory.create(email="ami@ailleurs.example")


def link() -> str:
    """Return the link of the last invitation sent."""
    text = Notice.objects.filter(kind="dossier_invitation").latest("created_at").body_text
    found = re.search(r"https?://[^/]+(/\S+jeton=\S+)", text)
    assert found
    return found[1]


def invite(author: Client, draft: Dossier, email: str = "ami@ailleurs.example") -> str:
    response = author.post(f"/demandes/{draft.pk}/auteurs/inviter/", {"email": email})
    assert response.status_code == 302, response.content.decode()
    return link()


def accept(user: User, url: str) -> int:
    return sign_in(user).post("/demandes/invitation/", {"jeton": url.partition("jeton=")[2]}).status_code


class TestInvite:
    def test_who_has_no_right_in_the_commune_may_invite_to_its_draft(
        self, author: Client, draft: Dossier, friend: User
    ) -> None:
        assert sign_in(friend).get(f"/demandes/{draft.pk}/").status_code == 404
        assert accept(friend, invite(author, draft)) == 302
        client = sign_in(friend)
        assert draft.reference in page(client, "/demandes/")
        follow(client, f"/demandes/{draft.pk}/etape/4/", storage_gb="7", action="quit")
        draft.refresh_from_db()
        assert draft.storage_gb == 7

    def test_a_wrong_address_is_said_beside_its_field(self, author: Client, draft: Dossier) -> None:
        response = author.post(f"/demandes/{draft.pk}/auteurs/inviter/", {"email": "pas une adresse"})
        html = response.content.decode()
        assert response.status_code == 422
        assert 'href="#id_email"' in html
        assert 'id="id_email"' in html
        assert not Notice.objects.exists()

    def test_who_was_invited_invites_nobody(self, author: Client, draft: Dossier, friend: User) -> None:
        accept(friend, invite(author, draft))
        client = sign_in(friend)
        assert client.get(f"/demandes/{draft.pk}/auteurs/inviter/").status_code == 403
        assert client.post(f"/demandes/{draft.pk}/auteurs/inviter/", {"email": "x@y.example"}).status_code == 403

    def test_a_day_has_a_number_of_invitations(self, author: Client, draft: Dossier) -> None:
        url = f"/demandes/{draft.pk}/auteurs/inviter/"
        # Each address replaces its own earlier invitation.
        codes = [author.post(url, {"email": "ami@ailleurs.example"}).status_code for _ in range(coauthors.A_DAY + 1)]
        assert codes[-1] == 429
        assert set(codes[:-1]) == {302}
        assert draft.co_authors.filter(state=State.INVITED).count() == 1

    def test_a_closed_dossier_is_not_shared(self, commune: Organization, agent: User) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent, rejected=True)
        response = sign_in(agent).post(f"/demandes/{dossier.pk}/auteurs/inviter/", {"email": "x@y.example"})
        assert response.status_code == 409
        assert not CoAuthor.objects.exists()


class TestInvitation:
    def test_looking_at_the_link_uses_nothing_up(self, author: Client, draft: Dossier, friend: User) -> None:
        url = invite(author, draft)
        assert "vous invite" in page(sign_in(friend), url)
        assert CoAuthor.objects.get().state == State.INVITED

    def test_the_link_serves_once_and_for_its_address_only(
        self, author: Client, draft: Dossier, friend: User, stranger: User
    ) -> None:
        url = invite(author, draft)
        told = page(sign_in(stranger), url, 410)
        assert "une autre adresse" in told
        assert draft.reference not in told
        assert accept(stranger, url) == 410
        assert accept(friend, url) == 302
        assert accept(friend, url) == 410
        assert CoAuthor.objects.filter(state=State.ACTIVE).count() == 1

    def test_the_case_of_the_address_counts(self, author: Client, draft: Dossier) -> None:
        url = invite(author, draft, "Ami@ailleurs.example")
        assert accept(UserFactory.create(email="ami@ailleurs.example"), url) == 410

    def test_a_cancelled_link_is_worth_nothing(self, author: Client, draft: Dossier, friend: User) -> None:
        url = invite(author, draft)
        one = CoAuthor.objects.get()
        assert author.post(f"/demandes/{draft.pk}/auteurs/{one.pk}/retirer/").status_code == 302
        assert accept(friend, url) == 410

    def test_a_link_of_seven_days_ago_is_worth_nothing(self, author: Client, draft: Dossier, friend: User) -> None:
        url = invite(author, draft)
        CoAuthor.objects.update(expires_at=draft.created_at)
        assert accept(friend, url) == 410

    @pytest.mark.parametrize("token", ["", "faux", "x" * 500, "\x00"])
    def test_a_wrong_link_says_so(self, token: str, stranger: User) -> None:
        assert sign_in(stranger).get("/demandes/invitation/", {"jeton": token}).status_code == 410

    def test_editing_gives_no_right_to_send(self, author: Client, draft: Dossier, friend: User, anct: Operator) -> None:
        accept(friend, invite(author, draft))
        url = f"/demandes/{draft.pk}/etape/5/"
        declared = {"declares_exact": "on", "declares_mandate": "on", "accepts_terms": "on"}
        client = sign_in(friend)
        assert "Prouver votre habilitation" in page(client, url)
        response = client.post(url, {"version": "1", "action": "submit", **declared})
        assert response.status_code == 422
        draft.refresh_from_db()
        assert draft.status == Dossier.Status.DRAFT


class TestAuthors:
    def test_it_lists_who_may_edit_in_few_queries(
        self, author: Client, draft: Dossier, friend: User, django_assert_max_num_queries: object
    ) -> None:
        accept(friend, invite(author, draft))
        invite(author, draft, "autre@ailleurs.example")
        with django_assert_max_num_queries(13):  # type: ignore[operator]
            text = said(page(author, f"/demandes/{draft.pk}/auteurs/"))
        for told in (draft.author.get_full_name(), friend.get_full_name(), "autre@ailleurs.example"):
            assert told in text

    def test_a_stranger_does_not_find_it(self, draft: Dossier, stranger: User) -> None:
        assert sign_in(stranger).get(f"/demandes/{draft.pk}/auteurs/").status_code == 404


class TestRemoveAuthor:
    def test_the_author_takes_the_pen_back_at_once(self, author: Client, draft: Dossier, friend: User) -> None:
        accept(friend, invite(author, draft))
        one = CoAuthor.objects.get()
        assert author.post(f"/demandes/{draft.pk}/auteurs/{one.pk}/retirer/").status_code == 302
        assert sign_in(friend).get(f"/demandes/{draft.pk}/").status_code == 404
        assert sign_in(friend).post(f"/demandes/{draft.pk}/etape/4/", {"version": "1"}).status_code == 404

    def test_one_may_leave_but_not_remove_another(self, author: Client, draft: Dossier, friend: User) -> None:
        other = UserFactory.create(email="autre@ailleurs.example")
        accept(friend, invite(author, draft))
        accept(other, invite(author, draft, other.email))
        mine, theirs = CoAuthor.objects.get(user=friend), CoAuthor.objects.get(user=other)
        client = sign_in(friend)
        assert client.post(f"/demandes/{draft.pk}/auteurs/{theirs.pk}/retirer/").status_code == 403
        assert client.post(f"/demandes/{draft.pk}/auteurs/{mine.pk}/retirer/")["Location"] == "/demandes/"
        assert set(draft.co_authors.values_list("state", flat=True)) == {State.ENDED, State.ACTIVE}

    def test_removing_twice_says_so(self, author: Client, draft: Dossier) -> None:
        invite(author, draft)
        url = f"/demandes/{draft.pk}/auteurs/{CoAuthor.objects.get().pk}/retirer/"
        assert [author.post(url).status_code for _ in range(2)] == [302, 422]


class TestAskToJoin:
    @pytest.fixture
    def sent(self, commune: Organization, agent: User, anct: Operator) -> Dossier:
        return DossierFactory.create(organization=commune, author=agent, sent=True, operator=anct)

    def test_a_stranger_learns_that_one_exists_asks_and_sees_nothing_yet(
        self, sent: Dossier, commune: Organization, stranger: User
    ) -> None:
        client = sign_in(stranger)
        url = f"/demandes/rejoindre/{commune.code}/"
        assert url in page(client, f"/demandes/nouvelle/?commune={commune.code}")
        told = page(client, url)
        assert sent.reference not in told
        assert sent.author.get_full_name() not in told
        assert client.post(url, {"message": "Je suis la nouvelle secrétaire."}).status_code == 302
        assert client.post(url, {"message": "Je suis la nouvelle secrétaire."}).status_code == 302
        assert CoAuthor.objects.get().state == State.ASKED
        assert client.get(f"/demandes/{sent.pk}/").status_code == 404
        assert (
            client.post(f"/demandes/{sent.pk}/auteurs/{CoAuthor.objects.get().pk}/", {"action": "admit"}).status_code
            == 404
        )
        assert Notice.objects.get().recipient == sent.author.email

    def test_it_says_who_asks_before_anything(self, sent: Dossier, commune: Organization, stranger: User) -> None:
        response = sign_in(stranger).post(f"/demandes/rejoindre/{commune.code}/", {"message": ""})
        assert response.status_code == 422
        assert 'href="#id_message"' in response.content.decode()

    @pytest.mark.parametrize("code", ["56196", "99999", "x", "%00"])
    def test_without_an_open_dossier_there_is_nothing_to_join(self, code: str, stranger: User, draft: Dossier) -> None:
        assert sign_in(stranger).get(f"/demandes/rejoindre/{code}/").status_code == 404

    def test_a_colleague_is_sent_to_the_dossier_itself(self, sent: Dossier, commune: Organization) -> None:
        client = sign_in(MembershipFactory.create(organization=commune).user)
        assert client.get(f"/demandes/rejoindre/{commune.code}/")["Location"] == f"/demandes/{sent.pk}/"


class TestAnswerJoin:
    @pytest.fixture
    def asked(self, commune: Organization, agent: User, anct: Operator, stranger: User) -> CoAuthor:
        dossier = DossierFactory.create(organization=commune, author=agent, sent=True, operator=anct)
        return coauthors.ask(dossier, "Je travaille ici.", by=stranger)

    def test_the_author_admits(self, asked: CoAuthor, agent: User, stranger: User) -> None:
        url = f"/demandes/{asked.dossier_id}/auteurs/{asked.pk}/"
        assert "Je travaille ici." in page(sign_in(agent), url)
        assert sign_in(agent).post(url, {"action": "admit"}).status_code == 302
        assert sign_in(stranger).get(f"/demandes/{asked.dossier_id}/").status_code == 200
        assert Notice.objects.filter(kind="dossier_join_answered", recipient=stranger.email).count() == 1

    def test_the_author_refuses(self, asked: CoAuthor, agent: User, stranger: User) -> None:
        url = f"/demandes/{asked.dossier_id}/auteurs/{asked.pk}/"
        assert sign_in(agent).post(url, {"action": "refuse"}).status_code == 302
        assert sign_in(stranger).get(f"/demandes/{asked.dossier_id}/").status_code == 404

    def test_something_else_is_no_answer(self, asked: CoAuthor, agent: User) -> None:
        url = f"/demandes/{asked.dossier_id}/auteurs/{asked.pk}/"
        assert sign_in(agent).post(url, {"action": "active"}).status_code == 422
        asked.refresh_from_db()
        assert asked.state == State.ASKED

    def test_who_was_let_in_decides_on_nothing_as_staff(self, asked: CoAuthor, agent: User, anct: Operator) -> None:
        """Somebody of the operator who writes the dossier does not decide on it."""
        dossier = asked.dossier
        insider = staff(anct, "lead")
        CoAuthor.objects.create(dossier=dossier, user=insider, state=State.ACTIVE, answered_by=agent)
        with pytest.raises(moves.NotAllowed):
            workflow.take(Dossier.objects.get(pk=dossier.pk), by=insider, version=1)


@pytest.mark.django_db(transaction=True)
def test_two_answers_at_once_are_one(commune: Organization, agent: User, anct: Operator, stranger: User) -> None:
    dossier = DossierFactory.create(organization=commune, author=agent, sent=True, operator=anct)
    asked = coauthors.ask(dossier, "", by=stranger)
    answers = together(
        lambda: coauthors.answer(asked, admit=True, by=agent), lambda: coauthors.answer(asked, admit=False, by=agent)
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["GuardFailed", "NoneType"]
    assert Notice.objects.filter(kind="dossier_join_answered").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_link_taken_twice_at_once_serves_once(commune: Organization, agent: User) -> None:
    friend = UserFactory.create()
    dossier = DossierFactory.create(organization=commune, author=agent)
    coauthors.invite(dossier, friend.email, by=agent)
    found = coauthors.find(link().partition("jeton=")[2])
    assert found
    answers = together(*[lambda: coauthors.accept(found, by=friend)] * 2)
    assert sorted(type(answer).__name__ for answer in answers) == ["GuardFailed", "NoneType"]
    assert CoAuthor.objects.filter(state=State.ACTIVE).count() == 1
