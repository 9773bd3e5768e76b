"""Later changes of the mailboxes: what is asked is done outside, once, and nothing else moves."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from onboarding.provisioning import changes, engine, workflow
from onboarding.provisioning.backends.local import LocalMail
from onboarding.provisioning.backends.protocols import Mailbox
from onboarding.provisioning.change_models import Change
from onboarding.provisioning.changes import ChangeRefused
from onboarding.provisioning.closing_workflow import open_closure
from onboarding.provisioning.errors import WrongState
from onboarding.provisioning.holdings import QUARANTINE, boxes_of, entitlement
from onboarding.provisioning.judging import NewBox, propose
from onboarding.provisioning.models import Deployment, Resource, Step
from onboarding.provisioning.workflow import MailboxPlan
from suite.catalog.models import GB
from suite.journal.models import Event
from suite.journal.workflow import verify
from tests.factories.accounts import OperatorRoleFactory
from tests.factories.provisioning import deployment
from tests.provisioning.living import box, lead, live, manager, there

pytestmark = pytest.mark.django_db
YEAR = timedelta(days=365)


def run(suite: Deployment) -> None:
    engine.advance(suite.pk)


def days_pass(suite: Deployment, days: int) -> None:
    """Let the time of what is planned come."""
    for step in Step.objects.filter(deployment=suite, status="waiting"):
        Step.objects.filter(pk=step.pk).update(due_at=step.due_at - timedelta(days=days))
    run(suite)


def new(local_part: str, name: str = "", kind: str = "personal", **facts: object) -> NewBox:
    return NewBox(kind=kind, local_part=local_part, display_name=name or local_part, **facts)  # type: ignore[arg-type]


def put(suite: Deployment, local_part: str, *bodies: bytes, folder: str = "INBOX") -> None:
    for body in bodies:
        LocalMail().import_message(
            f"{local_part}@{suite.domain}", folder, body, received_at=datetime(2026, 3, 3, tzinfo=UTC), seen=True
        )


def held(suite: Deployment, local_part: str) -> list[tuple[str, bytes]]:
    return sorted(LocalMail().export_messages(f"{local_part}@{suite.domain}"))


def refused(verb: Callable[[], object]) -> tuple[str, str]:
    """Return the field and the words of a refusal."""
    with pytest.raises(ChangeRefused) as caught:
        verb()
    problem = caught.value.problems[0]
    return problem.field, problem.sentence


class TestAdd:
    def test_several_are_made_once_and_the_suite_stays_in_service(self) -> None:
        suite = live()
        changes.add(suite, [new("paul.durand", "Paul Durand"), new("ecole", "École", "shared")], by=manager(suite))
        assert Deployment.objects.get(pk=suite.pk).status == "live"
        run(suite)
        assert set(there(suite)) == {"mairie", "jeanne.martin", "paul.durand", "ecole"}
        assert box(suite, "paul.durand").observed["active"] is True
        assert Event.objects.filter(subject=suite.pk, kind="change.add").count() == 1
        assert Event.objects.filter(subject=suite.pk, kind="change_completed").count() == 1
        assert Event.objects.filter(subject=suite.pk, kind="completed").count() == 1
        assert verify() == []

    def test_the_journal_s_payload_names_nobody(self) -> None:
        suite = live()
        changes.add(suite, [new("paul.durand", "Paul Durand")], by=manager(suite))
        assert "durand" not in str(Event.objects.get(subject=suite.pk, kind="change.add").payload)

    @pytest.mark.parametrize(
        ("asked", "field", "words"),
        [
            (new("mairie", "Autre", "shared"), "local_part", "existe déjà"),
            (new("jeanne.martin", "Autre Jeanne"), "local_part", "existe déjà"),
            (new("jeanne.martin2", "Jeanne Martin"), "display_name", "s’affiche déjà"),
            (new("jeanne.martin2", "JEANNE  MARTÏN"), "display_name", "s’affiche déjà"),
            (new("postmaster", kind="shared"), "local_part", "usage technique"),
            (new("urbanisme"), "local_part", "service et non une personne"),
            (new("a_b"), "local_part", "tiret bas"),
            (new("ok", 'Jean "le" Bon'), "display_name", "sans guillemets"),
            (new("ok", "OK", recovery_email="pas une adresse"), "recovery_email", "n’est pas valide"),
            (new("tous", "Tous", "redirect"), "targets", "au moins une adresse"),
            (new("tous", "Tous", "redirect", targets=("tous@{domain}",)), "targets", "elle-même"),
            (new("tous", "Tous", "redirect", targets=("rien@{domain}",)), "targets", "n’existe pas sur votre domaine"),
            (new("gros", "Gros", quota=11 * GB), "quota", "demandez davantage"),
        ],
    )
    def test_what_cannot_be_is_refused_with_the_field_and_the_remedy(
        self, asked: NewBox, field: str, words: str
    ) -> None:
        suite = live()
        targets = tuple(one.format(domain=suite.domain) for one in asked.targets)
        asked = NewBox(**{**asked.__dict__, "targets": targets})
        found, said = refused(partial(changes.add, suite, [asked], by=manager(suite)))
        assert found == field
        assert words in said
        assert not Change.objects.exists()

    def test_two_of_one_batch_do_not_share_an_address_or_a_name(self) -> None:
        suite = live()
        assert (
            refused(partial(changes.add, suite, [new("a.b", "A"), new("a.b", "B")], by=manager(suite)))[0]
            == "local_part"
        )
        assert refused(partial(changes.add, suite, [new("a.b", "Éa"), new("a.c", "EA")], by=manager(suite)))[0] == (
            "display_name"
        )

    def test_beyond_the_allocation_one_is_told_to_ask_for_more(self) -> None:
        suite = live()
        left = entitlement(suite).mailboxes - 2
        many = [new(f"personne{number}.nom", f"Personne {number}") for number in range(left + 1)]
        assert "demandez davantage" in refused(partial(changes.add, suite, many, by=manager(suite)))[1]
        changes.add(
            suite, [*many[1:], new("tous", "Tous", "redirect", targets=("a@ailleurs.example",))], by=manager(suite)
        )
        run(suite)
        assert len(there(suite)) == 2 + left + 1

    def test_a_redirect_in_a_circle_is_refused(self) -> None:
        suite = live()
        changes.add(suite, [new("elus", "Élus", "redirect", targets=(f"mairie@{suite.domain}",))], by=manager(suite))
        run(suite)
        changes.add(suite, [new("tous", "Tous", "redirect", targets=(f"elus@{suite.domain}",))], by=manager(suite))
        run(suite)
        field, said = refused(
            partial(changes.set_targets, box(suite, "elus"), [f"tous@{suite.domain}"], by=manager(suite))
        )
        assert (field, "elle-même" in said) == ("targets", True)

    def test_nothing_changes_before_the_suite_is_in_service(self) -> None:
        building = deployment()
        with pytest.raises(WrongState, match="pas terminée"):
            changes.add(building, [new("paul.durand")], by=manager(building))

    def test_nor_once_it_closes(self) -> None:
        suite = live()
        open_closure(suite, by=lead(suite), reason="Départ.")
        with pytest.raises(WrongState, match="se ferme"):
            changes.add(suite, [new("paul.durand")], by=manager(suite))

    def test_a_change_that_is_blocked_leaves_the_suite_in_service(self) -> None:
        suite = live()
        LocalMail().ensure_mailbox(Mailbox(f"paul.durand@{suite.domain}", "personal", "X"), owner="somebody else")
        changes.add(suite, [new("paul.durand", "Paul Durand")], by=manager(suite))
        run(suite)
        step = Step.objects.get(deployment=suite, plan=1)
        assert (step.status, step.code) == ("blocked", "conflict")
        assert Deployment.objects.get(pk=suite.pk).status == "live"
        assert boxes_of(suite)[-1].state[1] == "Intervention nécessaire"
        with pytest.raises(WrongState, match="intervention"):
            changes.set_display_name(box(suite, "paul.durand"), "Paul", by=manager(suite))
        assert step in Step.objects.to_resume(lead(suite))
        workflow.skip(step, by=OperatorRoleFactory.create(operator=suite.operator).user, reason="Faite à la main.")
        assert Deployment.objects.get(pk=suite.pk).status == "live"


class TestPropose:
    def test_a_homonym_has_the_next_place_and_its_service_beside_its_name(self) -> None:
        assert propose("Jeanne", "Martin", "Urbanisme", taken={"jeanne.martin"}, names={"jeanne martin"}) == (
            "jeanne.martin2",
            "Jeanne Martin (Urbanisme)",
        )
        assert propose("Marie-Laure", "Le Goff", "", taken={"marie-laure.le-goff"}, names={"marie-laure le goff"}) == (
            "marie.l.le-goff",
            "Marie-Laure Le Goff 2",
        )
        assert propose("Zoé", "Noël", "", taken=set(), names=set()) == ("zoe.noel", "Zoé Noël")


class TestRename:
    def test_the_messages_follow_and_the_former_address_redirects_until_its_day(self) -> None:
        suite = live()
        put(suite, "jeanne.martin", b"Subject: un\r\n\r\nA", b"Subject: deux\r\n\r\nB")
        put(suite, "jeanne.martin", b"Subject: trois\r\n\r\nC", folder="Archives/2025")
        before = held(suite, "jeanne.martin")
        changes.rename(box(suite, "jeanne.martin"), "jeanne.durand", kept=YEAR, by=manager(suite))
        run(suite)
        assert held(suite, "jeanne.durand") == before
        former = there(suite)["jeanne.martin"]
        assert (former.kind, former.targets) == ("redirect", (f"jeanne.durand@{suite.domain}",))
        kept = next(one for one in boxes_of(suite) if one.address.startswith("jeanne.martin@"))
        assert kept.removal_at is not None
        assert kept.removal_at > timezone.now() + timedelta(days=364)
        days_pass(suite, 366)
        assert set(there(suite)) == {"mairie", "jeanne.durand"}
        assert held(suite, "jeanne.durand") == before

    def test_a_worker_cut_short_puts_no_message_twice(self) -> None:
        suite = live()
        put(suite, "jeanne.martin", b"Subject: un\r\n\r\nA", b"Subject: deux\r\n\r\nB")
        changes.rename(box(suite, "jeanne.martin"), "jeanne.durand", kept=YEAR, by=manager(suite))
        first = engine.claim(suite.pk)
        assert first is not None
        engine.finish(first, engine.outcome_of(first))
        put(suite, "jeanne.durand", b"Subject: un\r\n\r\nA")  # what a killed worker had already carried
        run(suite)
        assert [raw for _, raw in held(suite, "jeanne.durand")] == [b"Subject: deux\r\n\r\nB", b"Subject: un\r\n\r\nA"]

    def test_a_mailbox_that_could_not_be_emptied_is_never_deleted(self) -> None:
        suite = live()
        put(suite, "jeanne.martin", b"Subject: un\r\n\r\nA")
        changes.rename(box(suite, "jeanne.martin"), "jeanne.durand", kept=YEAR, by=manager(suite))
        instructor = OperatorRoleFactory.create(operator=suite.operator).user
        Step.objects.filter(deployment=suite, name="mailbox_move").update(status="blocked", code="unsupported")
        run(suite)
        for _ in range(3):
            for step in Step.objects.filter(deployment=suite, status="blocked").select_related("deployment"):
                workflow.skip(step, by=instructor, reason="Le fournisseur ne sait pas.")
            days_pass(suite, 400)
        assert held(suite, "jeanne.martin") == [("INBOX", b"Subject: un\r\n\r\nA")]

    @pytest.mark.parametrize("wanted", ["jeanne.martin", "mairie", "postmaster"])
    def test_an_address_that_cannot_be_is_refused(self, wanted: str) -> None:
        suite = live()
        field, _ = refused(partial(changes.rename, box(suite, "jeanne.martin"), wanted, kept=YEAR, by=manager(suite)))
        assert field == "local_part"
        assert box(suite, "jeanne.martin").desired["kind"] == "personal"


class TestSmallChanges:
    def test_a_display_name_reaches_the_provider(self) -> None:
        suite = live()
        changes.set_display_name(box(suite, "jeanne.martin"), "Jeanne Martin-Durand", by=manager(suite))
        run(suite)
        assert there(suite)["jeanne.martin"].display_name == "Jeanne Martin-Durand"

    def test_targets_change(self) -> None:
        suite = live()
        changes.add(suite, [new("elus", "Élus", "redirect", targets=("a@ailleurs.example",))], by=manager(suite))
        run(suite)
        changes.set_targets(box(suite, "elus"), ["B@Ailleurs.example", "b@ailleurs.example"], by=manager(suite))
        run(suite)
        assert there(suite)["elus"].targets == ("b@ailleurs.example",)

    def test_a_quota_is_within_the_domain_s_and_not_under_the_use(self) -> None:
        suite = live()
        put(suite, "jeanne.martin", b"x" * 2000)
        changes.set_quota(box(suite, "jeanne.martin"), 4 * GB, by=manager(suite))
        run(suite)
        assert there(suite)["jeanne.martin"].quota == 4 * GB
        assert refused(partial(changes.set_quota, box(suite, "jeanne.martin"), 1000, by=manager(suite)))[0] == "quota"
        assert (
            "demandez davantage"
            in refused(partial(changes.set_quota, box(suite, "mairie"), 7 * GB, by=manager(suite)))[1]
        )

    def test_shut_then_open_again_keeps_everything(self) -> None:
        suite = live()
        put(suite, "jeanne.martin", b"Subject: un\r\n\r\nA")
        changes.disable(box(suite, "jeanne.martin"), by=manager(suite), reason="Congé parental.")
        run(suite)
        assert there(suite)["jeanne.martin"].active is False
        with pytest.raises(WrongState, match="déjà fermée"):
            changes.disable(box(suite, "jeanne.martin"), by=manager(suite), reason="Encore.")
        changes.enable(box(suite, "jeanne.martin"), by=manager(suite), reason="Retour.")
        run(suite)
        assert there(suite)["jeanne.martin"].active is True
        assert held(suite, "jeanne.martin") == [("INBOX", b"Subject: un\r\n\r\nA")]


class TestRemove:
    def test_it_shuts_now_goes_after_thirty_days_and_its_name_rests_six_months(self) -> None:
        suite = live()
        changes.remove(box(suite, "jeanne.martin"), by=manager(suite), reason="Départ à la retraite.")
        run(suite)
        assert there(suite)["jeanne.martin"].active is False
        days_pass(suite, 29)
        assert "jeanne.martin" in there(suite)
        days_pass(suite, 2)
        assert "jeanne.martin" not in there(suite)
        assert [one.address.partition("@")[0] for one in boxes_of(suite)] == ["mairie"]
        assert Deployment.objects.with_steps().get(pk=suite.pk).status == "live"
        field, said = refused(partial(changes.add, suite, [new("jeanne.martin", "Jeanne M.")], by=manager(suite)))
        assert (field, "peut être redonnée" in said) == ("local_part", True)
        Resource.objects.filter(pk=box(suite, "jeanne.martin").pk).update(removed_at=timezone.now() - QUARANTINE)
        changes.add(suite, [new("jeanne.martin", "Jeanne M.")], by=manager(suite))
        run(suite)
        assert there(suite)["jeanne.martin"].display_name == "Jeanne M."

    def test_one_may_think_again_until_the_day(self) -> None:
        suite = live()
        put(suite, "jeanne.martin", b"Subject: un\r\n\r\nA")
        changes.remove(box(suite, "jeanne.martin"), by=manager(suite), reason="Erreur.")
        run(suite)
        with pytest.raises(WrongState, match="annulez-la"):
            changes.enable(box(suite, "jeanne.martin"), by=manager(suite), reason="Rouvrir.")
        changes.keep(box(suite, "jeanne.martin"), by=manager(suite))
        run(suite)
        days_pass(suite, 60)
        assert there(suite)["jeanne.martin"].active is True
        assert held(suite, "jeanne.martin") == [("INBOX", b"Subject: un\r\n\r\nA")]
        with pytest.raises(WrongState, match="pas prévue"):
            changes.keep(box(suite, "jeanne.martin"), by=manager(suite))

    def test_a_provider_that_lies_is_found_out(self, settings: Settings) -> None:
        suite = live()
        changes.remove(box(suite, "jeanne.martin"), by=manager(suite), reason="Départ.")
        run(suite)
        settings.BACKENDS = {**settings.BACKENDS, "mail": "tests.provisioning.living.LyingMail"}
        days_pass(suite, 31)
        step = Step.objects.get(deployment=suite, name="mailbox_removal")
        assert (step.status, step.code) == ("waiting", "still_there")
        assert box(suite, "jeanne.martin").removed_at is None


@pytest.mark.django_db(transaction=True)
def test_two_people_who_ask_for_one_address_at_once_do_not_both_get_it() -> None:
    suite = live()
    results = at_once(
        partial(changes.add, suite, [new("paul.durand", "Paul Durand")], by=manager(suite)),
        partial(changes.add, suite, [new("paul.durand", "Paul  DURAND")], by=manager(suite)),
    )
    assert sorted(results) == ["ChangeRefused", "done"]
    assert Resource.objects.filter(deployment=suite, key=f"paul.durand@{suite.domain}").count() == 1
    assert Change.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_changes_of_one_mailbox_at_once_are_one() -> None:
    suite = live()
    results = at_once(
        partial(changes.set_display_name, box(suite, "mairie"), "La mairie", by=manager(suite)),
        partial(changes.disable, box(suite, "mairie"), by=manager(suite), reason="Fermeture."),
    )
    assert sorted(results) == ["WrongState", "done"]


def at_once(*acts: Callable[[], object]) -> list[str]:
    """Run each in a thread of its own, from the same instant; return how each ended."""
    start, results = threading.Barrier(len(acts)), []

    def do(act: Callable[[], object]) -> None:
        try:
            start.wait(timeout=10)
            act()
            results.append("done")
        except (ChangeRefused, WrongState) as refusal:
            results.append(type(refusal).__name__)
        finally:
            connection.close()

    threads = [threading.Thread(target=do, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return results


def test_forty_boxes_are_listed_in_two_queries(django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    suite = live(mailboxes=tuple(MailboxPlan(f"b{n}", f"B {n}", "shared") for n in range(40)))
    with django_assert_num_queries(2):
        assert len(boxes_of(suite)) == 40
