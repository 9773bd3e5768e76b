"""The day the mail of a domain in use arrives here: chosen, checked, done, read back, and undone."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from onboarding.provisioning import cutover_workflow as verbs
from onboarding.provisioning import engine, moves
from onboarding.provisioning.backends.local import LocalDns
from onboarding.provisioning.backends.local_mail import MX, SPF
from onboarding.provisioning.backends.protocols import Record
from onboarding.provisioning.models import Deployment, Step
from onboarding.provisioning.move_models import Cutover
from suite.accounts.models import User
from suite.notices.models import Notice
from tests.factories.accounts import MembershipFactory
from tests.factories.provisioning import deployment

pytestmark = pytest.mark.django_db(transaction=True)

OLD = "10 mx.ancien.example."
OLD_SPF = "v=spf1 include:ancien.example ~all"
POLICY = "v=DMARC1; p=quarantine"
OURS = tuple(f"{preference} {host}" for preference, host in MX)
S = Cutover.State


def build(built: Deployment) -> None:
    """Do all that can be done now, whatever hour is pretended."""
    for _ in range(5):
        Step.objects.filter(deployment=built, status="waiting").update(due_at=timezone.now() - dt.timedelta(seconds=1))
        engine.advance(built.pk)


def publish(built: Deployment, **records: tuple[str, ...]) -> None:
    """Publish at the commune's own DNS, which its own mark says is not ours."""
    owner = "the commune" if built.zone_kind == "external" else built.owner
    names = {"dmarc": f"_dmarc.{built.domain}", "dkim": f"suite._domainkey.{built.domain}"}
    LocalDns().ensure_records(
        built.domain,
        [
            Record(names.get(kind, built.domain), {"mx": "MX"}.get(kind, "TXT"), values)
            for kind, values in records.items()
        ],
        owner=owner,
    )


def manager_of(built: Deployment) -> User:
    user: User = MembershipFactory.create(organization=built.organization, manager=True).user
    return user


def work(row: Cutover, *, times: int = 6) -> Cutover:
    """Work as the sweep does, as long as something is due at this very hour."""
    for _ in range(times):
        if not moves.run("cutover", row.pk):
            break
    return Cutover.objects.get(pk=row.pk)


def again(row: Cutover) -> Cutover:
    Cutover.objects.filter(pk=row.pk, due_at__isnull=False).update(due_at=timezone.now())
    return work(row)


def told() -> list[str]:
    return list(Notice.objects.filter(kind="cutover_told").order_by("created_at").values_list("subject", flat=True))


@pytest.fixture
def external() -> Deployment:
    built = deployment(external=True)
    LocalDns().ensure_zone(built.domain, owner="the commune")
    publish(built, mx=(OLD,), txt=(OLD_SPF, "site-verification=abc"), dmarc=(POLICY,))
    return built


def prepared(built: Deployment, by: User) -> Cutover:
    """Begin before anything is built, as a commune does that reads its page; then build."""
    row = verbs.begin(built, by=by)
    build(built)
    return again(row)


def signed(row: Cutover, by: User, *, days: float = 10) -> Cutover:
    at = timezone.now() + dt.timedelta(days=days)
    verbs.plan(row, by=by, at=at, nothing_to_bring=True)
    return work(Cutover.objects.get(pk=row.pk))


def publish_ahead(built: Deployment) -> None:
    """Publish what harms nobody, as the page says."""
    from onboarding.provisioning.backends.local_mail import LocalMail  # noqa: PLC0415 - only here

    dkim = LocalMail().spec(built.domain).dkim
    publish(built, txt=(f"v=spf1 {SPF} include:ancien.example ~all", "site-verification=abc"), dkim=(dkim,))


