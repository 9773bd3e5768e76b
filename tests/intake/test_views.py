"""The requester's pages, as a person without JavaScript walks them."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from onboarding.intake.models import Dossier
from suite.accounts.models import Membership, OperatorRole, User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from tests.factories.accounts import MembershipFactory
from tests.factories.directory import CommuneFactory, OperatorFactory
from tests.factories.intake import DossierFactory, MailboxRequestFactory, RemarkFactory
from tests.intake.browsing import follow, page, said, sign_in, version
from tests.intake.conftest import staff

pytestmark = pytest.mark.django_db
S = Dossier.Status


@pytest.fixture
def town_hall(agent: User) -> Client:
    return sign_in(agent)


@pytest.fixture
def draft(commune: Organization, agent: User) -> Dossier:
    return DossierFactory.create(organization=commune, author=agent)


def urls(dossier: Dossier) -> list[str]:
    at = f"/demandes/{dossier.pk}/"
    return [at, f"{at}retirer/", *[f"{at}etape/{step}/" for step in range(1, 6)]]


def snapshot() -> list[Any]:
    return [list(Dossier.objects.order_by("pk").values()), Event.objects.count()]


class TestList:
    def test_it_offers_to_ask_for_each_commune_and_lists_what_was_asked(
        self, town_hall: Client, draft: Dossier
    ) -> None:
        text = said(page(town_hall, "/demandes/"))
        assert "Nouvelle demande pour Rochefort-en-Terre" in text
        assert draft.reference in text
        assert "Brouillon" in text

    def test_it_explains_when_the_account_has_no_commune(self, stranger: User) -> None:
        text = said(page(sign_in(stranger), "/demandes/"))
        assert "rattaché à aucune collectivité" in text

    def test_a_stranger_sees_nothing_of_others(self, stranger: User, draft: Dossier) -> None:
        assert draft.reference not in page(sign_in(stranger), "/demandes/")

    def test_ten_times_more_dossiers_cost_no_more_queries(
        self, town_hall: Client, agent: User, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        for _ in range(10):
            DossierFactory.create(author=agent)
        with django_assert_max_num_queries(10):
            page(town_hall, "/demandes/")


class TestNew:
    def test_it_says_the_verdict_and_what_to_prepare(
        self,
        town_hall: Client,
        commune: Organization,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        with django_assert_max_num_queries(12):
            text = said(page(town_hall, f"/demandes/nouvelle/?commune={commune.code}"))
        assert "3 500" in text
        assert "Ce qu’il faut préparer" in text
        assert not Dossier.objects.exists()

    def test_the_only_commune_of_the_account_is_the_default(self, town_hall: Client) -> None:
        assert "Rochefort-en-Terre" in page(town_hall, "/demandes/nouvelle/")

    @pytest.mark.parametrize("form", ["siren", "siret"])
    def test_a_siren_or_a_siret_designates_it_too(self, form: str, town_hall: Client, commune: Organization) -> None:
        from tests.factories.directory import siret  # noqa: PLC0415

        assert commune.siren
        code = commune.siren if form == "siren" else siret(commune.siren)
        assert "Rochefort-en-Terre" in page(town_hall, f"/demandes/nouvelle/?commune={code}")

    @pytest.mark.parametrize("code", ["99999", "zz", "%00", "123456789012345678"])
    def test_an_unknown_code_is_not_found(self, code: str, town_hall: Client) -> None:
        page(town_hall, f"/demandes/nouvelle/?commune={code}", 404)

    def test_a_repeated_post_opens_one_draft(self, town_hall: Client, commune: Organization) -> None:
        first, second = (town_hall.post("/demandes/nouvelle/", {"commune": commune.code}) for _ in range(2))
        assert first["Location"] == second["Location"]
        assert Dossier.objects.count() == 1

    def test_a_commune_above_the_threshold_is_told_so_and_gets_nothing(self, town_hall: Client) -> None:
        large = CommuneFactory.create(population=3500)
        assert "Commencer la demande" not in page(town_hall, f"/demandes/nouvelle/?commune={large.code}")
        response = town_hall.post("/demandes/nouvelle/", {"commune": large.code})
        assert response.status_code == 422
        assert "3 500" in said(response.content.decode())

    def test_an_open_dossier_is_linked_to_those_who_may_see_it_only(
        self, town_hall: Client, stranger: User, commune: Organization
    ) -> None:
        dossier = DossierFactory.create(organization=commune, sent=True)
        url = f"/demandes/nouvelle/?commune={commune.code}"
        assert str(dossier.pk) in page(town_hall, url)
        told = page(sign_in(stranger), url)
        assert "déjà transmise" in told
        assert str(dossier.pk) not in told
        assert dossier.reference not in told
        response = sign_in(stranger).post("/demandes/nouvelle/", {"commune": commune.code})
        assert response.status_code == 422
        assert dossier.reference not in response.content.decode()

    def test_somebody_of_several_communes_chooses(self, town_hall: Client, agent: User) -> None:
        MembershipFactory.create(user=agent, organization=CommuneFactory.create(name="Malansac"))
        text = page(town_hall, "/demandes/nouvelle/")
        assert "Malansac" in text
        assert "Commencer" not in text


class TestStep:
    @pytest.mark.parametrize("step", range(1, 6))
    def test_a_step_is_shown_in_few_queries_and_changes_nothing(
        self,
        step: int,
        town_hall: Client,
        draft: Dossier,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        for _ in range(10):
            MailboxRequestFactory.create(dossier=draft)
        before = snapshot()
        with django_assert_max_num_queries(15):
            text = page(town_hall, f"/demandes/{draft.pk}/etape/{step}/")
        assert f"Étape {step} sur 5" in text
        assert snapshot() == before

    @pytest.mark.parametrize("step", [0, 6, 99])
    def test_there_are_five_steps(self, step: int, town_hall: Client, draft: Dossier) -> None:
        page(town_hall, f"/demandes/{draft.pk}/etape/{step}/", 404)

    def test_what_is_wrong_is_saved_shown_again_and_explained(self, town_hall: Client, draft: Dossier) -> None:
        url = f"/demandes/{draft.pk}/etape/1/"
        response = town_hall.post(
            url,
            {
                "version": "1",
                "requester_given_name": "Zoé",
                "requester_family_name": "",
                "requester_function": "maire",
                "requester_email": "zoe(at)mairie",
                "requester_phone": "abc",
            },
        )
        html = response.content.decode()
        assert response.status_code == 422
        assert "Erreur :" in html.replace("\u00a0", " ").split("</title>")[0]
        assert 'role="alert"' in html
        for field in ("requester_family_name", "requester_email", "requester_phone"):
            assert f'href="#id_{field}"' in html
            assert f'aria-describedby="id_{field}-desc-error"' in html
            assert f'id="id_{field}-desc-error"' in html
        assert 'value="zoe(at)mairie"' in html
        draft.refresh_from_db()
        assert draft.requester_given_name == "Zoé"
        assert draft.requester_email == "zoe(at)mairie"
        assert 'value="2"' in html  # the next click is not stale

    def test_a_text_too_long_is_shown_again_whole(self, town_hall: Client, draft: Dossier) -> None:
        long = "x" * 51
        response = town_hall.post(
            f"/demandes/{draft.pk}/etape/1/", {"version": "1", "requester_given_name": long, "action": "quit"}
        )
        assert response.status_code == 422
        assert long in response.content.decode()

    @pytest.mark.parametrize("typed", ["dix", "-3", "1e9", "99999999999999999999", "١٠", "10,5"])
    def test_a_storage_that_is_not_a_number_is_shown_again(self, typed: str, town_hall: Client, draft: Dossier) -> None:
        response = town_hall.post(f"/demandes/{draft.pk}/etape/4/", {"version": "1", "storage_gb": typed})
        if typed == "١٠":  # ten, in Arabic digits, is a number
            assert response.status_code == 302
            return
        assert response.status_code == 422
        assert typed in response.content.decode()

    @pytest.mark.parametrize("version", ["", "abc", "-1", "9999999999999999", "²"])
    def test_a_wrong_version_is_a_conflict_not_an_error(self, version: str, town_hall: Client, draft: Dossier) -> None:
        response = town_hall.post(f"/demandes/{draft.pk}/etape/1/", {"version": version, "requester_given_name": "Zoé"})
        assert response.status_code == 409

    @pytest.mark.parametrize("text", ["\x00", "a\x00b"])
    def test_a_null_character_is_refused_with_a_sentence(self, text: str, town_hall: Client, draft: Dossier) -> None:
        response = town_hall.post(f"/demandes/{draft.pk}/etape/1/", {"version": "1", "requester_given_name": text})
        assert response.status_code == 422

    def test_leaving_saves_and_goes_to_the_dossier(self, town_hall: Client, draft: Dossier) -> None:
        to = follow(town_hall, f"/demandes/{draft.pk}/etape/1/", requester_given_name="Zoé", action="quit")
        assert to == f"/demandes/{draft.pk}/"
        draft.refresh_from_db()
        assert draft.requester_given_name == "Zoé"

    def test_previous_saves_and_goes_back(self, town_hall: Client, draft: Dossier) -> None:
        to = follow(town_hall, f"/demandes/{draft.pk}/etape/2/", family="new", name="x", action="previous")
        assert to == f"/demandes/{draft.pk}/etape/1/"
        assert draft.names.get().typed == "x"

    def test_a_proposed_name_is_taken_in_one_click(self, town_hall: Client, draft: Dossier) -> None:
        url = f"/demandes/{draft.pk}/etape/2/"
        html = page(town_hall, url)
        assert 'value="use-rochefort-en-terre.collectivite.fr"' in html
        follow(town_hall, url, action="use-mairie-rochefort-en-terre.collectivite.fr")
        assert draft.names.get().fqdn == "mairie-rochefort-en-terre.collectivite.fr"

    def test_a_conversion_is_shown(self, town_hall: Client, draft: Dossier) -> None:
        url = f"/demandes/{draft.pk}/etape/2/"
        follow(town_hall, url, family="collectivite", name="Rochefort en Terre", action="check")
        text = said(page(town_hall, url))
        assert "Nous proposons « rochefort-en-terre.collectivite.fr »" in text

    def test_a_doubled_click_is_no_conflict(self, town_hall: Client, draft: Dossier) -> None:
        data = {"version": "1", "storage_gb": "5"}
        answers = [town_hall.post(f"/demandes/{draft.pk}/etape/4/", data) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [302, 302]
        assert Event.objects.count() == 1

    def test_two_tabs_conflict_and_nothing_typed_is_lost(self, town_hall: Client, draft: Dossier, agent: User) -> None:
        url = f"/demandes/{draft.pk}/etape/4/"
        follow(town_hall, url, storage_gb="5")
        response = town_hall.post(url, {"version": "1", "storage_gb": "7", "technical_contact_name": "Dominique"})
        text = response.content.decode()
        assert response.status_code == 409
        for kept in ("Votre saisie", "Version enregistrée", "Dominique", 'value="7"', agent.get_full_name()):
            assert kept in text
        draft.refresh_from_db()
        assert draft.storage_gb == 5
        follow(town_hall, url, storage_gb="7", technical_contact_name="Dominique")
        draft.refresh_from_db()
        assert draft.storage_gb == 7

    @pytest.mark.parametrize(
        "trait", ["sent", "in_review", "second_approval", "approved", "rejected", "withdrawn", "expired", "revoked"]
    )
    @pytest.mark.parametrize("step", range(1, 6))
    def test_a_closed_state_keeps_its_values(
        self, step: int, trait: str, town_hall: Client, commune: Organization, agent: User
    ) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent, **{trait: True})
        before = snapshot()
        url = f"/demandes/{dossier.pk}/etape/{step}/"
        response = town_hall.post(url, {"version": "1", "requester_given_name": "Zoé", "storage_gb": "9", "name": "x"})
        assert response.status_code == 409
        assert snapshot() == before
        assert town_hall.get(url)["Location"] == f"/demandes/{dossier.pk}/"

    def test_links_to_a_problem_show_it_in_place(self, town_hall: Client, draft: Dossier) -> None:
        Dossier.objects.update(requester_phone="")
        assert f"/demandes/{draft.pk}/etape/1/?corriger=1#id_requester_phone" in page(
            town_hall, f"/demandes/{draft.pk}/etape/5/"
        )
        text = page(town_hall, f"/demandes/{draft.pk}/etape/1/?corriger=1")
        assert 'id="id_requester_phone-desc-error"' in text


class TestMailboxes:
    def rows(self, *people: str) -> dict[str, str]:
        data = {"rows": str(len(people))}
        for index, name in enumerate(people):
            data |= {
                f"mailboxes-{index}-kind": "personal",
                f"mailboxes-{index}-given_name": name,
                f"mailboxes-{index}-family_name": "Petit",
                f"mailboxes-{index}-recovery_email": "a@ailleurs.example",
                f"mailboxes-{index}-administrator": "on",
            }
        return data

    def test_rows_are_added_and_removed_by_buttons(self, town_hall: Client, draft: Dossier) -> None:
        url = f"/demandes/{draft.pk}/etape/3/"
        to = follow(town_hall, url, **self.rows("Zoé"), action="add-shared-mairie")
        assert to == f"{url}#boite-2"
        assert [row.local_part for row in draft.mailboxes.all()] == ["zoe.petit", "mairie"]
        follow(town_hall, url, **self.rows("Zoé", "Ada"), action="remove-0")
        assert [row.local_part for row in draft.mailboxes.all()] == ["ada.petit"]

    def test_an_added_row_stays_until_left_empty(self, town_hall: Client, draft: Dossier) -> None:
        url = f"/demandes/{draft.pk}/etape/3/"
        follow(town_hall, url, **self.rows("Zoé"), action="add-personal")
        assert draft.mailboxes.count() == 2
        data = self.rows("Zoé") | {"rows": "2", "mailboxes-1-kind": "personal"}
        assert follow(town_hall, url, **data) == f"/demandes/{draft.pk}/etape/4/"
        assert draft.mailboxes.count() == 1

    def test_a_doubled_add_adds_once(self, town_hall: Client, draft: Dossier) -> None:
        url = f"/demandes/{draft.pk}/etape/3/"
        data = self.rows("Zoé") | {"version": "1", "action": "add-shared"}
        assert [town_hall.post(url, data).status_code for _ in range(2)] == [302, 302]
        assert draft.mailboxes.count() == 2

    def test_an_error_of_a_row_is_linked_to_its_field(self, town_hall: Client, draft: Dossier) -> None:
        data = self.rows("Zoé", "Zoé") | {"version": "1", "mailboxes-1-recovery_email": "nulle part"}
        response = town_hall.post(f"/demandes/{draft.pk}/etape/3/", data)
        html = response.content.decode()
        assert response.status_code == 422
        for name in ("mailboxes-1-recovery_email", "mailboxes-1-local_part"):
            assert f'href="#id_{name}"' in html
            assert f'id="id_{name}"' in html
        assert 'value="nulle part"' in html
        assert "zoe.petit2" in html

    def test_the_identity_of_a_row_of_another_dossier_is_not_taken_over(
        self, town_hall: Client, draft: Dossier
    ) -> None:
        theirs = MailboxRequestFactory.create()
        data = self.rows("Zoé") | {"mailboxes-0-id": str(theirs.pk)}
        follow(town_hall, f"/demandes/{draft.pk}/etape/3/", **data)
        theirs.refresh_from_db()
        assert theirs.dossier != draft
        assert draft.mailboxes.get().pk != theirs.pk

    @pytest.mark.parametrize("rows", ["", "-1", "abc", "99999999", "100000"])
    def test_a_wrong_count_of_rows_breaks_nothing(self, rows: str, town_hall: Client, draft: Dossier) -> None:
        response = town_hall.post(f"/demandes/{draft.pk}/etape/3/", {"version": "1", "rows": rows})
        assert response.status_code == 422

    def test_the_list_starts_with_the_requesters_own_box(self, town_hall: Client, agent: User) -> None:
        dossier = DossierFactory.create(author=agent, contents=False)
        text = page(town_hall, f"/demandes/{dossier.pk}/etape/3/")
        assert 'value="camille@ailleurs.example"' in text
        assert not dossier.mailboxes.exists()


class TestSend:
    def test_what_is_missing_is_listed_with_its_links_and_nothing_is_sent(
        self, town_hall: Client, draft: Dossier, anct: Operator
    ) -> None:
        Dossier.objects.update(storage_gb=None, accepts_terms=False)
        response = town_hall.post(f"/demandes/{draft.pk}/etape/5/", {"version": "1", "action": "submit"})
        html = response.content.decode()
        assert response.status_code == 422
        assert f"/demandes/{draft.pk}/etape/4/?corriger=1#id_storage_gb" in html
        assert 'href="#id_accepts_terms"' in html
        draft.refresh_from_db()
        assert draft.status == S.DRAFT

    def test_sending_twice_sends_once(self, town_hall: Client, draft: Dossier, anct: Operator) -> None:
        declared = {"declares_exact": "on", "declares_mandate": "on", "accepts_terms": "on"}
        data = {"version": "1", "action": "submit", **declared}
        answers = [town_hall.post(f"/demandes/{draft.pk}/etape/5/", data) for _ in range(2)]
        assert [answer["Location"] for answer in answers] == [f"/demandes/{draft.pk}/"] * 2
        assert Event.objects.filter(kind="submit").count() == 1

    def test_a_draft_without_mandate_says_how_to_get_one(
        self, stranger: User, commune: Organization, anct: Operator
    ) -> None:
        dossier = DossierFactory.create(organization=commune, author=stranger)
        declared = {"declares_exact": "on", "declares_mandate": "on", "accepts_terms": "on"}
        url = f"/demandes/{dossier.pk}/etape/5/"
        response = sign_in(stranger).post(url, {"version": "1", "action": "submit", **declared})
        assert response.status_code == 422
        assert "ProConnect" in response.content.decode()


class TestCorrections:
    @pytest.fixture
    def back(self, commune: Organization, agent: User, instructor: User, anct: Operator) -> Dossier:
        dossier = DossierFactory.create(
            organization=commune, author=agent, needs_changes=True, assignee=instructor, operator=anct
        )
        RemarkFactory.create(dossier=dossier)
        return dossier

    def test_the_page_says_every_reason_text_and_field(self, town_hall: Client, back: Dossier) -> None:
        html = page(town_hall, f"/demandes/{back.pk}/")
        assert "La liste des boîtes est à corriger" in html
        assert "Il manque l’accueil." in html
        assert f'href="/demandes/{back.pk}/etape/3/#id_mailboxes"' in html
        assert "C’est à vous d’agir" in html

    def test_what_is_not_flagged_is_closed(self, town_hall: Client, back: Dossier) -> None:
        assert "disabled" in page(town_hall, f"/demandes/{back.pk}/etape/4/")
        before = snapshot()
        response = town_hall.post(f"/demandes/{back.pk}/etape/4/", {"version": "1", "storage_gb": "3"})
        assert response.status_code == 403
        assert "stockage" in response.content.decode()
        assert snapshot() == before

    def test_a_closed_step_sent_as_the_browser_does_goes_on(self, town_hall: Client, back: Dossier) -> None:
        for step in (1, 2, 4):
            assert follow(town_hall, f"/demandes/{back.pk}/etape/{step}/").endswith(f"/etape/{step + 1}/")
        assert not Event.objects.exists()

    def test_the_flagged_list_is_corrected_and_sent_back(self, town_hall: Client, back: Dossier) -> None:
        url = f"/demandes/{back.pk}/etape/3/"
        row = back.mailboxes.get()
        data = {
            "rows": "1",
            "mailboxes-0-kind": "personal",
            "mailboxes-0-given_name": row.given_name,
            "mailboxes-0-family_name": row.family_name,
            "mailboxes-0-local_part": row.local_part,
            "mailboxes-0-recovery_email": row.recovery_email,
            "mailboxes-0-administrator": "on",
        }
        follow(town_hall, url, **data, action="add-shared-accueil")
        declared = {"declares_exact": "on", "declares_mandate": "on", "accepts_terms": "on"}
        follow(town_hall, f"/demandes/{back.pk}/etape/5/", **declared, action="submit")
        back.refresh_from_db()
        assert back.status == S.IN_REVIEW
        assert set(back.mailboxes.values_list("local_part", flat=True)) == {row.local_part, "accueil"}

    def test_an_answer_may_be_maintained_with_a_reason(self, town_hall: Client, back: Dossier) -> None:
        url = f"/demandes/{back.pk}/etape/5/"
        declared = {"declares_exact": "on", "declares_mandate": "on", "accepts_terms": "on"}
        response = town_hall.post(url, {"version": "1", "action": "submit", **declared})
        name = f"answer-{back.remarks.get().pk}"
        assert response.status_code == 422
        assert f'href="#id_{name}"' in response.content.decode()
        follow(town_hall, url, **declared, **{name: "Nous n’avons pas d’accueil."}, action="submit")
        back.refresh_from_db()
        assert back.status == S.IN_REVIEW


class TestDetail:
    @pytest.mark.parametrize(
        "trait", ["sent", "in_review", "needs_changes", "second_approval", "rejected", "withdrawn", "expired"]
    )
    def test_each_state_tells_where_it_is_in_few_queries(
        self,
        trait: str,
        town_hall: Client,
        commune: Organization,
        agent: User,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent, **{trait: True})
        with django_assert_max_num_queries(14):
            text = page(town_hall, f"/demandes/{dossier.pk}/")
        assert dossier.get_status_display() in text

    def test_a_refusal_shows_its_reasons_its_words_and_the_appeal(
        self, town_hall: Client, commune: Organization, agent: User, instructor: User, anct: Operator
    ) -> None:
        from onboarding.intake import workflow  # noqa: PLC0415

        dossier = DossierFactory.create(
            organization=commune, author=agent, in_review=True, assignee=instructor, operator=anct
        )
        workflow.reject(dossier, ["not_public_use"], by=instructor, version=1, message="Ce n’est pas <permis>.")
        html = page(town_hall, f"/demandes/{dossier.pk}/")
        for told in ("Usage étranger au service public", "Ce n’est pas &lt;permis&gt;.", "contester", "ANCT"):
            assert told in html
        assert instructor.get_full_name() not in html


class TestWithdraw:
    def test_it_asks_first_and_withdraws_once(self, town_hall: Client, draft: Dossier) -> None:
        url = f"/demandes/{draft.pk}/retirer/"
        seen = version(town_hall, url)
        draft.refresh_from_db()
        assert draft.status == S.DRAFT
        answers = [town_hall.post(url, {"version": seen}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [302, 302]
        draft.refresh_from_db()
        assert draft.status == S.WITHDRAWN
        assert Event.objects.count() == 1

    def test_a_stale_page_says_what_happened(self, town_hall: Client, draft: Dossier) -> None:
        Dossier.objects.update(version=2)
        response = town_hall.post(f"/demandes/{draft.pk}/retirer/", {"version": "1"})
        assert response.status_code == 409
        assert "Rien n’a été changé" in response.content.decode()

    def test_a_closed_dossier_stays_as_it_is(self, town_hall: Client, commune: Organization, agent: User) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent, rejected=True)
        assert town_hall.post(f"/demandes/{dossier.pk}/retirer/", {"version": "1"}).status_code == 409


class TestDoors:
    def test_a_stranger_finds_nothing(self, stranger: User, draft: Dossier) -> None:
        client = sign_in(stranger)
        for url in urls(draft):
            assert client.get(url).status_code == 404
            if url != urls(draft)[0]:
                assert client.post(url, {"version": "1"}).status_code == 404

    def test_nobody_enters_without_signing_in(self, draft: Dossier) -> None:
        for url in ["/demandes/", "/demandes/nouvelle/", *urls(draft)]:
            response = Client().get(url)
            assert response.status_code == 302
            assert "/demandes/" not in response["Location"].split("?")[0]

    def test_a_reader_of_the_commune_reads(self, draft: Dossier, commune: Organization) -> None:
        client = sign_in(MembershipFactory.create(organization=commune, role=Membership.Role.READER).user)
        assert client.get(f"/demandes/{draft.pk}/").status_code == 200
        for url in urls(draft)[1:]:
            assert client.post(url, {"version": "1"}).status_code == 403
            assert client.get(url).status_code == 403

    def test_a_colleague_carries_on(self, draft: Dossier, commune: Organization) -> None:
        client = sign_in(MembershipFactory.create(organization=commune).user)
        follow(client, f"/demandes/{draft.pk}/etape/4/", storage_gb="4")
        draft.refresh_from_db()
        assert draft.storage_gb == 4

    def test_an_operator_sees_no_draft_and_fills_no_form(
        self, instructor: User, draft: Dossier, commune: Organization
    ) -> None:
        client = sign_in(instructor)
        assert client.get(f"/demandes/{draft.pk}/").status_code == 404
        sent = DossierFactory.create(organization=CommuneFactory.create(), sent=True)
        assert client.get(f"/demandes/{sent.pk}/").status_code == 200
        for url in urls(sent)[1:]:
            assert client.post(url, {"version": "1"}).status_code == 403

    def test_looking_writes_nothing(self, town_hall: Client, draft: Dossier) -> None:
        before = snapshot()
        for url in ["/demandes/", "/demandes/nouvelle/", *urls(draft)]:
            assert town_hall.get(url).status_code == 200
            assert town_hall.head(url).status_code == 200
        assert snapshot() == before

    def test_a_post_needs_its_token(self, agent: User, draft: Dossier) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(agent, backend="suite.accounts.oidc.ProConnectBackend")
        for url in urls(draft)[1:]:
            assert client.post(url, {"version": "1"}).status_code == 403

    def test_an_operator_elsewhere_finds_nothing(self, draft: Dossier) -> None:
        other = staff(OperatorFactory.create(departments=["01"]), OperatorRole.Role.LEAD)
        assert sign_in(other).get(f"/demandes/{draft.pk}/").status_code == 404
