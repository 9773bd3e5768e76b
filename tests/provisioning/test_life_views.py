"""The pages of a suite in service: who may what, what is typed comes back, at most fifteen queries a page."""

import io
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from onboarding.provisioning import changes, engine, exporting
from onboarding.provisioning.change_models import Export, MoreRequest
from onboarding.provisioning.closing_workflow import open_closure, waive_copy
from onboarding.provisioning.closure_models import Closure
from onboarding.provisioning.models import Deployment, Resource, Step
from onboarding.provisioning.workflow import MailboxPlan
from suite.accounts.models import User
from suite.catalog.models import GB
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.factories.mandates import MandateProofFactory
from tests.provisioning.living import box, client_of, lead, live, manager, there

pytestmark = pytest.mark.django_db
ROW = (
    "kind",
    "given_name",
    "family_name",
    "function",
    "local_part",
    "display_name",
    "recovery_email",
    "targets",
    "quota",
)


@pytest.fixture(autouse=True)
def _own_folder(settings: Settings, tmp_path: Path) -> None:
    settings.EXPORTS_DIR = tmp_path / "exports"


def at(name: str, *args: object) -> str:
    return reverse(f"provisioning:{name}", args=args)


def rows(*typed: dict[str, str], action: str = "save") -> dict[str, str]:
    data = {"form-TOTAL_FORMS": str(len(typed)), "form-INITIAL_FORMS": "0", "action": action}
    for number, row in enumerate(typed):
        data |= {f"form-{number}-{name}": row.get(name, "") for name in ROW}
    return data


def plain_client(person: User) -> Client:
    """Return the browser of somebody who gave no second factor."""
    client = Client()
    client.force_login(person)
    return client


def proved(suite: Deployment) -> User:
    """Return a manager with the strongest mandate."""
    person = manager(suite)
    MandateProofFactory.create(user=person, organization=suite.organization, route="letter_code")
    return person


