"""Defects of the registrar that we learn from, on the requester's side (`requests.md`, 8)."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from onboarding.intake import checks, coauthors, moves, workflow
from onboarding.intake.models import Dossier
from onboarding.intake.request_models import CoAuthor, MailboxImport
from onboarding.intake.workflow import Point
from suite.accounts.models import User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from tests.factories.accounts import MembershipFactory
from tests.factories.directory import CommuneFactory
from tests.factories.intake import DossierFactory, MailboxRequestFactory, RemarkFactory
from tests.intake.browsing import form_of, page, said, sign_in
from tests.intake.situations import situation

pytestmark = pytest.mark.django_db
S = Dossier.Status
DECLARED = {"declares_exact": "on", "declares_mandate": "on", "accepts_terms": "on"}
CLOSED = ["submitted", "in_review", "second_approval", "approved", "rejected", "withdrawn", "expired", "revoked"]


@pytest.fixture
def draft(commune: Organization, agent: User, anct: Operator) -> Dossier:
    return DossierFactory.create(organization=commune, author=agent)


@pytest.fixture
def town_hall(agent: User) -> Client:
    return sign_in(agent)


# Each makes one mandatory thing missing, and names the field that must be told.
MISSING: dict[str, tuple[dict[str, Any], str]] = {
    "given name": ({"requester_given_name": ""}, "requester_given_name"),
    "family name": ({"requester_family_name": ""}, "requester_family_name"),
    "function": ({"requester_function": ""}, "requester_function"),
    "e-mail": ({"requester_email": ""}, "requester_email"),
    "phone": ({"requester_phone": ""}, "requester_phone"),
    "family": ({"family": ""}, "family"),
    "who manages the DNS": ({"family": "existing", "mail_in_use": False}, "dns_manager"),
    "mail in use": ({"family": "existing", "dns_manager": "commune"}, "mail_in_use"),
    "mail provider": ({"family": "existing", "dns_manager": "commune", "mail_in_use": True}, "mail_provider"),
    "storage": ({"storage_gb": None}, "storage_gb"),
    "why more storage": ({"storage_gb": 5000}, "allocation_reason"),
}


class TestR01IncompleteRequest:
    def refuse(self, client: Client, draft: Dossier, field: str) -> None:
        draft.refresh_from_db()
        url = f"/demandes/{draft.pk}/etape/5/"
        response = client.post(url, {"version": str(draft.version), "action": "submit", **DECLARED})
        assert response.status_code == 422
        link = re.search(rf'href="([^"#]*)#(id_{field}(?:_0)?)"', response.content.decode())
        assert link
        assert f'id="{link[2]}"' in page(client, link[1] or url)
        draft.refresh_from_db()
        assert draft.status == S.DRAFT
        assert not Event.objects.filter(kind="submit").exists()
        # The transition itself says the same, whatever the page.
        with pytest.raises(moves.GuardFailed) as refused:
            workflow.submit(draft, by=draft.author, version=draft.version)
        assert field in {problem.field for problem in refused.value.problems}

    @pytest.mark.parametrize("what", MISSING)
    def test_r01_each_mandatory_field_missing_in_turn_sends_nothing(
        self, what: str, town_hall: Client, draft: Dossier
    ) -> None:
        changes, field = MISSING[what]
        Dossier.objects.update(**changes)
        self.refuse(town_hall, draft, field)

    def test_r01_without_a_name(self, town_hall: Client, draft: Dossier) -> None:
        draft.names.all().delete()
        self.refuse(town_hall, draft, "name")

    def test_r01_without_a_mailbox(self, town_hall: Client, draft: Dossier) -> None:
        draft.mailboxes.all().delete()
        self.refuse(town_hall, draft, "mailboxes")

    def test_r01_without_anybody_to_administer(self, town_hall: Client, draft: Dossier) -> None:
        draft.mailboxes.update(administrator=False)
        self.refuse(town_hall, draft, "mailboxes")

    @pytest.mark.parametrize("field", ["given_name", "family_name", "local_part", "recovery_email"])
    def test_r01_a_mailbox_without_what_it_needs(self, field: str, town_hall: Client, draft: Dossier) -> None:
        draft.mailboxes.update(**{field: ""})
        self.refuse(town_hall, draft, f"mailboxes-0-{field}")

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"recovery_email": "a@rochefort-en-terre.collectivite.fr"}, "recovery_email"),
            ({"recovery_email": "a@mail.rochefort-en-terre.collectivite.fr"}, "recovery_email"),
            ({"local_part": "postmaster"}, "local_part"),
            ({"local_part": "mairie"}, "local_part"),
            ({"kind": "redirect", "targets": "nulle part"}, "targets"),
            ({"kind": "redirect", "local_part": "boucle", "targets": "boucle"}, "targets"),
        ],
    )
    def test_r01_a_second_mailbox_that_breaks_a_rule(
        self, changes: dict[str, str], field: str, town_hall: Client, draft: Dossier
    ) -> None:
        MailboxRequestFactory.create(dossier=draft, **changes)
        self.refuse(town_hall, draft, f"mailboxes-1-{field}")

    def test_r01_corrections_are_sent_back_by_the_same_rule(
        self, town_hall: Client, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        back = situation(S.NEEDS_CHANGES, commune, agent, anct, instructor)
        RemarkFactory.create(dossier=back, answer="Nous maintenons.")
        Dossier.objects.update(requester_phone="")
        response = town_hall.post(
            f"/demandes/{back.pk}/etape/5/", {"version": "1", "action": "submit", **DECLARED,
            f"answer-{back.remarks.get().pk}": "Nous maintenons."}
        )  # fmt: skip
        assert response.status_code == 422
        assert "#id_requester_phone" in response.content.decode()
        back.refresh_from_db()
        assert back.status == S.NEEDS_CHANGES


class TestR02BareSubmit:
    @pytest.mark.parametrize("absent", [*DECLARED, ""])
    def test_r02_a_bare_post_without_a_declaration_sends_nothing(
        self, absent: str, town_hall: Client, draft: Dossier
    ) -> None:
        declared = {name: "on" for name in DECLARED if absent and name != absent}
        url = f"/demandes/{draft.pk}/etape/5/"
        response = town_hall.post(url, {"version": "1", "action": "submit", **declared})
        assert response.status_code == 422
        for name in DECLARED if not absent else [absent]:
            assert f'href="#id_{name}"' in response.content.decode()
        assert not Event.objects.filter(kind="submit").exists()

    @pytest.mark.parametrize("population", [3500, 3501, 20_000])
    def test_r02_a_commune_that_is_not_eligible_sends_nothing(
        self, population: int, town_hall: Client, draft: Dossier, commune: Organization
    ) -> None:
        type(commune).objects.filter(pk=commune.pk).update(population=population)
        url = f"/demandes/{draft.pk}/etape/5/"
        response = town_hall.post(url, {"version": "1", "action": "submit", **DECLARED})
        assert response.status_code == 422
        draft.refresh_from_db()
        assert draft.status == S.DRAFT

    def test_r02_the_list_of_the_page_is_the_list_of_the_transition(self, town_hall: Client, draft: Dossier) -> None:
        Dossier.objects.update(requester_phone="", storage_gb=None, family="")
        draft.refresh_from_db()
        listed = [problem.message for problem in checks.can_submit(draft)]
        text = said(page(town_hall, f"/demandes/{draft.pk}/etape/5/"))
        with pytest.raises(moves.GuardFailed) as refused:
            workflow.submit(draft, by=draft.author, version=1)
        assert [problem.message for problem in refused.value.problems] == listed
        for message in listed:
            assert message.replace("\u00a0", " ") in text


def snapshot(dossier: Dossier) -> tuple[object, ...]:
    rows = (list(rows.values()) for rows in (dossier.mailboxes, dossier.names, dossier.requested_services))
    return (Dossier.objects.values().get(pk=dossier.pk), *rows)


class TestR03StatusIsLookedAt:
    @pytest.mark.parametrize("status", CLOSED)
    @pytest.mark.parametrize("step", range(1, 6))
    def test_r03_a_step_posted_in_a_closed_state_changes_nothing(  # noqa: PLR0917 - fixtures
        self, step: int, status: str, town_hall: Client, commune: Organization, agent: User, anct: Operator,
        instructor: User,
    ) -> None:  # fmt: skip
        dossier = situation(status, commune, agent, anct, instructor)
        stored = snapshot(dossier)
        typed = {
            "requester_given_name": "Zoé", "family": "new", "name": "autre.fr", "rows": "1",
            "mailboxes-0-kind": "shared", "mailboxes-0-local_part": "intrus", "storage_gb": "9", "declares_exact": "",
        }  # fmt: skip
        for action in ("next", "quit", "submit", "previous"):
            response = town_hall.post(
                f"/demandes/{dossier.pk}/etape/{step}/", {"version": "1", "action": action, **typed}
            )
            assert response.status_code == 409
        assert stored == snapshot(dossier)
        assert not Event.objects.exists()


class TestR09ReasonsOnThePage:
    def test_r09_what_is_to_correct_is_all_on_the_page(
        self, town_hall: Client, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        points = [
            Point("mailbox_list", ("mailboxes",), "Ajoutez l’accueil."),
            Point("name_taken", ("name", "alternatives"), "Ce nom vient d’être pris."),
            Point("other", ("contacts",), "Le contact ne répond pas."),
        ]
        workflow.request_changes(dossier, points, by=instructor, version=1, message="Merci d’avance.")
        html = page(town_hall, f"/demandes/{dossier.pk}/")
        text = said(html)
        for told in (
            "La liste des boîtes est à corriger", "Ce nom n’est plus disponible", "Autre point", "Ajoutez l’accueil.",
            "Ce nom vient d’être pris.", "Le contact ne répond pas.", "Merci d’avance.", "C’est à vous d’agir",
        ):  # fmt: skip
            assert told in text
        for step, anchor in ((3, "mailboxes"), (2, "family_0"), (2, "alternative_1"), (4, "privacy_contact_name")):
            assert f'href="/demandes/{dossier.pk}/etape/{step}/#id_{anchor}"' in html
            assert f'id="id_{anchor}"' in page(town_hall, f"/demandes/{dossier.pk}/etape/{step}/")

    def test_r09_a_refusal_says_its_reasons_and_until_when_it_is_contested(
        self, town_hall: Client, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        workflow.reject(dossier, ["no_mandate", "other"], by=instructor, version=1, message="Revenez avec un arrêté.")
        Dossier.objects.update(decided_at="2026-12-31T10:00:00+01:00")
        text = said(page(town_hall, f"/demandes/{dossier.pk}/"))
        for told in ("Habilitation non établie", "Autre motif", "Revenez avec un arrêté.", "28 février 2027"):
            assert told in text

    def test_r09_the_page_says_whose_turn_it_is_and_whom_to_ask(
        self, town_hall: Client, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        text = said(page(town_hall, f"/demandes/{dossier.pk}/"))
        assert "Nous instruisons votre demande" in text
        assert f"{instructor.get_full_name()}, {anct.name}" in text

    def test_r09_a_place_in_the_queue_is_told_by_bands(
        self, town_hall: Client, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        for _ in range(5):
            DossierFactory.create(sent=True, operator=anct)
        dossier = situation(S.SUBMITTED, commune, agent, anct, instructor)
        assert "entre la sixième et la vingtième place" in said(page(town_hall, f"/demandes/{dossier.pk}/"))


class TestR32TenantInTheAddress:
    def test_r32_another_commune_in_the_query_opens_nothing(
        self, stranger: User, draft: Dossier, commune: Organization
    ) -> None:
        other = MembershipFactory.create(user=stranger).organization
        mine = DossierFactory.create(organization=other, author=stranger)
        client = sign_in(stranger)
        for query in (f"?commune={commune.code}", f"?commune={commune.siren}&organization={commune.pk}"):
            for name in DOSSIER:
                kwargs = {"step": 3} if name == "intake:step" else {}
                theirs = reverse(name, kwargs={"pk": draft.pk, **kwargs})
                assert client.get(theirs + query).status_code == 404
                assert client.post(theirs + query, {"commune": commune.code}).status_code in {404, 405}
                here = client.get(reverse(name, kwargs={"pk": mine.pk, **kwargs}) + query)
                assert here.status_code == 200
                assert draft.reference.encode() not in here.content
                assert str(draft.pk).encode() not in here.content
            listed = client.get("/demandes/" + query).content.decode()
            assert draft.reference not in listed


class TestR33ChildrenOfAnother:
    def test_r33_what_belongs_to_another_dossier_is_not_found_through_mine(
        self, stranger: User, draft: Dossier, agent: User
    ) -> None:
        mine = DossierFactory.create(author=stranger)
        client = sign_in(stranger)
        table = MailboxImport.objects.create(dossier=draft, version=1, author=agent, rows=[])
        writer = CoAuthor.objects.create(dossier=draft, user=agent, state=CoAuthor.State.ASKED)
        for url in (
            f"/demandes/{mine.pk}/boites/importer/{table.pk}/",
            f"/demandes/{mine.pk}/auteurs/{writer.pk}/",
            f"/demandes/{mine.pk}/auteurs/{writer.pk}/retirer/",
        ):
            assert client.get(url).status_code in {404, 405}
            assert client.post(url, {"version": "1", "action": "admit"}).status_code == 404
        writer.refresh_from_db()
        assert writer.state == CoAuthor.State.ASKED

    def test_r33_an_answer_to_a_remark_of_another_dossier_is_not_kept(
        self, town_hall: Client, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        back = situation(S.NEEDS_CHANGES, commune, agent, anct, instructor)
        RemarkFactory.create(dossier=back)
        theirs = RemarkFactory.create()
        url = f"/demandes/{back.pk}/etape/5/"
        town_hall.post(url, {**form_of(page(town_hall, url)), f"answer-{theirs.pk}": "intrus", "action": "quit"})
        theirs.refresh_from_db()
        assert theirs.answer == ""

    def test_r33_a_choice_of_conflict_reaches_no_other_row(self, town_hall: Client, draft: Dossier) -> None:
        theirs = MailboxRequestFactory.create()
        url = f"/demandes/{draft.pk}/etape/3/"
        form = {**form_of(page(town_hall, url)), f"choix-mailboxes.{theirs.pk}": "theirs", "choix-status": "theirs"}
        assert town_hall.post(url, {**form, "action": "keep"}).status_code == 302
        assert draft.mailboxes.count() == 1
        assert theirs.local_part not in page(town_hall, url)


DOSSIER = [
    "intake:detail", "intake:step", "intake:withdraw", "intake:report", "intake:paper", "intake:data",
    "intake:template", "intake:upload", "intake:authors", "intake:invite",
]  # fmt: skip


class References(HTMLParser):
    """Gather the ids of a page, and what refers to them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.asked: set[str] = set()
        self.described: dict[str, set[str]] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        if "id" in known:
            self.ids.append(known["id"])
        for name in ("aria-labelledby", "aria-describedby", "aria-controls", "for"):
            self.asked.update(known.get(name, "").split())
        if known.get("aria-describedby"):
            self.described[known.get("id", "")] = set(known["aria-describedby"].split())
        if tag == "a" and known.get("href", "").startswith("#") and len(known["href"]) > 1:
            self.asked.add(known["href"][1:])


