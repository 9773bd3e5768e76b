"""Is a name free: our tables, what workers learned, and who asks how often."""

import datetime as dt
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import example, given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries, Settings

from onboarding.audits.facts import Lookup
from onboarding.intake import availability, lookups, names, rdap
from onboarding.intake.models import Dossier
from onboarding.intake.name_models import NameLookup
from onboarding.intake.reserved import ReservedName, ReservedNames, default_reserved
from onboarding.provisioning.models import Deployment
from suite.accounts.models import User
from suite.directory.models import Name, Organization
from tests.factories.directory import CommuneFactory
from tests.factories.intake import DossierFactory, NameChoiceFactory
from tests.factories.provisioning import deployment
from tests.intake.browsing import page, said, sign_in, version

ZONE = "collectivite.fr"


@pytest.fixture
def draft(commune: Organization, agent: User) -> Dossier:
    return DossierFactory.create(organization=commune, author=agent)


def looked_up(fqdn: str, code: str, **ago: int) -> NameLookup:
    """Record that workers asked about a name, so long ago."""
    return NameLookup.objects.create(
        fqdn=fqdn, code=code, checked_at=timezone.now() - timedelta(**ago), asked_at=timezone.now() - timedelta(**ago)
    )


@pytest.mark.django_db
class TestOurTables:
    def test_a_name_nobody_holds_is_free(self, draft: Dossier) -> None:
        assert availability.check_name(f"rochefort-en-terre.{ZONE}", "collectivite", draft).code == "free"

    def test_a_live_domain_is_taken(self, draft: Dossier) -> None:
        taken = deployment().domain
        found = availability.check_name(taken, "collectivite" if taken.endswith(ZONE) else "existing", draft)
        assert found.code == "taken"

    def test_a_released_name_waits_a_year_for_anybody_else(self, draft: Dossier) -> None:
        closed = deployment(domain=f"malansac.{ZONE}")
        name = closed.domain
        now = timezone.now()
        for age, code in ((timedelta(days=364), "taken"), (timedelta(days=366), "free")):
            Deployment.objects.filter(pk=closed.pk).update(closed_at=now - age)
            assert availability.check_name(name, "collectivite", draft).code == code

    def test_whoever_released_a_name_may_have_it_again(self, draft: Dossier) -> None:
        closed = deployment(organization=draft.organization, domain=f"rochefort-en-terre.{ZONE}")
        Deployment.objects.filter(pk=closed.pk).update(closed_at=timezone.now())
        assert availability.check_name(closed.domain, "collectivite", draft).code == "free"

    @pytest.mark.parametrize("theirs", ["rochefort-en-terre", "rochefortenterre", "r0chefort-en-terre"])
    def test_two_dossiers_that_wish_it_both_learn_of_a_conflict_and_no_name(self, draft: Dossier, theirs: str) -> None:
        other = DossierFactory.create(sent=True, organization__name="La Gacilly", contents=False)
        NameChoiceFactory.create(dossier=other, typed=f"{theirs}.{ZONE}")
        found = availability.check_name(f"rochefort-en-terre.{ZONE}", "collectivite", draft)
        assert found.code == "pending_conflict"
        assert "Gacilly" not in found.note
        Dossier.objects.filter(pk=draft.pk).update(
            status="submitted", submitted_at=timezone.now(), operator=other.operator, verdict={}
        )
        NameChoiceFactory.create(dossier=other, rank=1, typed=f"la-gacilly.{ZONE}")
        assert availability.check_name(f"{theirs}.{ZONE}", "collectivite", other).code == "pending_conflict"

    @pytest.mark.parametrize("ended", ["withdrawn", "rejected", "expired"])
    def test_a_hold_falls_with_its_dossier(self, draft: Dossier, ended: str) -> None:
        other = DossierFactory.create(**{ended: True}, contents=False)
        NameChoiceFactory.create(dossier=other, typed=f"rochefort-en-terre.{ZONE}")
        assert availability.check_name(f"rochefort-en-terre.{ZONE}", "collectivite", draft).code == "free"

    def test_a_reserved_name_is_said_so(self, draft: Dossier) -> None:
        assert availability.check_name(f"prefecture.{ZONE}", "collectivite", draft).code == "reserved"
        assert availability.check_name(f"ensemble-rochefort.{ZONE}", "collectivite", draft).code == "reserved"

    def test_another_communes_name_is_reserved_for_review(self, draft: Dossier) -> None:
        CommuneFactory.create(name="Saint-Malo")
        assert Name.objects.filter(name="Saint-Malo").exists()
        found = availability.check_name(f"saint-malo.{ZONE}", "collectivite", draft)
        assert (found.code, found.note) == ("reserved", availability.OTHERS_NAME)

    def test_four_names_cost_as_many_queries_as_one(
        self, draft: Dossier, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        wanted = [f"{label}.fr" for label in ("rochefort-en-terre", "rochefort56", "saint-malo", "autre")]
        dossier = Dossier.objects.select_related("organization").get()
        with django_assert_max_num_queries(4):
            availability.check_names(dossier, wanted, "new")

    def test_what_is_proposed_is_free_in_our_tables(self, draft: Dossier) -> None:
        first, _ = availability.propose(draft)
        assert first[0] == f"rochefort-en-terre.{ZONE}"
        deployment(domain=first[0])
        other = DossierFactory.create(sent=True, contents=False)
        NameChoiceFactory.create(dossier=other, typed=first[1])
        again, _ = availability.propose(Dossier.objects.get(pk=draft.pk))
        assert not set(again) & set(first[:2])
        assert len(again) == 4

    def test_saint_is_abbreviated_among_the_alternatives_only(self, draft: Dossier) -> None:
        Organization.objects.filter(pk=draft.organization_id).update(name="Saint-Malo")
        first, others = availability.propose(Dossier.objects.get())
        assert f"saint-malo.{ZONE}" in first
        assert f"st-malo.{ZONE}" in others
        assert not [name for name in first if name.startswith("st-")]


@pytest.mark.django_db
class TestOutside:
    @pytest.mark.parametrize("code", ["free", "taken", "unknown"])
    def test_a_new_name_is_what_the_registry_says(self, draft: Dossier, code: str) -> None:
        looked_up("rochefort-en-terre.fr", code, minutes=1)
        found = availability.check_name("rochefort-en-terre.fr", "new", draft)
        assert found.code == code
        assert found.checked_at

    def test_a_new_name_that_nobody_asked_about_is_unknown(self, draft: Dossier) -> None:
        assert availability.check_name("rochefort-en-terre.fr", "new", draft).code == "unknown"

    def test_what_our_tables_say_wins_over_a_registry_that_says_free(self, draft: Dossier) -> None:
        looked_up("rochefort-en-terre.fr", "free", minutes=1)
        deployment(domain="rochefort-en-terre.fr")
        assert availability.check_name("rochefort-en-terre.fr", "new", draft).code == "taken"

    def test_a_page_waits_a_minute_at_most(self, draft: Dossier) -> None:
        lookups.ask(["rochefort-en-terre.fr"])
        assert availability.check_name("rochefort-en-terre.fr", "new", draft).looking
        NameLookup.objects.update(asked_at=timezone.now() - timedelta(seconds=61))
        assert not availability.check_name("rochefort-en-terre.fr", "new", draft).looking


ANSWER = Lookup("x.fr", "NS", "answer", ("ns.x.fr.",))
NONE = Lookup("x.fr", "NS", "none", detail="nxdomain")
SILENCE = Lookup("x.fr", "NS", "unknown", detail="timeout")


@pytest.mark.parametrize(
    ("ns", "registry", "code"),
    [
        (NONE, "free", "free"),
        (SILENCE, "free", "free"),
        (NONE, "unknown", "unknown"),  # NXDOMAIN alone is not « free »
        (SILENCE, "unknown", "unknown"),
        (NONE, "taken", "taken"),
        (ANSWER, "free", "taken"),  # delegated: somebody has it, whatever the registry says
        (ANSWER, "unknown", "taken"),
    ],
)
def test_what_dns_and_registry_say_amounts_to_one_verdict(ns: Lookup, registry: str, code: str) -> None:
    assert lookups.judge(ns, NONE, rdap.Answer(registry, "")) == code


@pytest.mark.django_db
class TestQueue:
    @pytest.mark.parametrize(
        ("code", "ago", "queued"),
        [
            ("free", {"minutes": 9}, False),
            ("free", {"minutes": 11}, True),
            ("taken", {"minutes": 9}, False),
            ("unknown", {"minutes": 1}, False),
            ("unknown", {"minutes": 3}, True),
        ],
    )
    def test_an_answer_serves_ten_minutes(self, code: str, ago: dict[str, int], queued: bool) -> None:  # noqa: FBT001
        looked_up("evreux.fr", code, **ago)
        assert bool(lookups.ask(["evreux.fr"])) is queued

    def test_r16_one_key_whatever_the_writing(self) -> None:
        for typed in ("EXAMPLE.fr.", "example.fr", " https://www.Example.FR/ "):
            lookups.ask([names.normalise(typed)])
        assert NameLookup.objects.get().pk == "example.fr"

    def test_names_of_open_dossiers_stay_fresh_and_old_ones_are_forgotten(self, anct: Any) -> None:
        dossier = DossierFactory.create(sent=True, family="new", contents=False)
        NameChoiceFactory.create(dossier=dossier, typed="evreux.fr")
        looked_up("evreux.fr", "free", hours=13)
        looked_up("oublie.fr", "free", days=91)
        assert lookups.refresh() == ["evreux.fr"]
        assert list(NameLookup.objects.values_list("pk", flat=True)) == ["evreux.fr"]


@pytest.mark.django_db
class TestLimits:
    def test_r17_past_the_limit_is_429_and_what_was_typed_is_kept(
        self, draft: Dossier, agent: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lookups, "PER_USER", (2, 600))
        town_hall = sign_in(agent)
        statuses = [post_name(town_hall, draft, f"nom{index}").status_code for index in range(4)]
        assert statuses == [302, 302, 429, 429]
        assert draft.names.get(rank=0).typed == "nom3"
        assert NameLookup.objects.count() == 2

    def test_each_person_each_place_and_everybody_are_counted(
        self, agent: User, stranger: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lookups, "PER_ADDRESS", (3, 600))
        monkeypatch.setattr(lookups, "ALL_TOGETHER", (5, 600))
        assert [lookups.may_check(agent, "192.0.2.1") for _ in range(4)] == [True, True, True, False]
        assert [lookups.may_check(stranger, "192.0.2.2") for _ in range(2)] == [True, False]

    def test_a_page_in_french_says_what_to_do(
        self, draft: Dossier, agent: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lookups, "PER_USER", (0, 600))
        html = post_name(sign_in(agent), draft, "evreux").content.decode()
        assert "recommencez dans dix minutes" in said(html)
        assert f"/demandes/{draft.pk}/etape/2/" in html


def post_name(client: Client, dossier: Dossier, name: str, **more: str) -> Any:
    """Press « Vérifier la disponibilité » on step 2."""
    url = f"/demandes/{dossier.pk}/etape/2/"
    data = {"version": version(client, url), "family": "new", "name": name, "action": "check", **more}
    return client.post(url, data)


@pytest.mark.django_db
def test_the_button_saves_and_the_page_says_that_we_ask(draft: Dossier, agent: User) -> None:
    town_hall = sign_in(agent)
    response = post_name(town_hall, draft, "Évreux", alternative_1="Évreux-ville.bzh")
    assert response.status_code == 302
    assert set(NameLookup.objects.values_list("pk", flat=True)) == {"evreux.fr", "evreux-ville.bzh"}
    html = page(town_hall, response["Location"])
    assert "Nous proposons « evreux.fr »" in said(html)
    assert "Nous interrogeons le registre" in said(html)
    assert "hx-get" in html
    assert "Actualiser" in html


# --- R18 --------------------------------------------------------------------------------------------------------------


@given(st.text(max_size=120))
@example("xn--vreux-9ra")
@example("ev reux..fr")
@example("\u202eerf.xuerve")
@example("evreux.fr\r\nHost: ailleurs")
@example("%2e%2e/evreux")
def test_r18_whatever_is_typed_the_registry_is_asked_a_plain_name_or_nothing(typed: str) -> None:
    name = names.normalise(typed, default_extension="fr")
    if not names.problem(name, "new", shared_zone=ZONE):
        assert rdap.is_askable(name)
        assert name.count(".") == 1
        assert name.isascii()
    if rdap.is_askable(name):
        assert not set(name) & set("/?#%@: \r\n\\")


@given(st.integers(min_value=1, max_value=80))
def test_r18_63_characters_pass_and_64_do_not(length: int) -> None:
    assert bool(names.problem(f"{'a' * length}.fr", "new", shared_zone=ZONE)) is (length > 63)
    assert rdap.is_askable(f"{'a' * length}.fr") is (length <= 63)


@given(st.sampled_from("аеорсхіѕ"), st.integers(0, 5))
def test_r18_a_letter_of_another_alphabet_is_named_and_refused(letter: str, place: int) -> None:
    label = f"{'evreux'[:place]}{letter}{'evreux'[place:]}"
    refusal = names.problem(names.normalise(f"{label}.fr"), "new", shared_zone=ZONE)
    assert "plusieurs alphabets" in refusal
    assert letter in refusal


def test_r18_an_encoded_name_is_refused_with_the_plain_one() -> None:
    assert "«\u00a0evreux\u00a0»" in names.problem("xn--vreux-9ra.fr", "new", shared_zone=ZONE)
    assert names.problem("ab--cd.fr", "new", shared_zone=ZONE)
    assert names.problem("evreuxXfr", "new", shared_zone=ZONE)


@pytest.mark.parametrize("name", ["asso.fr", "gouv.fr", "co.uk"])
def test_an_extension_is_nobodys_domain(name: str) -> None:
    assert "extension" in names.problem(name, "existing", shared_zone=ZONE)


@pytest.mark.parametrize(
    ("name", "holder"),
    [("evreux.fr", "evreux.fr"), ("mairie.evreux.fr", "evreux.fr"), ("evreux.asso.fr", "evreux.asso.fr"),
     ("a.b.evreux.co.uk", "evreux.co.uk"), ("commune.github.io", "github.io")],
)  # fmt: skip
def test_a_sub_domain_is_somebody_elses(name: str, holder: str) -> None:
    assert names.registrable(name) == holder
    assert names.is_subdomain(name) is (name != holder)


class TestReserved:
    def test_every_entry_says_why_and_where_from(self) -> None:
        assert len(default_reserved()) > 60
        assert all(entry.reason and entry.source and entry.since for entry in default_reserved())

    def test_a_block_wins_over_a_review(self) -> None:
        kept = ReservedNames(
            ReservedName(pattern, decision, "Réservé.", "Responsable")
            for pattern, decision in (("evreux", "review"), ("evreux*", "block"))
        ).match("evreux")
        assert kept
        assert kept.blocked

    def test_an_entry_holds_between_its_dates(self) -> None:
        days = dt.date(2026, 3, 1), dt.date(2026, 3, 31)
        names = ReservedNames([ReservedName("vote##", "review", "Scrutin.", "Ici", *days)])
        seen = [names.match("vote26", dt.date(2026, month, 15)) is not None for month in (2, 3, 4)]
        assert seen == [False, True, False]
        assert names.match("vote2", dt.date(2026, 3, 15)) is None