class TestMailboxes:
    def test_shows_what_was_seen_and_when(self, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
        suite = live(mailboxes=tuple(MailboxPlan(f"b{n}", f"B {n}", "shared") for n in range(40)))
        for person in (manager(suite), lead(suite), MembershipFactory.create(organization=suite.organization).user):
            client = client_of(person)
            with django_assert_max_num_queries(15):
                page = client.get(at("mailboxes", suite.pk))
        text = page.content.decode()
        assert f"b39@{suite.domain}" in text
        assert "Ouverte" in text
        assert "Vu le" in text
        assert "Ajouter des boîtes" not in text  # a requester reads

    def test_unknown_is_said_and_never_taken_for_open(self) -> None:
        suite = live()
        Resource.objects.filter(deployment=suite, kind="mailbox").update(unknown_since=timezone.now())
        text = client_of(manager(suite)).get(at("mailboxes", suite.pk)).content.decode()
        assert "Inconnu pour l’instant" in text
        assert "Ouverte" not in text


class TestAdd:
    def test_the_address_is_shown_before_anything_is_created(self) -> None:
        suite = live()
        client, address = client_of(manager(suite)), at("add_mailboxes", suite.pk)
        person = {"kind": "personal", "given_name": "Zoé", "family_name": "D’Œuilly", "function": "Urbanisme"}
        page = client.post(address, rows(person))
        assert page.status_code == 200
        assert f"zoe.d-oeuilly@{suite.domain}" in page.content.decode()
        assert len(there(suite)) == 2
        page = client.post(address, rows({**person, "local_part": "zoe.d-oeuilly", "display_name": "Zoé D’Œuilly"}))
        assert page.status_code == 302
        engine.advance(suite.pk)
        assert there(suite)["zoe.d-oeuilly"].display_name == "Zoé D’Œuilly"

    def test_two_people_of_the_same_name_get_two_addresses_and_two_names(self) -> None:
        suite = live()
        twin = {"kind": "personal", "given_name": "Jeanne", "family_name": "Martin", "function": "État civil"}
        page = client_of(manager(suite)).post(at("add_mailboxes", suite.pk), rows(twin, twin, action="preview"))
        text = page.content.decode()
        for words in ("jeanne.martin2@", "jeanne.martin3@", "Jeanne Martin (État civil)", "Jeanne Martin 2"):
            assert words in text

    def test_what_is_wrong_is_said_beside_what_was_typed(self) -> None:
        suite = live()
        wrong = {"kind": "shared", "local_part": "Postmaster", "display_name": "Courrier du maire"}
        page = client_of(manager(suite)).post(at("add_mailboxes", suite.pk), rows(wrong))
        text = page.content.decode()
        assert page.status_code == 422
        assert 'role="alert"' in text
        assert 'href="#id_form-0-local_part"' in text
        assert "usage technique" in text
        assert "Courrier du maire" in text

    @pytest.mark.slow
    @pytest.mark.parametrize("action", ["preview", "save", "row", "", "autre"])
    @pytest.mark.parametrize("total", ["", "-1", "x", "9999", "0"])
    def test_a_form_that_was_tampered_with_breaks_nothing(self, action: str, total: str) -> None:
        suite = live()
        data = {"form-TOTAL_FORMS": total, "form-INITIAL_FORMS": "x", "action": action}
        assert client_of(manager(suite)).post(at("add_mailboxes", suite.pk), data).status_code in {200, 422}
        assert len(there(suite)) == 2

    def test_a_line_more_keeps_what_was_typed(self) -> None:
        suite = live()
        data = rows({"kind": "shared", "local_part": "ecole"}, action="row")
        text = client_of(manager(suite)).post(at("add_mailboxes", suite.pk), data).content.decode()
        assert "form-1-local_part" in text
        assert 'value="ecole"' in text


class TestMailbox:
    def test_what_cannot_be_done_now_is_not_offered(
        self, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        suite = live()
        person = manager(suite)
        client = client_of(person)
        with django_assert_max_num_queries(15):
            text = client.get(at("mailbox", box(suite, "mairie").pk)).content.decode()
        assert "Fermer la boîte" in text
        assert "Rouvrir" not in text
        changes.remove(box(suite, "mairie"), by=person, reason="Essai.")
        engine.advance(suite.pk)
        text = client_of(person).get(at("mailbox", box(suite, "mairie").pk)).content.decode()
        assert "Elle sera supprimée le" in text
        assert "Fermer la boîte" not in text

    def test_somebody_else_s_is_not_there(self) -> None:
        suite = live()
        assert client_of(UserFactory.create()).get(at("mailbox", box(suite, "mairie").pk)).status_code == 404


class TestChange:
    @pytest.mark.parametrize(
        ("what", "typed"),
        [
            ("adresse", {"local_part": "accueil", "kept": "365"}),
            ("nom", {"display_name": "Mairie, accueil"[:6]}),
            ("quota", {"quota": "2,5"}),
            ("fermer", {"reason": "Plus personne ne la lit."}),
        ],
    )
    def test_each_fact_is_changed(self, what: str, typed: dict[str, str]) -> None:
        suite = live()
        client, address = client_of(manager(suite)), at("change_mailbox", box(suite, "mairie").pk, what)
        assert client.get(address).status_code == 200
        if what == "nom":
            typed = {"display_name": "Mairie de Plouvara"}
        assert client.post(address, typed).status_code == 302
        engine.advance(suite.pk)
        found = there(suite)
        assert {
            "adresse": lambda: found["accueil"].kind == "shared",
            "nom": lambda: found["mairie"].display_name == "Mairie de Plouvara",
            "quota": lambda: found["mairie"].quota == 2_500_000_000,
            "fermer": lambda: found["mairie"].active is False,
        }[what]()

    @pytest.mark.parametrize(
        ("what", "typed", "words"),
        [
            ("adresse", {"local_part": "jeanne.martin", "kept": "365"}, "existe déjà"),
            ("adresse", {"local_part": "ok", "kept": "3"}, "durée"),
            ("nom", {"display_name": ""}, "remplissez"),
            ("quota", {"quota": "beaucoup"}, "par exemple"),
            ("quota", {"quota": "9" * 40}, "trop grand"),
            ("quota", {"quota": "50"}, "demandez davantage"),
            ("fermer", {"reason": ""}, "quelques mots"),
        ],
    )
    def test_what_is_wrong_is_a_sentence(self, what: str, typed: dict[str, str], words: str) -> None:
        suite = live()
        page = client_of(manager(suite)).post(at("change_mailbox", box(suite, "mairie").pk, what), typed)
        assert page.status_code == 422
        assert words in page.content.decode()
        assert 'role="alert"' in page.content.decode()

    def test_what_a_mailbox_has_not_is_not_there(self) -> None:
        suite = live()
        for what in ("destinataires", "rien"):
            address = at("change_mailbox", box(suite, "mairie").pk, what)
            assert client_of(manager(suite)).get(address).status_code == 404

    def test_a_second_change_meets_the_first(self) -> None:
        suite = live()
        changes.set_display_name(box(suite, "mairie"), "La mairie", by=manager(suite))
        page = client_of(manager(suite)).post(
            at("change_mailbox", box(suite, "mairie").pk, "fermer"), {"reason": "Fermeture."}
        )
        assert page.status_code == 409
        assert "déjà en cours" in page.content.decode()


class TestRemove:
    def test_it_takes_a_second_factor_and_the_address_typed_again(self) -> None:
        suite = live()
        person, mailbox = manager(suite), box(suite, "mairie")
        typed = {"address": mailbox.key, "reason": "Plus personne."}
        address = at("remove_mailbox", mailbox.pk)
        assert plain_client(person).post(address, typed).status_code == 403
        assert client_of(person).post(address, {**typed, "address": "autre"}).status_code == 422
        assert not Step.objects.filter(name="mailbox_removal").exists()
        assert client_of(person).post(address, typed).status_code == 302
        assert Step.objects.filter(name="mailbox_removal").count() == 1

    def test_an_instructor_does_not_delete(self) -> None:
        suite = live()
        reader = MembershipFactory.create(organization=suite.organization).user
        assert client_of(reader).get(at("remove_mailbox", box(suite, "mairie").pk)).status_code == 403


class TestKeep:
    def test_a_deletion_is_given_up(self) -> None:
        suite = live()
        person = manager(suite)
        changes.remove(box(suite, "mairie"), by=person, reason="Essai.")
        engine.advance(suite.pk)
        address = at("keep_mailbox", box(suite, "mairie").pk)
        assert client_of(person).post(address).status_code == 302
        assert client_of(person).post(address).status_code == 409
        engine.advance(suite.pk)
        assert there(suite)["mairie"].active is True


class TestQuota:
    def test_shows_what_is_allotted_and_asked(self, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
        suite = live()
        MoreRequest.objects.create(
            deployment=suite, what="storage", wanted=50 * GB, reason="Photos.", asked_by=manager(suite)
        )
        for person in (manager(suite), lead(suite)):
            client = client_of(person)
            with django_assert_max_num_queries(15):
                text = client.get(at("quotas", suite.pk)).content.decode()
        assert "50 Go" in text
        assert "10\xa0Go" in text
        assert "Répondre" in text


class TestAsk:
    def test_a_manager_asks_and_a_mailbox_is_whole(self) -> None:
        suite = live()
        client, address = client_of(manager(suite)), at("ask_more", suite.pk)
        typed = {"what": "mailboxes", "wanted": "60,5", "reason": "Embauches."}
        assert client.post(address, typed).status_code == 422
        assert client.post(address, {**typed, "wanted": "60"}).status_code == 302
        assert MoreRequest.objects.get().wanted == 60
        assert client.post(address, {**typed, "wanted": "61"}).status_code == 409


class TestAnswer:
    def test_the_operator_s_lead_answers_once(self) -> None:
        suite = live()
        asked = MoreRequest.objects.create(
            deployment=suite, what="storage", wanted=50 * GB, reason="Photos.", asked_by=manager(suite)
        )
        address = at("answer_more", asked.pk)
        assert (
            client_of(manager(suite)).post(address, {"granted": "oui", "answer": "Oui, bien sûr."}).status_code == 403
        )
        assert client_of(lead(suite)).post(address, {"answer": "Sans décision."}).status_code == 422
        assert client_of(lead(suite)).post(address, {"granted": "oui", "answer": "Accordé."}).status_code == 302
        assert client_of(lead(suite)).post(address, {"granted": "non", "answer": "Refusé."}).status_code == 409
        assert MoreRequest.objects.get().granted is True


class TestSpace:
    def test_a_quota_under_the_use_is_refused_with_a_sentence(self) -> None:
        suite = live()
        Resource.objects.filter(deployment=suite, kind="storage").update(observed={"quota": 10 * GB, "used": 6 * GB})
        client, address = client_of(lead(suite)), at("set_quota", suite.pk, "stockage")
        assert client.get(address).status_code == 200
        page = client.post(address, {"quota": "5", "reason": "Économies."})
        assert page.status_code == 422
        assert "6\xa0Go sont déjà utilisés" in page.content.decode()
        assert client.post(address, {"quota": "20", "reason": "Photos."}).status_code == 302
        assert client.get(at("set_quota", suite.pk, "autre")).status_code == 404


class TestExports:
    def test_a_copy_is_asked_for_and_told(self, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
        suite = live()
        person = manager(suite)
        assert plain_client(person).post(at("exports", suite.pk)).status_code == 403
        assert client_of(person).post(at("exports", suite.pk)).status_code == 302
        assert client_of(person).post(at("exports", suite.pk)).status_code == 409
        client = client_of(person)
        with django_assert_max_num_queries(15):
            assert "En préparation" in client.get(at("exports", suite.pk)).content.decode()


class TestDownload:
    def test_only_a_manager_with_a_proved_mandate_and_a_second_factor(self) -> None:
        suite = live()
        export = exporting.ask(suite, by=manager(suite))
        exporting.run(export.pk)
        address = at("download_export", export.pk)
        person = proved(suite)
        assert client_of(lead(suite)).post(address).status_code == 403
        assert client_of(manager(suite)).post(address).status_code == 409
        assert plain_client(person).post(address).status_code == 403
        given = client_of(person).post(address)
        assert given.status_code == 200
        assert "no-store" in given["Cache-Control"]
        with zipfile.ZipFile(io.BytesIO(given.getvalue())) as archive:
            assert "INVENTAIRE.csv" in archive.namelist()
        Export.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert client_of(person).post(address).status_code == 410


def closing(suite: Deployment) -> Closure:
    closure = open_closure(suite, by=lead(suite), reason="Départ.")
    waive_copy(closure, by=lead(suite), reason="Remise autrement.")
    return closure


class TestClosure:
    def test_says_where_the_end_is(self, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
        suite = live()
        assert "Fermer le service" in client_of(lead(suite)).get(at("closure", suite.pk)).content.decode()
        closing(suite)
        for person in (manager(suite), lead(suite)):
            client = client_of(person)
            with django_assert_max_num_queries(15):
                text = client.get(at("closure", suite.pk)).content.decode()
        assert "Fermeture en cours" in text
        assert "Fermeture en cours" in client_of(manager(suite)).get(at("detail", suite.pk)).content.decode()


class TestOpen:
    def test_a_manager_needs_the_strongest_mandate_and_its_operator_not(self) -> None:
        suite = live()
        typed = {"cause": "leaving", "reason": "Nous partons ailleurs."}
        address = at("open_closure", suite.pk)
        assert client_of(manager(suite)).post(address, typed).status_code == 409
        assert not Closure.objects.exists()
        assert client_of(lead(suite)).post(address, {**typed, "cause": "revoked"}).status_code == 422
        assert client_of(proved(suite)).post(address, typed).status_code == 302
        assert Closure.objects.get().cause == "leaving"
        assert client_of(lead(suite)).post(address, typed).status_code == 409


class TestPreview:
    def test_a_group_is_shown_before_anything_is_asked(self) -> None:
        suite = live()
        closure = closing(suite)
        client, address = client_of(lead(suite)), at("preview_deletions", suite.pk)
        chosen = [str(one.pk) for one in closure.steps.all()]
        page = client.get(address, {"action": "demander", "suppression": [*chosen, "x"]})
        assert page.content.decode().count('type="hidden" name="suppression"') == len(chosen)
        assert client.get(address, {"action": "demander"}).status_code == 409
        assert client.get(address, {"action": "autre", "suppression": chosen}).status_code == 409
        assert not closure.steps.filter(proposed_by__isnull=False).exists()


class TestPropose:
    def test_it_takes_a_second_factor(self) -> None:
        suite = live()
        closure = closing(suite)
        chosen = {"suppression": [str(one.pk) for one in closure.steps.all()]}
        person = manager(suite)
        assert plain_client(person).post(at("propose_deletions", suite.pk), chosen).status_code == 403
        assert client_of(person).post(at("propose_deletions", suite.pk), chosen).status_code == 302
        assert client_of(person).post(at("propose_deletions", suite.pk), chosen).status_code == 409
        assert not closure.steps.filter(proposed_by__isnull=True).exists()


class TestConfirm:
    def test_another_person_of_the_operator_confirms(self) -> None:
        suite = live()
        closure = closing(suite)
        one, other = lead(suite), lead(suite)
        chosen = {"suppression": [str(step.pk) for step in closure.steps.all()]}
        client_of(one).post(at("propose_deletions", suite.pk), chosen)
        address = at("confirm_deletions", suite.pk)
        assert client_of(one).post(address, chosen).status_code == 409
        assert client_of(manager(suite)).post(address, chosen).status_code == 403
        assert client_of(other).post(address, chosen).status_code == 302
        assert closure.steps.filter(confirmed_by=other).count() == len(chosen["suppression"])


class TestTakeBack:
    def test_a_deletion_is_given_up(self) -> None:
        suite = live()
        closure = closing(suite)
        chosen = {"suppression": [str(step.pk) for step in closure.steps.all()]}
        address = at("take_back_deletions", suite.pk)
        assert client_of(manager(suite)).post(address, chosen).status_code == 409
        client_of(manager(suite)).post(at("propose_deletions", suite.pk), chosen)
        assert client_of(manager(suite)).post(address, chosen).status_code == 302
        assert not closure.steps.filter(proposed_by__isnull=False).exists()


class TestWaive:
    def test_a_lead_answers_for_doing_without_a_copy(self) -> None:
        suite = live()
        address = at("waive_copy", suite.pk)
        assert client_of(lead(suite)).post(address, {"reason": "Aucune donnée."}).status_code == 409
        open_closure(suite, by=lead(suite), reason="Départ.")
        assert client_of(lead(suite)).post(address, {"reason": ""}).status_code == 422
        assert client_of(lead(suite)).post(address, {"reason": "Aucune donnée."}).status_code == 302
        assert Closure.objects.get().waived_at is not None
