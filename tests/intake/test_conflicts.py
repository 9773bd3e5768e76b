"""Two people at one step: nothing typed is lost, and nobody overwrites anybody without knowing."""

import threading
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from onboarding.intake import conflicts, contents, workflow
from onboarding.intake.models import Dossier, Revision
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from tests.factories.accounts import MembershipFactory
from tests.factories.intake import DossierFactory, MailboxRequestFactory, RemarkFactory
from tests.intake.browsing import form_of, page, said, sign_in

REQUESTER = {
    "requester_given_name": "Camille",
    "requester_family_name": "Dupont",
    "requester_function": "secretaire",
    "requester_email": "camille@ailleurs.example",
    "requester_phone": "02 97 00 00 00",
}


@pytest.fixture
def draft(commune: Organization, agent: User) -> Dossier:
    return DossierFactory.create(organization=commune, author=agent)


@pytest.fixture
def colleague(commune: Organization) -> User:
    return MembershipFactory.create(organization=commune, user__given_name="Dominique", user__usual_name="Martin").user


@pytest.mark.django_db
class TestR05StaleSave:
    def test_r05_two_tabs_that_touch_different_fields_are_merged(
        self, draft: Dossier, agent: User, colleague: User
    ) -> None:
        url = f"/demandes/{draft.pk}/etape/1/"
        mine, theirs = sign_in(agent), sign_in(colleague)
        first, second = form_of(page(mine, url)), form_of(page(theirs, url))
        assert theirs.post(url, {**second, "requester_phone": "02 97 11 11 11"}).status_code == 302
        response = mine.post(url, {**first, "requester_given_name": "Zoé"})
        assert response.status_code == 302
        draft.refresh_from_db()
        assert (draft.requester_given_name, draft.requester_phone) == ("Zoé", "02 97 11 11 11")
        assert "Téléphone" in said(page(mine, response["Location"]))

    def test_r05_two_tabs_on_one_field_show_both_texts_and_lose_neither(
        self, draft: Dossier, agent: User, colleague: User
    ) -> None:
        url = f"/demandes/{draft.pk}/etape/1/"
        mine, theirs = sign_in(agent), sign_in(colleague)
        first, second = form_of(page(mine, url)), form_of(page(theirs, url))
        theirs.post(url, {**second, "requester_given_name": "Ada", "requester_phone": "02 97 11 11 11"})
        response = mine.post(url, {**first, "requester_given_name": "Zoé", "requester_family_name": "Petit"})
        text = response.content.decode()
        assert response.status_code == 409
        for told in ("Votre saisie", "Version enregistrée par Dominique Martin", "Zoé", "Ada"):
            assert told in said(text)
        draft.refresh_from_db()
        assert draft.requester_given_name == "Ada"

        sent = form_of(text)
        assert sent["choix-requester_given_name"] == ["mine"]
        assert mine.post(url, {**sent, "action": "next"}).status_code == 302
        draft.refresh_from_db()
        assert draft.requester_given_name == "Zoé"
        assert draft.requester_family_name == "Petit"
        assert draft.requester_phone == "02 97 11 11 11"

    def test_r05_the_other_text_may_be_preferred(self, draft: Dossier, agent: User, colleague: User) -> None:
        url = f"/demandes/{draft.pk}/etape/1/"
        mine, theirs = sign_in(agent), sign_in(colleague)
        first, second = form_of(page(mine, url)), form_of(page(theirs, url))
        theirs.post(url, {**second, "requester_given_name": "Ada"})
        text = mine.post(
            url, {**first, "requester_given_name": "Zoé", "requester_family_name": "Petit"}
        ).content.decode()
        mine.post(url, {**form_of(text), "choix-requester_given_name": "theirs"})
        draft.refresh_from_db()
        assert (draft.requester_given_name, draft.requester_family_name) == ("Ada", "Petit")

    def test_r05_the_page_that_settles_may_conflict_again(self, draft: Dossier, agent: User, colleague: User) -> None:
        url = f"/demandes/{draft.pk}/etape/1/"
        mine, theirs = sign_in(agent), sign_in(colleague)
        first, second = form_of(page(mine, url)), form_of(page(theirs, url))
        theirs.post(url, {**second, "requester_given_name": "Ada"})
        settled = form_of(mine.post(url, {**first, "requester_given_name": "Zoé"}).content.decode())
        theirs.post(url, {**form_of(page(theirs, url)), "requester_given_name": "Ève"})
        again = mine.post(url, settled)
        assert again.status_code == 409
        assert "Ève" in again.content.decode()
        assert "Zoé" in again.content.decode()

    def test_r05_a_row_changed_by_two_people_is_chosen_box_by_box(
        self, draft: Dossier, agent: User, colleague: User
    ) -> None:
        MailboxRequestFactory.create(dossier=draft, shared=True)
        url = f"/demandes/{draft.pk}/etape/3/"
        mine, theirs = sign_in(agent), sign_in(colleague)
        first, second = form_of(page(mine, url)), form_of(page(theirs, url))
        theirs.post(url, {**second, "mailboxes-1-local_part": "contact", "mailboxes-0-function": "Accueil"})
        changed = {"mailboxes-1-local_part": "secretariat", "mailboxes-1-targets": "a@ailleurs.example"}
        response = mine.post(url, {**first, **changed, "action": "keep"})
        assert response.status_code == 409
        assert "contact" in said(response.content.decode())
        sent = form_of(response.content.decode())
        key = next(name for name in sent if name.startswith("choix-mailboxes."))
        assert mine.post(url, {**sent, key: "theirs"}).status_code == 302
        rows = {row.local_part: row for row in draft.mailboxes.all()}
        assert rows["contact"].targets == "a@ailleurs.example"
        assert len(rows) == 2
        assert draft.mailboxes.get(position=0).function == "Accueil"

    def test_r05_a_row_that_one_removes_and_another_changes_is_asked_about(
        self, draft: Dossier, agent: User, colleague: User
    ) -> None:
        MailboxRequestFactory.create(dossier=draft, shared=True)
        url = f"/demandes/{draft.pk}/etape/3/"
        mine, theirs = sign_in(agent), sign_in(colleague)
        first, second = form_of(page(mine, url)), form_of(page(theirs, url))
        theirs.post(url, {**second, "mailboxes-1-local_part": "contact"})
        response = mine.post(url, {**first, "action": "remove-1"})
        assert response.status_code == 409
        assert "(boîte retirée)" in response.content.decode()
        sent = form_of(response.content.decode())
        kept = next(name for name in sent if name.startswith("choix-mailboxes."))
        mine.post(url, {**sent, kept: "theirs"})
        assert [row.local_part for row in draft.mailboxes.all()][1:] == ["contact"]

    def test_r05_two_people_who_each_add_a_row_have_both(self, draft: Dossier, agent: User, colleague: User) -> None:
        url = f"/demandes/{draft.pk}/etape/3/"
        mine, theirs = sign_in(agent), sign_in(colleague)
        first, second = form_of(page(mine, url)), form_of(page(theirs, url))
        theirs.post(url, {**second, "action": "add-shared-mairie"})
        assert mine.post(url, {**first, "action": "add-shared-accueil"}).status_code == 302
        assert set(draft.mailboxes.values_list("local_part", flat=True)) >= {"mairie", "accueil"}
        assert draft.mailboxes.count() == 3

    def test_a_post_that_meets_a_sending_shows_its_text_and_changes_nothing(
        self, draft: Dossier, agent: User, anct: Operator, colleague: User
    ) -> None:
        url = f"/demandes/{draft.pk}/etape/1/"
        mine = sign_in(agent)
        first = form_of(page(mine, url))
        workflow.submit(draft, by=colleague, version=1)
        response = mine.post(url, {**first, "requester_given_name": "Zoé"})
        text = said(response.content.decode())
        assert response.status_code == 409
        assert "transmise entre-temps" in text
        assert "Zoé" in text
        draft.refresh_from_db()
        assert draft.requester_given_name == "Camille"

    def test_a_post_that_meets_a_request_for_changes_keeps_what_is_still_open(
        self, commune: Organization, agent: User, instructor: User, anct: Operator
    ) -> None:
        dossier = DossierFactory.create(
            organization=commune, author=agent, needs_changes=True, assignee=instructor, operator=anct, version=4
        )
        RemarkFactory.create(dossier=dossier, fields=["storage"], reason="allocation")
        response = sign_in(agent).post(
            f"/demandes/{dossier.pk}/etape/4/",
            {"version": "1", "storage_gb": "7", "technical_contact_name": "Dominique"},
        )
        assert response.status_code == 409
        text = said(response.content.decode())
        assert "Ce qui ne peut plus être modifié" in text
        assert "Dominique" in text
        sign_in(agent).post(f"/demandes/{dossier.pk}/etape/4/", form_of(response.content.decode()))
        dossier.refresh_from_db()
        assert (dossier.storage_gb, dossier.technical_contact_name) == (7, "")

    def test_nobody_sends_what_somebody_else_changed_without_seeing_it(
        self, draft: Dossier, agent: User, anct: Operator, colleague: User
    ) -> None:
        url = f"/demandes/{draft.pk}/etape/5/"
        mine = sign_in(agent)
        first = form_of(page(mine, url))
        workflow.save_step(draft, 4, {**contents.read(draft, 4), "storage_gb": 9}, by=colleague, version=1)
        response = mine.post(url, {**first, "action": "submit"})
        assert response.status_code == 409
        draft.refresh_from_db()
        assert draft.status == Dossier.Status.DRAFT
        again = form_of(response.content.decode())
        assert mine.post(url, {**again, "action": "submit"}).status_code == 302
        draft.refresh_from_db()
        assert draft.status == Dossier.Status.SUBMITTED

    def test_a_date_that_did_not_change_is_no_conflict(self, draft: Dossier, agent: User, colleague: User) -> None:
        url = f"/demandes/{draft.pk}/etape/2/"
        mine, theirs = sign_in(agent), sign_in(colleague)
        known = {"family": "existing", "name": "a.fr", "dns_manager": "commune", "mail_in_use": "True"}
        whole = {**known, "mail_provider": "Chez Y", "mail_switch_on": "2027-01-31"}
        mine.post(url, {**whole, "version": "1", "action": "keep"})
        theirs.post(url, {**whole, "version": "2", "action": "keep", "justification": "Un nom."})
        assert mine.post(url, {**whole, "version": "2", "mail_provider": "Chez Z", "action": "keep"}).status_code == 302
        draft.refresh_from_db()
        assert (draft.justification, draft.mail_provider) == ("Un nom.", "Chez Z")
        assert str(draft.mail_switch_on) == "2027-01-31"


