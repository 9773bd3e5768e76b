"""Mailboxes flagged one by one: these alone may be changed or taken away, whatever way the commune goes about it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.test import Client

from onboarding.intake import contents, record, workflow
from onboarding.intake.models import Dossier, MailboxRequest, Remark
from onboarding.intake.moves import GuardFailed, NotAllowed
from onboarding.intake.replay import replay, stored
from onboarding.intake.workflow import Point
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.factories.intake import DossierFactory, MailboxRequestFactory
from tests.intake.browsing import decide, follow, form_of, page, said, sign_in
from tests.intake.situations import situation

pytestmark = pytest.mark.django_db
S = Dossier.Status
WORDS = "Cette adresse est celle d’un service."


@pytest.fixture
def in_review(commune: Organization, agent: User, anct: Operator, instructor: User) -> Dossier:
    """A dossier of three mailboxes: a person's, the town hall's and the reception's."""
    made = situation(S.IN_REVIEW, commune, agent, anct, instructor)
    for local_part in ("mairie", "accueil"):
        MailboxRequestFactory.create(dossier=made, shared=True, local_part=local_part)
    return made


def box(dossier: Dossier, local_part: str) -> MailboxRequest:
    return dossier.mailboxes.get(local_part=local_part)


@pytest.fixture
def back(in_review: Dossier, instructor: User) -> Dossier:
    """The same, sent back for the mailbox `accueil` alone."""
    point = Point("mailbox_list", ("mailboxes",), WORDS, (str(box(in_review, "accueil").pk),))
    return workflow.request_changes(in_review, [point], by=instructor, version=in_review.version)


@pytest.fixture
def town_hall(agent: User) -> Client:
    return sign_in(agent)


def url_of(dossier: Dossier) -> str:
    return f"/demandes/{dossier.pk}/etape/3/"


def rows_of(dossier: Dossier) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = contents.read(dossier, 3)["mailboxes"]
    return rows


class TestAsking:
    def test_an_operator_ticks_the_boxes_and_the_letter_names_them(self, in_review: Dossier, instructor: User) -> None:
        desk, wrong = sign_in(instructor), box(in_review, "accueil")
        url = f"/instruction/{in_review.pk}/demander-des-corrections/"
        form = form_of(page(desk, url))
        asked = {**form, "reasons": "mailbox_list", "rows-mailbox_list": str(wrong.pk), "text-mailbox_list": WORDS}
        assert decide(desk, url, asked).status_code == 302
        remark = Remark.objects.get()
        assert (remark.fields, remark.rows) == (["mailboxes"], [str(wrong.pk)])
        letter = Notice.objects.get(kind="dossier_changes_requested")
        for text in (letter.body_text, letter.body_html):
            assert "la boîte «\u00a0accueil\u00a0»" in text
            assert "mairie\u00a0»" not in text

    def test_a_box_ticked_opens_the_list_even_where_other_points_were(
        self, in_review: Dossier, instructor: User
    ) -> None:
        desk, wrong = sign_in(instructor), box(in_review, "mairie")
        url = f"/instruction/{in_review.pk}/demander-des-corrections/"
        asked = {
            **form_of(page(desk, url)), "reasons": "other", "text-other": WORDS,
            "fields-other": ["contacts"], "rows-other": [str(wrong.pk)],
        }  # fmt: skip
        assert decide(desk, url, asked).status_code == 302
        assert Remark.objects.get().fields == ["contacts", "mailboxes"]

    def test_a_box_of_another_dossier_is_refused(self, in_review: Dossier, instructor: User) -> None:
        elsewhere = MailboxRequestFactory.create()
        point = Point("mailbox_list", ("mailboxes",), WORDS, (str(elsewhere.pk),))
        with pytest.raises(GuardFailed, match="boîtes de la liste"):
            workflow.request_changes(in_review, [point], by=instructor, version=1)
        assert not Event.objects.exists()

    def test_the_database_refuses_boxes_without_their_list(self, in_review: Dossier) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            Remark.objects.create(dossier=in_review, reason="other", fields=["contacts"], rows=["x"])

    def test_what_was_ticked_is_kept_in_the_draft(self, in_review: Dossier, instructor: User) -> None:
        desk, wrong = sign_in(instructor), box(in_review, "accueil")
        url = f"/instruction/{in_review.pk}/demander-des-corrections/"
        asked = {"version": "1", "reasons": "mailbox_list", "rows-mailbox_list": str(wrong.pk)}
        assert desk.post(f"/instruction/{in_review.pk}/brouillon/request_changes/", asked).status_code == 302
        assert form_of(page(desk, url))["rows-mailbox_list"] == [str(wrong.pk)]