class TestOfACommunesOwnDomain:
    def test_mailboxes_are_built_while_the_mail_still_arrives_elsewhere(self, external: Deployment) -> None:
        row = prepared(external, manager_of(external))
        assert row.before is not None
        assert row.before["mx"] == [OLD]
        assert external.steps.get(name="verification").status == "waiting"
        publish_ahead(external)
        build(external)
        assert set(external.steps.values_list("status", flat=True)) == {"done"}

    def test_the_whole_way_with_every_word_said_once(self, external: Deployment) -> None:
        with time_machine.travel(timezone.now(), tick=True) as clock:
            by = manager_of(external)
            row = signed(prepared(external, by), by)
            assert (row.state, row.consent_by_id) == (S.PLANNED, by.pk)
            assert row.at is not None
            at = row.at
            publish_ahead(external)
            build(external)
            for before in (8, 7, 6.5, 3, 2, 1.5, 1, 0.5):
                clock.move_to(at - dt.timedelta(days=before) + dt.timedelta(seconds=1))
                row = work(row)
            assert row.state == S.PREPARED
            assert {check["state"] for check in row.checks} == {"pass", "warn"}
            clock.move_to(at + dt.timedelta(seconds=1))
            row = work(row)
            assert row.state == S.DUE
            assert LocalDns().records(external.domain)  # nothing of ours was written there
            assert [each.values for each in LocalDns().records(external.domain) if each.type == "MX"] == [(OLD,)]
            publish(external, mx=OURS)
            row = again(row)
            assert (row.state, row.code) == (S.VERIFIED, "")
            clock.move_to(at + dt.timedelta(days=31))
            assert again(row).state == S.DONE
        words = [subject.rpartition(": ")[2].replace("\u00a0", " ") for subject in told()]
        assert [word.rpartition(" : ")[2] for word in words] == [
            "date retenue", "dans une semaine", "abaissez la durée de vie du MX", "demain", "c’est maintenant",
            "réussie",
        ]  # fmt: skip

    def test_after_a_gap_only_the_latest_reminder_leaves(self, external: Deployment) -> None:
        with time_machine.travel(timezone.now(), tick=True) as clock:
            by = manager_of(external)
            row = signed(prepared(external, by), by, days=20)
            assert row.at is not None
            clock.move_to(row.at - dt.timedelta(hours=12))
            work(row)
        assert [subject.replace("\u00a0", " ").rpartition(" : ")[2] for subject in told()] == ["date retenue", "demain"]

    def test_a_check_that_fails_at_the_hour_changes_nothing_and_is_told(self, external: Deployment) -> None:
        with time_machine.travel(timezone.now(), tick=True) as clock:
            by = manager_of(external)
            row = signed(prepared(external, by), by)
            assert row.at is not None
            clock.move_to(row.at + dt.timedelta(minutes=1))  # nothing was published ahead
            row = work(row)
        assert (row.state, row.due_at) == (S.POSTPONED, None)
        assert "fail" in {check["state"] for check in row.checks}
        recipients = set(Notice.objects.filter(subject__contains="n’a pas eu lieu").values_list("recipient", flat=True))
        assert recipients == {by.email, external.operator.email}

    def test_a_commune_that_publishes_early_is_followed(self, external: Deployment) -> None:
        by = manager_of(external)
        row = signed(prepared(external, by), by)
        publish_ahead(external)
        build(external)
        publish(external, mx=OURS)
        row = again(row)
        assert row.state == S.VERIFIED
        assert row.before is not None
        assert row.before["mx"] == [OLD]

    def test_going_back_waits_until_the_world_reads_the_former_servers(self, external: Deployment) -> None:
        by = manager_of(external)
        row = signed(prepared(external, by), by)
        publish_ahead(external)
        build(external)
        publish(external, mx=OURS)
        row = again(row)
        verbs.revert(row, by=by)
        row = again(row)
        assert (row.state, row.code) == (S.REVERTING, "mx_here")
        publish(external, mx=(OLD,))
        row = again(row)
        assert (row.state, row.due_at) == (S.REVERTED, None)
        assert any("retour en arrière fait" in subject for subject in told())

    def test_servers_changed_since_the_plan_stop_it(self, external: Deployment) -> None:
        with time_machine.travel(timezone.now(), tick=True) as clock:
            by = manager_of(external)
            row = signed(prepared(external, by), by)
            publish_ahead(external)
            build(external)
            assert row.at is not None
            clock.move_to(row.at - dt.timedelta(hours=40))
            row = work(row)
            publish(external, mx=("10 mx.tiers.example.",))
            assert row.at is not None
            clock.move_to(row.at + dt.timedelta(minutes=1))
            row = again(row)
        assert row.state == S.POSTPONED
        assert next(check for check in row.checks if check["code"] == "mx")["state"] == "fail"


