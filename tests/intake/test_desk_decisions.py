"""Decisions: drafts that are kept, and messages that are sent as they were shown."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from onboarding.intake import decision_preview, workflow
from onboarding.intake.desk_models import DecisionDraft
from onboarding.intake.models import Dossier
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.factories.intake import DossierFactory
from tests.intake.browsing import page, said, sign_in

pytestmark = pytest.mark.django_db
S = Dossier.Status
REASONS = {"reasons": ["name_taken"], "text-name_taken": "« L’autre » nom <svp> & merci."}
TYPED: dict[str, dict[str, Any]] = {
    "approve": {"rank": "0"},
    "reject": {"reasons": ["not_public_use", "other"], "message": "Non.\r\n\r\nVoyez < & > « ici »."},
    "request_changes": REASONS,
}


@pytest.fixture
def mine(commune: Organization, agent: User, anct: Operator, instructor: User) -> Dossier:
    return DossierFactory.create(organization=commune, author=agent, operator=anct, in_review=True, assignee=instructor)


@pytest.fixture
def desk(instructor: User) -> Client:
    return sign_in(instructor)


def hidden(html: str) -> dict[str, list[str]]:
    """Return the hidden fields of the preview's form."""
    form = html[html.index("<h1>Aperçu") :]
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden"\s+name="([^"]+)"\s+value="([^"]*)"', form):
        found.setdefault(unescape(name), []).append(unescape(value))
    return found


class TestPreview:
    @pytest.mark.parametrize("decision", sorted(TYPED))
    def test_what_is_previewed_is_what_is_sent_to_the_byte(self, decision: str, desk: Client, mine: Dossier) -> None:
        url = reverse(f"desk:{decision}", args=[mine.pk])
        html = desk.post(url, {"version": "1", "etape": "apercu", **TYPED[decision]}).content.decode()
        mine.refresh_from_db()
        assert mine.status == S.IN_REVIEW
        assert not Event.objects.exists()
        assert not Notice.objects.exists()
        shown = DecisionDraft.objects.get().letters
        assert len(shown) == 1
        assert shown[0]["subject"] in unescape(html)

        response = desk.post(url, {**hidden(html), "etape": "envoi"})
        assert response.status_code == 302
        notice = Notice.objects.get()
        assert {
            "kind": notice.kind, "recipient": notice.recipient, "subject": notice.subject,
            "text": notice.body_text, "html": notice.body_html,
        } == shown[0]  # fmt: skip
        assert not DecisionDraft.objects.exists()

    def test_a_message_that_would_differ_is_shown_again_and_not_sent(
        self, desk: Client, mine: Dossier, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = reverse("desk:reject", args=[mine.pk])
        html = desk.post(url, {"version": "1", "etape": "apercu", **TYPED["reject"]}).content.decode()
        monkeypatch.setattr("django.conf.settings.CONTACT_EMAIL", "autre@suite.example")
        response = desk.post(url, {**hidden(html), "etape": "envoi"})
        assert response.status_code == 409
        assert "Le message a changé" in response.content.decode()
        mine.refresh_from_db()
        assert mine.status == S.IN_REVIEW
        again = desk.post(url, {**hidden(response.content.decode()), "etape": "envoi"})
        assert again.status_code == 302
        assert "autre@suite.example" in Notice.objects.get().body_text

    @pytest.mark.parametrize("step", [{}, {"etape": "envoi"}, {"etape": "autre"}])
    def test_nothing_is_decided_that_was_not_shown(self, desk: Client, mine: Dossier, step: dict[str, str]) -> None:
        for decision, typed in TYPED.items():
            response = desk.post(reverse(f"desk:{decision}", args=[mine.pk]), {"version": "1", **typed, **step})
            assert response.status_code in {200, 409}
            DecisionDraft.objects.all().delete()
        mine.refresh_from_db()
        assert (mine.status, mine.version) == (S.IN_REVIEW, 1)
        assert not Event.objects.exists()

    def test_other_words_than_those_previewed_are_shown_first(self, desk: Client, mine: Dossier) -> None:
        url = reverse("desk:reject", args=[mine.pk])
        html = desk.post(url, {"version": "1", "etape": "apercu", **TYPED["reject"]}).content.decode()
        response = desk.post(url, {**hidden(html), "message": "Tout autre chose.", "etape": "envoi"})
        assert response.status_code == 409
        assert not Notice.objects.exists()

    def test_a_preview_meets_the_same_rules_as_the_decision(self, desk: Client, mine: Dossier) -> None:
        Dossier.objects.update(requester_phone="")
        response = desk.post(reverse("desk:approve", args=[mine.pk]), {"version": "1", "etape": "apercu", "rank": "0"})
        assert response.status_code == 422
        assert "téléphone" in response.content.decode()
        Dossier.objects.update(version=2)
        for decision, typed in TYPED.items():
            url = reverse(f"desk:{decision}", args=[mine.pk])
            assert desk.post(url, {"version": "1", "etape": "apercu", **typed}).status_code == 409

    def test_a_rehearsal_leaves_nothing(self, mine: Dossier, instructor: User) -> None:
        letters = decision_preview.rehearse(mine, lambda: workflow.approve(mine, by=instructor, version=1))
        mine.refresh_from_db()
        assert [one["kind"] for one in letters] == ["dossier_approved"]
        assert (mine.status, mine.version, mine.deployment) == (S.IN_REVIEW, 1, None)
        assert not Event.objects.exists()


class TestSaveDraft:
    def test_what_is_written_is_kept_for_its_author_alone(self, desk: Client, mine: Dossier, lead: User) -> None:
        url = reverse("desk:request_changes", args=[mine.pk])
        save = reverse("desk:save_draft", args=[mine.pk, "request_changes"])
        assert "Enregistrer le brouillon" in page(desk, url)
        response = desk.post(save, {"version": "1", **REASONS})
        assert response["Location"] == url
        html = page(desk, url)
        assert "« L’autre » nom" in html
        assert re.search(r'value="name_taken"[^>]*checked', html)
        assert "« L’autre » nom" not in page(sign_in(lead), url)
        mine.refresh_from_db()
        assert mine.version == 1

    def test_htmx_is_told_the_time_and_nothing_else(self, desk: Client, mine: Dossier) -> None:
        save = reverse("desk:save_draft", args=[mine.pk, "reject"])
        response = desk.post(save, {"message": "Bonjour"}, headers={"HX-Request": "true"})
        assert re.fullmatch(r"Brouillon enregistré à \d\d:\d\d\.", response.content.decode())
        response = desk.post(save, {"message": "x" * 30_000}, headers={"HX-Request": "true"})
        assert "trop long" in response.content.decode()
        assert DecisionDraft.objects.get().fields == {"message": ["Bonjour"]}

    def test_there_are_three_decisions(self, desk: Client, mine: Dossier) -> None:
        assert desk.post(reverse("desk:save_draft", args=[mine.pk, "delete"])).status_code == 404
        assert desk.get(reverse("desk:save_draft", args=[mine.pk, "reject"])).status_code == 405

    def test_a_draft_written_before_a_change_says_so(self, desk: Client, mine: Dossier) -> None:
        desk.post(reverse("desk:save_draft", args=[mine.pk, "reject"]), {"message": "Bonjour"})
        Dossier.objects.update(version=2)
        assert "a changé depuis" in said(page(desk, reverse("desk:reject", args=[mine.pk])))