class TestThePage:
    def test_only_the_flagged_box_is_open(self, town_hall: Client, back: Dossier) -> None:
        text = page(town_hall, url_of(back))
        sent = form_of(text)
        assert sent["rows"] == ["3"]
        typed = {name for name in sent if name.startswith("mailboxes-") and not name.endswith("-id")}
        assert typed
        assert {name.split("-")[1] for name in typed} == {"2"}
        assert "Retirer la boîte 3" in text
        for absent in (
            "Retirer la boîte 1",
            "Retirer la boîte 2",
            "Monter la boîte",
            "Ajouter une boîte",
            "/importer/",
        ):
            assert absent not in text

    def test_the_page_of_the_dossier_leads_to_the_box(self, town_hall: Client, back: Dossier) -> None:
        text = page(town_hall, f"/demandes/{back.pk}/")
        assert f'href="{url_of(back)}#boite-3"' in text
        assert "La boîte accueil" in said(text)
        assert 'id="boite-3"' in page(town_hall, url_of(back))

    def test_the_desk_reads_which_box_was_asked(self, back: Dossier, instructor: User) -> None:
        assert "La boîte accueil" in said(page(sign_in(instructor), f"/instruction/{back.pk}/"))
        assert record.record(back)["corrections"][0]["mailboxes"] == ["accueil"]

    def test_without_a_box_flagged_the_whole_list_is_open(
        self, town_hall: Client, in_review: Dossier, instructor: User
    ) -> None:
        point = Point("mailbox_list", ("mailboxes",), WORDS)
        workflow.request_changes(in_review, [point], by=instructor, version=1)
        text = page(town_hall, url_of(in_review))
        assert "disabled" not in text[text.index("<main") : text.index("</main")]
        assert "Ajouter une boîte" in text