def test_two_additions_of_the_same_row_are_one() -> None:
    blank: dict[str, Any] = dict.fromkeys(contents.ROW_FIELDS, "")
    old = {**blank, "id": "1", "local_part": "a"}
    added = {**blank, "id": "", "local_part": "b"}
    merged = conflicts.merge(
        {"mailboxes": [old]}, {"mailboxes": [old, {**added, "id": "2"}]}, {"mailboxes": [old, added]}, None
    )
    assert merged.settled
    assert [row["id"] for row in merged.values["mailboxes"]] == ["1", "2"]


def test_a_move_on_one_side_and_an_addition_on_the_other_are_both_kept() -> None:
    blank: dict[str, Any] = dict.fromkeys(contents.ROW_FIELDS, "")
    a, b, c = ({**blank, "id": name, "local_part": name} for name in "abc")
    merged = conflicts.merge({"mailboxes": [a, b]}, {"mailboxes": [a, b, c]}, {"mailboxes": [b, a]}, None)
    assert merged.settled
    assert [row["id"] for row in merged.values["mailboxes"]] == ["b", "a", "c"]


@pytest.mark.django_db(transaction=True)
class TestR06Races:
    def at_once(self, calls: list[tuple[Client, str, dict[str, Any]]]) -> list[Any]:
        barrier, answers = threading.Barrier(len(calls)), [None] * len(calls)

        def work(index: int, client: Client, url: str, data: dict[str, Any]) -> None:
            try:
                barrier.wait()
                answers[index] = client.post(url, data)  # type: ignore[call-overload]
            finally:
                connection.close()

        threads = [threading.Thread(target=work, args=(index, *call)) for index, call in enumerate(calls)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return list(answers)

    def test_r06_of_twenty_saves_of_one_field_one_wins_and_the_others_are_shown(
        self, commune: Organization, agent: User
    ) -> None:
        draft = DossierFactory.create(organization=commune, author=agent)
        url = f"/demandes/{draft.pk}/etape/1/"
        names = [f"Nom{number:02d}" for number in range(20)]
        answers = self.at_once(
            [(sign_in(agent), url, {**REQUESTER, "version": "1", "requester_given_name": name}) for name in names]
        )
        codes = [answer.status_code for answer in answers]
        assert (codes.count(302), codes.count(409)) == (1, 19)
        winner = names[codes.index(302)]
        draft.refresh_from_db()
        assert (draft.requester_given_name, draft.version) == (winner, 2)
        for name, answer in zip(names, answers, strict=True):
            if answer.status_code == 409:
                assert name in answer.content.decode()
                assert winner in answer.content.decode()
        assert Event.objects.filter(kind="save").count() == Revision.objects.count() == 1

    def test_r06_twenty_people_add_a_mailbox_each_and_none_is_lost(self, commune: Organization, agent: User) -> None:
        draft = DossierFactory.create(organization=commune, author=agent)
        row = draft.mailboxes.get()
        kept = {f"mailboxes-0-{name}": getattr(row, name) for name in contents.ROW_FIELDS if name != "administrator"}
        url = f"/demandes/{draft.pk}/etape/3/"
        calls = [
            (
                sign_in(agent),
                url,
                {
                    **kept, "mailboxes-0-id": str(row.pk), "mailboxes-0-administrator": "on", "version": "1",
                    "rows": "2", "mailboxes-1-kind": "shared", "mailboxes-1-local_part": f"service{number}",
                },
            )
            for number in range(20)
        ]  # fmt: skip
        assert {answer.status_code for answer in self.at_once(calls)} == {302}
        assert set(draft.mailboxes.values_list("local_part", flat=True)) == {
            row.local_part,
            *(f"service{number}" for number in range(20)),
        }
        draft.refresh_from_db()
        assert draft.version == 21
        assert sorted(Revision.objects.values_list("version", flat=True)) == list(range(2, 22))
