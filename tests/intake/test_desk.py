"""The operators' desk: what is seen, by whom, and what each decision answers."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from onboarding.intake import checklist
from onboarding.intake.models import Dossier
from suite.accounts.models import OperatorRole, User
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.factories.accounts import MembershipFactory
from tests.factories.directory import OperatorFactory
from tests.factories.intake import DossierFactory, NameChoiceFactory
from tests.intake.browsing import decide, follow, page, said, sign_in
from tests.intake.conftest import staff

pytestmark = pytest.mark.django_db
S = Dossier.Status
VERBS = ("prendre", "rendre", "confier", "accepter", "refuser", "demander-des-corrections")


@pytest.fixture
def desk(instructor: User) -> Client:
    return sign_in(instructor)


@pytest.fixture
def waiting(commune: Organization, agent: User, anct: Operator) -> Dossier:
    return DossierFactory.create(organization=commune, author=agent, operator=anct, sent=True)


@pytest.fixture
def mine(commune: Organization, agent: User, anct: Operator, instructor: User) -> Dossier:
    return DossierFactory.create(organization=commune, author=agent, operator=anct, in_review=True, assignee=instructor)


class TestQueue:
    def test_the_most_overdue_comes_first(self, desk: Client) -> None:
        now = timezone.now()
        late, new = (DossierFactory.create(sent=True, due_at=now - timedelta(days=days)) for days in (9, 1))
        html = page(desk, "/instruction/")
        assert html.index(late.reference) < html.index(new.reference)

    def test_a_draft_is_never_there(self, desk: Client) -> None:
        draft = DossierFactory.create()
        for query in ("", "?statut=draft", f"?q={draft.reference}"):
            assert f">{draft.reference}<" not in page(desk, f"/instruction/{query}")

    def test_decided_dossiers_wait_behind_their_filter(self, desk: Client) -> None:
        done = DossierFactory.create(rejected=True)
        assert done.reference not in page(desk, "/instruction/")
        assert done.reference in page(desk, "/instruction/?statut=rejected")

    @pytest.mark.parametrize(
        "text",
        [
            "rochefort",
            "Rochefort-en-Terre",
            "56196",
            "rochefort-en-terre.collectivite.fr",
            "Dupont",
            "{siren}",
            "{ref}",
        ],
    )
    def test_text_finds_by_name_code_domain_and_person(self, text: str, desk: Client, waiting: Dossier) -> None:
        other = DossierFactory.create(sent=True, requester_family_name="Martin")
        typed = text.format(siren=waiting.organization.siren, ref=waiting.reference)
        html = desk.get("/instruction/", {"q": typed}).content.decode()
        assert waiting.reference in html
        assert other.reference not in html

    def test_filters_narrow_and_add_up(self, desk: Client, waiting: Dossier, instructor: User, anct: Operator) -> None:
        other = DossierFactory.create(in_review=True, assignee=instructor, operator=anct)
        for query, found, absent in (
            ("?statut=submitted", waiting, other),
            ("?attribution=moi", other, waiting),
            ("?attribution=personne", waiting, other),
            ("?departement=56", waiting, other),
            ("?departement=01&statut=in_review", other, waiting),
        ):
            html = page(desk, f"/instruction/{query}")
            assert found.reference in html
            assert absent.reference not in html

    @pytest.mark.parametrize(
        "query",
        [
            "?statut=unknown",
            "?departement=zzzz",
            "?attribution=x",
            "?page=abc",
            "?page=99999",
            "?sort_by=author__password",
            "?q=%00",
            "?q=%25",
            "?unknown=1",
        ],
    )
    def test_what_is_unknown_is_ignored(self, query: str, desk: Client, waiting: Dossier) -> None:
        text = page(desk, f"/instruction/{query}")
        assert "Demandes à instruire" in text
        if "q=%25" not in query:
            assert waiting.reference in text

    def test_pages_hold_25_and_cost_the_same(
        self, desk: Client, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        for _ in range(27):
            DossierFactory.create(sent=True)
        with django_assert_max_num_queries(14):
            first = page(desk, "/instruction/")
        assert first.count('href="/instruction/') >= 25
        assert "suite=" in first
        assert "27 demandes" in said(first)
        assert len(set(Dossier.objects.values_list("reference", flat=True)) - set(_references(first))) == 2

    def test_each_sees_its_territory(self, waiting: Dossier) -> None:
        here = staff(OperatorFactory.create(departments=["56"]), OperatorRole.Role.READER)
        elsewhere = staff(OperatorFactory.create(departments=["01"]), OperatorRole.Role.LEAD)
        assert waiting.reference in page(sign_in(here), "/instruction/")
        assert waiting.reference not in page(sign_in(elsewhere), "/instruction/")


def _references(html: str) -> list[str]:
    return [reference for reference in Dossier.objects.values_list("reference", flat=True) if f">{reference}<" in html]


class TestDetail:
    @pytest.mark.parametrize(
        "trait", ["sent", "in_review", "second_approval", "needs_changes", "rejected", "withdrawn"]
    )
    def test_it_shows_the_request_and_the_evidence_in_few_queries(  # noqa: PLR0917 - the people
        self,
        trait: str,
        desk: Client,
        agent: User,
        commune: Organization,
        anct: Operator,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent, operator=anct, **{trait: True})
        checklist.refresh(dossier)
        with django_assert_max_num_queries(15):
            text = said(page(desk, f"/instruction/{dossier.pk}/"))
        assert "rochefort-en-terre.collectivite.fr" in text
        assert ("3 500" in text) == (dossier.status in Dossier.OPEN)

    def test_only_legal_actions_are_offered(self, desk: Client, waiting: Dossier, mine_elsewhere: Dossier) -> None:
        html = page(desk, f"/instruction/{waiting.pk}/")
        assert "/prendre/" in html
        for verb in ("accepter", "refuser", "rendre", "confier", "demander-des-corrections"):
            assert f"/{verb}/" not in html
        html = page(desk, f"/instruction/{mine_elsewhere.pk}/")
        assert "/prendre/" not in html
        for verb in ("accepter", "refuser", "rendre", "confier", "demander-des-corrections"):
            assert f"/{verb}/" in html

    @pytest.fixture
    def mine_elsewhere(self, instructor: User, anct: Operator) -> Dossier:
        return DossierFactory.create(in_review=True, assignee=instructor, operator=anct)

    def test_a_hold_of_another_on_the_name_is_shown_even_when_only_alike(self, desk: Client, waiting: Dossier) -> None:
        rival = DossierFactory.create(sent=True, contents=False)
        NameChoiceFactory.create(dossier=rival, typed="rochefortenterre.collectivite.fr")
        checklist.refresh(waiting)
        text = page(desk, f"/instruction/{waiting.pk}/")
        assert rival.reference in text
        assert "rochefortenterre.collectivite.fr" in text

    def test_an_earlier_dossier_of_the_commune_is_shown(self, desk: Client, waiting: Dossier) -> None:
        earlier = DossierFactory.create(organization=waiting.organization, rejected=True)
        checklist.refresh(waiting)
        assert earlier.reference in page(desk, f"/instruction/{waiting.pk}/")

    def test_looking_writes_nothing(self, desk: Client, mine: Dossier) -> None:
        before = list(Dossier.objects.values())
        for path in ("", "accepter/", "refuser/", "demander-des-corrections/", "confier/"):
            assert desk.get(f"/instruction/{mine.pk}/{path}").status_code == 200
        for path in ("prendre/", "rendre/"):
            assert desk.get(f"/instruction/{mine.pk}/{path}").status_code == 405
        assert list(Dossier.objects.values()) == before
        assert not Event.objects.exists()


class TestTake:
    def test_taking_twice_takes_once(self, desk: Client, waiting: Dossier, instructor: User) -> None:
        url = f"/instruction/{waiting.pk}/prendre/"
        answers = [desk.post(url, {"version": "1"}) for _ in range(2)]
        assert [answer["Location"] for answer in answers] == [f"/instruction/{waiting.pk}/"] * 2
        waiting.refresh_from_db()
        assert waiting.assignee == instructor
        assert Event.objects.count() == 1

    def test_who_comes_second_is_told_who_has_it(self, desk: Client, waiting: Dossier, lead: User) -> None:
        other = sign_in(lead)
        other.post(f"/instruction/{waiting.pk}/prendre/", {"version": "1"})
        response = desk.post(f"/instruction/{waiting.pk}/prendre/", {"version": "1"})
        assert response.status_code == 409
        assert f"instruite par {lead.get_full_name()}" in said(response.content.decode())
        waiting.refresh_from_db()
        assert waiting.assignee == lead

    def test_the_operator_of_its_own_commune_leaves_it_to_a_colleague(
        self, desk: Client, waiting: Dossier, instructor: User
    ) -> None:
        MembershipFactory.create(user=instructor, organization=waiting.organization)
        assert "un collègue doit instruire" in page(desk, f"/instruction/{waiting.pk}/")
        response = desk.post(f"/instruction/{waiting.pk}/prendre/", {"version": "1"})
        assert response.status_code == 403
        assert "un collègue doit instruire" in response.content.decode()


class TestRelease:
    def test_releasing_twice_releases_once(self, desk: Client, mine: Dossier) -> None:
        answers = [desk.post(f"/instruction/{mine.pk}/rendre/", {"version": "1"}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [302, 302]
        mine.refresh_from_db()
        assert mine.assignee is None
        assert Event.objects.count() == 1


class TestAssign:
    def test_a_colleague_receives_it(self, desk: Client, mine: Dossier, anct: Operator) -> None:
        colleague = staff(anct, OperatorRole.Role.INSTRUCTOR)
        reader = staff(anct, OperatorRole.Role.READER)
        url = f"/instruction/{mine.pk}/confier/"
        html = page(desk, url)
        assert str(colleague.pk) in html
        assert str(reader.pk) not in html
        follow(desk, url, assignee=str(colleague.pk))
        mine.refresh_from_db()
        assert mine.assignee == colleague

    @pytest.mark.parametrize("chosen", ["", "x", "reader", "stranger"])
    def test_nobody_else_does(self, chosen: str, desk: Client, mine: Dossier, anct: Operator, stranger: User) -> None:
        people = {"reader": str(staff(anct, OperatorRole.Role.READER).pk), "stranger": str(stranger.pk)}
        response = desk.post(
            f"/instruction/{mine.pk}/confier/", {"version": "1", "assignee": people.get(chosen, chosen)}
        )
        assert response.status_code == 422


class TestApprove:
    def test_accepting_twice_accepts_once(self, desk: Client, mine: Dossier) -> None:
        url = f"/instruction/{mine.pk}/accepter/"
        answers = [decide(desk, url, {"version": "1", "rank": "0"}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [302, 302]
        mine.refresh_from_db()
        assert mine.status == S.APPROVED
        assert Event.objects.filter(kind="approve").count() == 1

    def test_both_sides_then_see_it_being_built(
        self, desk: Client, mine: Dossier, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        decide(desk, f"/instruction/{mine.pk}/accepter/", {"version": "1", "rank": "0"})
        town_hall = sign_in(mine.author)
        for client, url in ((desk, f"/instruction/{mine.pk}/"), (town_hall, f"/demandes/{mine.pk}/")):
            with django_assert_max_num_queries(15):
                html = page(client, url)
            assert "Nom de domaine" in html
            assert "Acceptée" in html

    def test_an_existing_domain_asks_for_its_proof(self, desk: Client, mine: Dossier) -> None:
        mine.names.update(fqdn="rochefort-exemple.fr")
        Dossier.objects.update(family="existing", dns_manager="commune", mail_in_use=False)
        url = f"/instruction/{mine.pk}/accepter/"
        response = desk.post(url, {"version": "1", "rank": "0", "check": "oui"})
        html = response.content.decode()
        assert response.status_code == 422
        assert ">oui</textarea>" in html.replace("\n", "")
        assert 'href="#id_check"' in html
        seen = {"version": "1", "rank": "0", "check": "Contrat du bureau d’enregistrement vu le 3 novembre."}
        assert decide(desk, url, seen).status_code == 302
        mine.refresh_from_db()
        assert mine.status == S.APPROVED

    def test_a_sensitive_one_is_proposed_not_accepted(self, desk: Client, mine: Dossier) -> None:
        Dossier.objects.update(storage_gb=21, allocation_reason="Archives.")
        url = f"/instruction/{mine.pk}/accepter/"
        html = page(desk, url)
        assert "Décision à deux personnes" in html
        assert f"/instruction/{mine.pk}/proposer/" in html
        response = desk.post(url, {"version": "1", "rank": "0", "derogation": "Je décide."})
        assert response.status_code == 422
        assert "se décide à deux" in response.content.decode()
        mine.refresh_from_db()
        assert mine.status == S.IN_REVIEW

    @pytest.mark.parametrize("rank", ["", "1", "9", "x"])
    def test_a_name_not_offered_is_refused(self, rank: str, desk: Client, mine: Dossier) -> None:
        response = desk.post(f"/instruction/{mine.pk}/accepter/", {"version": "1", "rank": rank})
        assert response.status_code == 422
        mine.refresh_from_db()
        assert mine.status == S.IN_REVIEW

    def test_a_stale_page_says_what_happened(self, desk: Client, mine: Dossier) -> None:
        Dossier.objects.update(version=2)
        response = desk.post(f"/instruction/{mine.pk}/accepter/", {"version": "1", "rank": "0"})
        assert response.status_code == 409
        assert "Rien n’a été changé" in response.content.decode()


class TestReject:
    def test_a_refusal_without_words_is_shown_again(self, desk: Client, mine: Dossier) -> None:
        response = desk.post(
            f"/instruction/{mine.pk}/refuser/", {"version": "1", "reasons": ["duplicate"], "message": " "}
        )
        html = response.content.decode()
        assert response.status_code == 422
        assert "Erreur :" in html.replace("\u00a0", " ").split("</title>")[0]
        assert 'href="#id_message"' in html
        assert "checked" in html

    def test_a_refusal_is_told_once(self, desk: Client, mine: Dossier) -> None:
        data = {"version": "1", "reasons": ["name_refused", "other"], "message": "Ce nom est celui d’un parc."}
        answers = [decide(desk, f"/instruction/{mine.pk}/refuser/", data) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [302, 302]
        assert Event.objects.get().payload["reasons"] == ["name_refused", "other"]

    @pytest.mark.parametrize("reasons", [[], ["unknown"], ["mailbox_list"]])
    def test_a_reason_is_one_of_the_list(self, reasons: list[str], desk: Client, mine: Dossier) -> None:
        response = desk.post(
            f"/instruction/{mine.pk}/refuser/", {"version": "1", "reasons": reasons, "message": "Parce que."}
        )
        assert response.status_code == 422
        assert "Parce que." in response.content.decode()

    def test_words_written_for_a_dossier_that_moved_are_shown_again(
        self, desk: Client, mine: Dossier, lead: User
    ) -> None:
        data = {"version": "1", "reasons": ["other"], "message": "Une longue explication."}
        refused = data | {"message": "Non, et voici pourquoi."}
        decide(sign_in(lead), f"/instruction/{mine.pk}/refuser/", refused)
        response = desk.post(f"/instruction/{mine.pk}/refuser/", data)
        html = response.content.decode()
        assert response.status_code == 409
        assert "Une longue explication." in html
        assert "Refusée" in html


class TestRequestChanges:
    def test_a_reason_opens_its_own_fields(self, desk: Client, mine: Dossier) -> None:
        url = f"/instruction/{mine.pk}/demander-des-corrections/"
        typed = {"reasons": ["name_taken", "mailbox_list"], "text-name_taken": "Proposez un autre nom."}
        assert decide(desk, url, {"version": "1", **typed}).status_code == 302
        opened = {remark.reason: (remark.fields, remark.text) for remark in mine.remarks.all()}
        assert opened == {
            "name_taken": (["name", "alternatives"], "Proposez un autre nom."),
            "mailbox_list": (["mailboxes"], ""),
        }

    def test_each_reason_has_its_own_fields_and_words(self, desk: Client, mine: Dossier) -> None:
        url = f"/instruction/{mine.pk}/demander-des-corrections/"
        typed = {
            "reasons": ["name_taken", "other"],
            "fields-name_taken": ["name"],
            "text-name_taken": "Ce nom est pris depuis hier.",
            "fields-other": ["storage", "contacts"],
            "text-other": "Voir avec nous.",
            "text-mailbox_list": "Un motif qui n’est pas choisi ne dit rien.",
            "message": "Merci de votre patience.",
        }
        assert decide(desk, url, {"version": "1", **typed}).status_code == 302
        said_of = {remark.reason: (set(remark.fields), remark.text) for remark in mine.remarks.all()}
        assert said_of == {
            "name_taken": ({"name"}, "Ce nom est pris depuis hier."),
            "other": ({"storage", "contacts"}, "Voir avec nous."),
        }
        notice = Notice.objects.get(kind="dossier_changes_requested")
        assert "Ce nom est pris depuis hier." in notice.body_text
        assert "Merci de votre patience." in notice.body_text

    @pytest.mark.parametrize(
        ("data", "field"),
        [
            ({}, "reasons"),
            ({"reasons": ["other"]}, "text-other"),
            ({"reasons": ["other"], "text-other": "Quoi ?"}, "fields-other"),
            ({"reasons": ["name_taken"], "fields-name_taken": ["nothing"]}, "fields-name_taken"),
        ],
    )
    def test_what_is_not_precise_is_shown_again(
        self, data: dict[str, Any], field: str, desk: Client, mine: Dossier
    ) -> None:
        response = desk.post(f"/instruction/{mine.pk}/demander-des-corrections/", {"version": "1", **data})
        html = response.content.decode()
        assert response.status_code == 422
        assert f'href="#id_{field}"' in html
        assert f'id="id_{field}"' in html


class TestDoors:
    @pytest.mark.parametrize("verb", VERBS)
    def test_a_reader_reads_and_decides_nothing(self, verb: str, mine: Dossier, anct: Operator) -> None:
        client = sign_in(staff(anct, OperatorRole.Role.READER))
        page(client, f"/instruction/{mine.pk}/")
        response = client.post(f"/instruction/{mine.pk}/{verb}/", {"version": "1", "rank": "0"})
        assert response.status_code == 403
        mine.refresh_from_db()
        assert mine.version == 1

    @pytest.mark.parametrize("verb", VERBS)
    def test_an_operator_elsewhere_finds_nothing(self, verb: str, mine: Dossier) -> None:
        client = sign_in(staff(OperatorFactory.create(departments=["01"]), OperatorRole.Role.LEAD))
        page(client, f"/instruction/{mine.pk}/", 404)
        assert client.post(f"/instruction/{mine.pk}/{verb}/", {"version": "1"}).status_code == 404

    def test_people_of_communes_are_not_let_in(self, mine: Dossier, agent: User) -> None:
        client = sign_in(agent)
        page(client, "/instruction/", 403)
        page(client, f"/instruction/{mine.pk}/", 403)
        for verb in VERBS:
            assert client.post(f"/instruction/{mine.pk}/{verb}/", {"version": "1"}).status_code == 403

    def test_nobody_enters_without_signing_in(self, mine: Dossier) -> None:
        for url in ("/instruction/", f"/instruction/{mine.pk}/", *(f"/instruction/{mine.pk}/{v}/" for v in VERBS)):
            response = Client().get(url)
            assert response.status_code == 302
            assert not response["Location"].startswith("/instruction/")

    def test_another_instructor_may_not_decide(self, mine: Dossier, anct: Operator) -> None:
        client = sign_in(staff(anct, OperatorRole.Role.INSTRUCTOR))
        for verb in ("accepter", "refuser", "rendre", "demander-des-corrections"):
            data = {"version": "1", "rank": "0", "reasons": ["other"], "message": "x", "text": "x", "fields_": ["name"]}
            if verb == "demander-des-corrections":
                data["reasons"] = ["name_taken"]
            assert client.post(f"/instruction/{mine.pk}/{verb}/", data).status_code == 403

    def test_a_draft_is_not_found(self, desk: Client) -> None:
        page(desk, f"/instruction/{DossierFactory.create().pk}/", 404)