class TestSaving:
    def test_the_flagged_box_is_corrected_and_the_dossier_goes_back(self, town_hall: Client, back: Dossier) -> None:
        before = rows_of(back)
        form = {**form_of(page(town_hall, url_of(back))), "mailboxes-2-local_part": "secretariat"}
        assert town_hall.post(url_of(back), {**form, "action": "next"}).status_code == 302
        assert rows_of(Dossier.objects.get()) == [*before[:2], {**before[2], "local_part": "secretariat"}]
        assert Remark.objects.get().touched
        declared = {"declares_exact": "on", "declares_mandate": "on", "accepts_terms": "on"}
        follow(town_hall, f"/demandes/{back.pk}/etape/5/", **declared, action="submit")
        now = Dossier.objects.get()
        assert now.status == S.IN_REVIEW
        assert replay(Event.objects.about("dossier", now.pk)).status == now.status

    def test_the_flagged_box_may_be_taken_away(self, town_hall: Client, back: Dossier) -> None:
        form = form_of(page(town_hall, url_of(back)))
        assert town_hall.post(url_of(back), {**form, "action": "remove-2"}).status_code == 302
        assert [row.local_part for row in back.mailboxes.all()][1:] == ["mairie"]
        assert Remark.objects.get().touched

    @pytest.mark.parametrize(
        "change",
        [
            {"mailboxes-1-local_part": "contact"},
            {"mailboxes-0-administrator": "", "mailboxes-0-given_name": "Dominique"},
            {"action": "add-shared-urbanisme"},
            {"action": "add-usual"},
            {"action": "remove-0"},
            {"action": "up-2"},
            {"rows": "1"},
            {"rows": "0"},
            {"mailboxes-0-id": "", "mailboxes-0-kind": "shared", "mailboxes-0-local_part": "contact"},
        ],
        ids=["another's address", "another's name", "added", "added many", "taken away", "moved", "cut", "emptied",
             "replaced"],
    )  # fmt: skip
    def test_a_post_that_touches_another_box_is_refused_with_a_reason(
        self, change: dict[str, str], town_hall: Client, back: Dossier
    ) -> None:
        before = rows_of(back)
        form = {**form_of(page(town_hall, url_of(back))), "mailboxes-2-local_part": "secretariat", **change}
        response = town_hall.post(url_of(back), form)
        assert response.status_code == 403
        assert "sont ouvertes\u00a0: accueil" in response.content.decode()
        assert rows_of(Dossier.objects.get()) == before
        assert not Remark.objects.get().touched

    def test_a_table_imported_is_held_to_the_same(self, town_hall: Client, back: Dossier) -> None:
        before = rows_of(back)
        table = SimpleUploadedFile("boites.csv", "Adresse;Type\nurbanisme;partagée\n".encode())
        response = town_hall.post(f"/demandes/{back.pk}/boites/importer/", {"file": table})
        assert response.status_code == 302
        url = response["Location"]
        assert town_hall.post(url, form_of(page(town_hall, url))).status_code == 403
        assert rows_of(Dossier.objects.get()) == before

    def test_an_untouched_flagged_box_is_still_to_answer(self, town_hall: Client, back: Dossier) -> None:
        follow(town_hall, url_of(back), **form_of(page(town_hall, url_of(back))))
        declared = {"declares_exact": "on", "declares_mandate": "on", "accepts_terms": "on"}
        response = town_hall.post(
            f"/demandes/{back.pk}/etape/5/", {"version": str(back.version), "action": "submit", **declared}
        )
        assert response.status_code == 422
        assert Dossier.objects.get().status == S.NEEDS_CHANGES

    @pytest.mark.parametrize(
        "touch",
        [
            lambda rows: [*rows[:2], {**rows[2], "id": "", "function": "Standard"}],
            lambda rows: [rows[2], *rows[:2]],
            lambda rows: [*rows, rows[2]],
            lambda rows: rows[1:],
        ],
        ids=["made anew", "moved", "twice", "another gone"],
    )
    def test_the_verb_holds_whatever_the_page_sends(
        self, touch: Callable[[list[dict[str, Any]]], list[dict[str, Any]]], back: Dossier, agent: User
    ) -> None:
        before = rows_of(back)
        with pytest.raises(NotAllowed, match="signalées"):
            workflow.save_step(back, 3, {"mailboxes": touch(before)}, by=agent, version=back.version)
        assert rows_of(Dossier.objects.get()) == before

    def test_two_boxes_asked_by_two_reasons_are_both_open_and_answered_apart(
        self, in_review: Dossier, instructor: User, agent: User
    ) -> None:
        points = [
            Point(code, ("mailboxes",), WORDS, (str(box(in_review, local_part).pk),))
            for code, local_part in (("mailbox_list", "accueil"), ("allocation", "mairie"))
        ]
        now = workflow.request_changes(in_review, points, by=instructor, version=1)
        rows = rows_of(now)
        workflow.save_step(now, 3, {"mailboxes": [rows[0], {**rows[1], "function": "Standard"}, rows[2]]},
                           by=agent, version=now.version)  # fmt: skip
        assert dict(Remark.objects.values_list("reason", "touched")) == {"mailbox_list": False, "allocation": True}

    def test_the_events_say_which_boxes_are_open(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent)
        row = dossier.mailboxes.get()
        dossier = workflow.submit(dossier, by=agent, version=1)
        dossier = workflow.take(dossier, by=instructor, version=2)
        dossier = workflow.request_changes(
            dossier, [Point("mailbox_list", ("mailboxes",), "", (str(row.pk),))], by=instructor, version=3
        )
        told = replay(Event.objects.about("dossier", dossier.pk))
        assert (told.fields, told.rows) == (("mailboxes",), (str(row.pk),))
        assert told == stored(dossier)