def resolves(html: str) -> References:
    found = References(html)
    assert not found.asked - set(found.ids), f"nothing bears these ids: {found.asked - set(found.ids)}"
    twice = {one for one in found.ids if found.ids.count(one) > 1}
    assert not twice, f"these ids are given twice: {twice}"
    return found


class TestR42References:
    def test_r42_every_id_that_a_page_names_is_there(  # noqa: PLR0917 - fixtures
        self, town_hall: Client, draft: Dossier, commune: Organization, agent: User, instructor: User, anct: Operator
    ) -> None:
        MailboxRequestFactory.create(dossier=draft, shared=True)
        other = MembershipFactory.create(user=agent).organization
        urls = ["/demandes/", f"/demandes/nouvelle/?commune={other.code}", "/demandes/invitation/?jeton=x"]
        urls += [reverse(name, args=[draft.pk]) for name in ("intake:detail", "intake:withdraw", "intake:report")]
        urls += [reverse(name, args=[draft.pk]) for name in ("intake:upload", "intake:authors", "intake:invite")]
        urls += [f"/demandes/{draft.pk}/etape/{step}/{query}" for step in range(1, 6) for query in ("", "?corriger=1")]
        for url in urls:
            resolves(town_hall.get(url).content.decode())
        for status in (S.NEEDS_CHANGES, S.REJECTED, S.APPROVED):
            dossier = situation(status, CommuneFactory.create(), agent, anct, instructor)
            RemarkFactory.create(dossier=dossier)
            resolves(page(town_hall, f"/demandes/{dossier.pk}/"))

    @pytest.mark.parametrize(
        ("step", "typed"),
        [
            (1, {"requester_email": "x", "requester_phone": "y", "requester_given_name": "z" * 60}),
            (2, {"family": "zz", "name": "x..y", "mail_switch_on": "hier"}),
            (3, {"rows": "2", "mailboxes-0-kind": "personal", "mailboxes-0-given_name": "A",
                 "mailboxes-1-kind": "redirect",
                 "mailboxes-1-local_part": "A b_c", "mailboxes-1-recovery_email": "x"}),
            (4, {"storage_gb": "dix", "privacy_contact_email": "x", "services": "999999"}),
            (5, {"action": "submit"}),
        ],
    )  # fmt: skip
    def test_r42_every_error_is_tied_to_its_field(
        self, step: int, typed: dict[str, str], town_hall: Client, draft: Dossier
    ) -> None:
        response = town_hall.post(f"/demandes/{draft.pk}/etape/{step}/", {"version": "1", **typed})
        html = response.content.decode()
        assert response.status_code == 422
        found = resolves(html)
        assert 'role="alert"' in html
        errors = {one for one in found.ids if one.endswith("-desc-error")}
        assert errors
        told = set().union(*found.described.values()) | set(
            re.findall(r'aria-labelledby="[^"]*?(\S+-desc-error)"', html)
        )
        assert errors <= told
        for one in errors:
            field = one.removesuffix("-desc-error")
            assert f'href="#{field}"' in html or f'href="#{field}_0"' in html, f"{field} is not in the summary"

    def test_r42_a_conflict_names_what_it_shows(self, town_hall: Client, draft: Dossier) -> None:
        url = f"/demandes/{draft.pk}/etape/1/"
        form = form_of(page(town_hall, url))
        town_hall.post(url, {**form, "requester_given_name": "Ada"})
        resolves(town_hall.post(url, {**form, "requester_given_name": "Zoé"}).content.decode())

    def test_r42_the_pages_of_sharing_and_importing_too(self, town_hall: Client, draft: Dossier, agent: User) -> None:
        url = f"/demandes/{draft.pk}/boites/importer/"
        for path in (url, f"/demandes/{draft.pk}/auteurs/inviter/", f"/demandes/{draft.pk}/signaler/"):
            response = town_hall.post(path)
            assert response.status_code == 422
            resolves(response.content.decode())
        asked = coauthors.ask(draft, "x", by=MembershipFactory.create().user)
        resolves(page(town_hall, f"/demandes/{draft.pk}/auteurs/{asked.pk}/"))
        rows = [{"number": 2, "values": {"local_part": "mairie", "kind": "shared"}, "refusal": ""}]
        table = MailboxImport.objects.create(dossier=draft, version=1, author=agent, rows=rows, ignored=["Statut"])
        resolves(page(town_hall, f"{url}{table.pk}/"))