class TestOfAZoneThatIsOurs:
    @pytest.fixture
    def ours(self) -> Deployment:
        return deployment(registered=True)

    def values(self, built: Deployment, kind: str, name: str = "") -> tuple[tuple[str, ...], int]:
        found = next(
            each
            for each in LocalDns().records(built.domain)
            if each.type == kind and each.name == f"{name}{built.domain}"
        )
        return found.values, found.ttl

    def test_the_switch_is_done_at_the_hour_and_undone_on_asking(self, ours: Deployment) -> None:
        with time_machine.travel(timezone.now(), tick=True) as clock:
            by = manager_of(ours)
            row = prepared(ours, by)  # what the building publishes of a domain in use is its key, and nothing else
            assert [each.type for each in LocalDns().records(ours.domain)] == ["TXT"]
            publish(ours, mx=(OLD,), txt=(OLD_SPF, "site-verification=abc"), dmarc=(POLICY,))
            Cutover.objects.filter(pk=row.pk).update(due_at=timezone.now(), before=None)
            row = signed(work(row), by)
            assert row.at is not None
            at = row.at
            assert self.values(ours, "MX")[0] == (OLD,)
            clock.move_to(at - dt.timedelta(hours=47))
            row = work(row)
            assert row.state == S.PREPARED
            assert self.values(ours, "MX") == ((OLD,), 300)
            assert set(self.values(ours, "TXT")[0]) == {
                f"v=spf1 {SPF} include:ancien.example ~all",
                "site-verification=abc",
            }
            assert self.values(ours, "TXT", "_dmarc.")[0] == (POLICY,)
            clock.move_to(at + dt.timedelta(seconds=2))
            row = work(row)
            assert row.state == S.VERIFIED, (row.code, row.note, row.checks)
            assert self.values(ours, "MX") == (tuple(sorted(OURS)), 300)
            clock.move_to(at + dt.timedelta(days=8))
            row = again(row)
            assert self.values(ours, "MX")[1] == 3600
            verbs.revert(row, by=by)
            row = again(work(Cutover.objects.get(pk=row.pk)))
            assert row.state == S.REVERTED
            assert self.values(ours, "MX")[0] == (OLD,)
            assert self.values(ours, "TXT", "_dmarc.")[0] == (POLICY,)

    def test_records_that_are_not_ours_to_change_are_never_changed(self, ours: Deployment) -> None:
        with time_machine.travel(timezone.now(), tick=True) as clock:
            by = manager_of(ours)
            row = prepared(ours, by)
            LocalDns().ensure_records(ours.domain, [Record(ours.domain, "MX", (OLD,))], owner="somebody")
            Cutover.objects.filter(pk=row.pk).update(due_at=timezone.now(), before=None)
            row = signed(work(row), by)
            assert row.at is not None
            clock.move_to(row.at - dt.timedelta(hours=47))
            row = work(row)
        assert (row.state, row.code) == (S.POSTPONED, "conflict")
        assert self.values(ours, "MX")[0] == (OLD,)


class TestVerbs:
    def test_only_a_manager_decides(self, external: Deployment) -> None:
        reader = MembershipFactory.create(organization=external.organization).user
        with pytest.raises(PermissionDenied):
            verbs.begin(external, by=reader)

    @pytest.mark.parametrize("days", [-1, 2.9, 200])
    def test_a_date_too_near_or_too_far_is_refused(self, external: Deployment, days: float) -> None:
        by = manager_of(external)
        row = prepared(external, by)
        with pytest.raises(verbs.CutoverRefused, match="Choisissez une date"):
            verbs.plan(row, by=by, at=timezone.now() + dt.timedelta(days=days), nothing_to_bring=True)

    def test_nothing_is_planned_before_the_present_is_known(self, external: Deployment) -> None:
        by = manager_of(external)
        row = verbs.begin(external, by=by)
        with pytest.raises(verbs.CutoverRefused, match="pas encore pu lire"):
            verbs.plan(row, by=by, at=timezone.now() + dt.timedelta(days=9), nothing_to_bring=True)

    def test_two_are_never_open_at_once(self, external: Deployment) -> None:
        by = manager_of(external)
        verbs.begin(external, by=by)
        with pytest.raises(verbs.WrongState), transaction.atomic():
            verbs.begin(external, by=by)

    @pytest.mark.parametrize("verb", [verbs.cancel, verbs.check_now, verbs.declare_lowered, verbs.revert])
    def test_a_page_read_before_somebody_else_acted_changes_nothing(
        self, external: Deployment, verb: Callable[..., Any]
    ) -> None:
        by = manager_of(external)
        seen = verbs.begin(external, by=by)
        Cutover.objects.filter(pk=seen.pk).update(version=seen.version + 1)
        with pytest.raises(verbs.WrongState):
            verb(seen, by=by)
