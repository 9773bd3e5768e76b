"""Acting on many: the preview says what would happen, each is its own move, and nothing sensitive is there."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from onboarding.intake import desk_bulk_acts, tasks, workflow
from onboarding.intake.desk_models import BulkAct
from onboarding.intake.models import Dossier
from suite.accounts.models import Membership, OperatorRole, User
from suite.directory.models import Operator
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.factories.accounts import MembershipFactory
from tests.factories.directory import OperatorFactory
from tests.factories.intake import DossierFactory, NameChoiceFactory, RemarkFactory
from tests.intake.browsing import page, said, sign_in
from tests.intake.conftest import staff
from tests.intake.test_races import together

pytestmark = pytest.mark.django_db
S = Dossier.Status


@pytest.fixture
def desk(instructor: User) -> Client:
    return sign_in(instructor)


def select(client: Client, act: str, *dossiers: Dossier, **data: Any) -> str:
    """Select dossiers in the queue and return the address of the preview."""
    keys = [str(one.pk) for one in dossiers]
    response = client.post(reverse("desk:bulk"), {"acte": act, "dossier": keys, **data})
    assert response.status_code == 302
    location: str = response["Location"]
    return location


def complete_dossier(user: User, operator: Operator, **known: Any) -> Dossier:
    """Return a dossier without a doubt that this person instructs."""
    dossier: Dossier = DossierFactory.create(in_review=True, assignee=user, operator=operator, **known)
    MembershipFactory.create(user=dossier.author, organization=dossier.organization, state=Membership.State.ACTIVE)
    return dossier


class TestBulk:
    def test_what_is_selected_is_previewed_and_nothing_happens(self, desk: Client, anct: Operator, lead: User) -> None:
        waiting = DossierFactory.create(sent=True, operator=anct)
        taken = DossierFactory.create(in_review=True, operator=anct, assignee=lead)
        url = select(desk, "take", waiting, taken)
        text = said(page(desk, url))
        assert f"{waiting.reference} , {waiting.organization.name}" in text
        assert f"Elle est instruite par {lead.get_full_name()}." in text
        assert "Confirmer pour 1 demande" in text
        assert not Event.objects.exists()
        item = BulkAct.objects.get().items[0]
        assert (item["pk"], item["version"]) == (str(waiting.pk), 1)

    @pytest.mark.parametrize("act", ["", "reject", "delete", "__class__"])
    def test_there_is_no_other_act_and_none_that_refuses(self, act: str, desk: Client) -> None:
        dossier = DossierFactory.create(sent=True)
        assert select(desk, act, dossier, retour="/instruction/?statut=submitted") == "/instruction/?statut=submitted"
        assert "reject" not in desk_bulk_acts.ACTS
        assert not BulkAct.objects.exists()

    def test_two_hundred_at_most(self, desk: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        assert desk_bulk_acts.MOST == 200
        monkeypatch.setattr(desk_bulk_acts, "MOST", 2)
        dossiers = [DossierFactory.create(sent=True) for _ in range(3)]
        assert select(desk, "take", *dossiers) == "/instruction/"
        assert "2 au plus" in said(page(desk, "/instruction/"))
        assert select(desk, "take") == "/instruction/"

    def test_all_of_the_list_follows_its_filters(self, desk: Client, anct: Operator) -> None:
        DossierFactory.create(in_review=True, operator=anct)
        waiting = [DossierFactory.create(sent=True, operator=anct) for _ in range(2)]
        select(desk, "take", tout="1", query="statut=submitted")
        assert {item["reference"] for item in BulkAct.objects.get().items} == {one.reference for one in waiting}

    def test_what_is_out_of_sight_is_not_even_named(self, anct: Operator) -> None:
        away = sign_in(staff(OperatorFactory.create(departments=["35"]), OperatorRole.Role.LEAD))
        dossier = DossierFactory.create(sent=True, operator=anct)
        url = select(away, "take", dossier)
        assert dossier.reference not in page(away, url)
        assert BulkAct.objects.get().items == []


class TestBulkAct:
    def confirm(self, client: Client, url: str) -> str:
        assert client.post(url, {"etape": "confirmer"}).status_code == 302
        return said(page(client, url))

    def test_each_is_its_own_move_and_what_changed_is_left_and_told(
        self, desk: Client, anct: Operator, instructor: User, lead: User
    ) -> None:
        first, second = (DossierFactory.create(sent=True, operator=anct) for _ in range(2))
        url = select(desk, "take", first, second)
        workflow.take(second, by=lead, version=1)
        text = self.confirm(desk, url)
        assert "1 demande traitée" in text
        assert desk_bulk_acts.NO_LONGER in text
        first.refresh_from_db()
        second.refresh_from_db()
        assert (first.assignee, second.assignee) == (instructor, lead)

    def test_r38_the_act_and_each_of_its_moves_leave_an_event(
        self, desk: Client, anct: Operator, instructor: User
    ) -> None:
        dossiers = [DossierFactory.create(sent=True, operator=anct) for _ in range(2)]
        self.confirm(desk, select(desk, "take", *dossiers))
        event = Event.objects.get(kind="desk.bulk")
        assert event.payload["dossiers"] == [str(one.pk) for one in dossiers]
        assert set(Event.objects.filter(kind="take").values_list("actor", flat=True)) == {instructor.pk}
        assert Event.objects.filter(kind="take").count() == 2

    def test_confirming_twice_acts_once(self, desk: Client, anct: Operator) -> None:
        url = select(desk, "take", DossierFactory.create(sent=True, operator=anct))
        self.confirm(desk, url)
        self.confirm(desk, url)
        assert Event.objects.filter(kind="take").count() == 1

    def test_it_asks_for_a_second_factor(self, instructor: User, anct: Operator) -> None:
        client = Client()
        client.force_login(instructor, backend="suite.accounts.oidc.ProConnectBackend")
        url = select(client, "take", DossierFactory.create(sent=True, operator=anct))
        assert client.post(url, {"etape": "confirmer"}).status_code == 403
        assert not Event.objects.exists()

    def test_it_belongs_to_whoever_selected(self, desk: Client, lead: User, anct: Operator) -> None:
        url = select(desk, "take", DossierFactory.create(sent=True, operator=anct))
        page(sign_in(lead), url, 404)

    def test_a_colleague_receives_what_waits_and_what_is_under_way(
        self, desk: Client, anct: Operator, instructor: User
    ) -> None:
        waiting = DossierFactory.create(sent=True, operator=anct)
        mine = DossierFactory.create(in_review=True, operator=anct, assignee=instructor)
        colleague = staff(anct, OperatorRole.Role.INSTRUCTOR)
        its_own = DossierFactory.create(sent=True, operator=anct)
        MembershipFactory.create(user=colleague, organization=its_own.organization)
        url = select(desk, "assign", waiting, mine, its_own)
        assert "Confirmer" not in page(desk, url)
        assert desk.post(url, {"etape": "options", "colleague": ""}).status_code == 422
        desk.post(url, {"etape": "options", "colleague": str(colleague.pk)})
        assert "Cette personne ne peut l’instruire." in said(page(desk, url))
        self.confirm(desk, url)
        for dossier in (waiting, mine):
            dossier.refresh_from_db()
            assert dossier.assignee == colleague
        assert list(Event.objects.filter(subject=waiting.pk).order_by("seq").values_list("kind", flat=True)) == [
            "take",
            "assign",
        ]

    def test_the_same_correction_goes_to_each(self, desk: Client, anct: Operator, instructor: User) -> None:
        dossiers = [DossierFactory.create(in_review=True, operator=anct, assignee=instructor) for _ in range(2)]
        url = select(desk, "request_changes", *dossiers)
        bad = desk.post(url, {"etape": "options", "reason": "other"})
        assert bad.status_code == 422
        assert 'href="#id_fields_"' in bad.content.decode()
        desk.post(url, {"etape": "options", "reason": "mailbox_list", "text": "Il manque l’accueil."})
        self.confirm(desk, url)
        for dossier in dossiers:
            remark = dossier.remarks.get()
            assert (remark.reason, remark.fields, remark.text) == (
                "mailbox_list",
                ["mailboxes"],
                "Il manque l’accueil.",
            )

    def test_a_reminder_goes_once_in_three_days(self, desk: Client, anct: Operator, instructor: User) -> None:
        late = DossierFactory.create(needs_changes=True, operator=anct, assignee=instructor)
        RemarkFactory.create(dossier=late)
        working = DossierFactory.create(in_review=True, operator=anct, assignee=instructor)
        text = self.confirm(desk, select(desk, "remind", late, working))
        assert "Elle est à l’état « En cours d’instruction »." in text
        notice = Notice.objects.get(kind="dossier_desk_reminder")
        assert "La liste des boîtes est à corriger" in notice.body_text
        assert "moins de trois jours" in said(page(desk, select(desk, "remind", late)))

    def test_releasing_puts_back_what_one_instructs(self, desk: Client, anct: Operator, instructor: User) -> None:
        mine = DossierFactory.create(in_review=True, operator=anct, assignee=instructor)
        self.confirm(desk, select(desk, "release", mine))
        mine.refresh_from_db()
        assert (mine.status, mine.assignee) == (S.SUBMITTED, None)

    def test_only_what_has_no_doubt_is_accepted_together(
        self, desk: Client, anct: Operator, instructor: User, agent: User, commune: Any
    ) -> None:
        plain = DossierFactory.create(
            in_review=True, organization=commune, author=agent, assignee=instructor, operator=anct
        )
        to_check = complete_dossier(instructor, anct)
        big = complete_dossier(instructor, anct, storage_gb=21, allocation_reason="Archives.")
        rival = complete_dossier(instructor, anct)
        NameChoiceFactory.create(dossier=DossierFactory.create(sent=True, contents=False), typed=rival.names.get().fqdn)
        outside = complete_dossier(instructor, anct, family="existing", dns_manager="commune", mail_in_use=False)
        text = said(page(desk, select(desk, "approve", plain, to_check, big, rival, outside)))
        assert "Confirmer pour 1 demande" in text
        assert text.count("À lire avant d’accepter") == 4
        url = reverse("desk:bulk_act", args=[BulkAct.objects.get().pk])
        # A doubt that appears between the preview and the confirmation counts too.
        NameChoiceFactory.create(dossier=DossierFactory.create(sent=True, contents=False), typed=plain.names.get().fqdn)
        plain.check_items.all().delete()
        self.confirm(desk, url)
        assert not Dossier.objects.filter(status=S.APPROVED).exists()
        Dossier.objects.filter(status=S.SUBMITTED).delete()
        plain.check_items.all().delete()
        self.confirm(desk, select(desk, "approve", plain))
        plain.refresh_from_db()
        assert plain.status == S.APPROVED


class TestMany:
    """Beyond what a page may do while its reader waits, a worker looks and acts."""

    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(desk_bulk_acts, "AT_ONCE", 2)

    def many(self, anct: Operator, count: int = 4) -> list[Dossier]:
        return [DossierFactory.create(sent=True, operator=anct) for _ in range(count)]

    def chosen(self) -> BulkAct:
        return BulkAct.objects.get()

    def test_the_preview_is_prepared_by_a_worker_and_nothing_can_be_confirmed_before(
        self, desk: Client, anct: Operator
    ) -> None:
        url = select(desk, "take", *self.many(anct))
        text = page(desk, url)
        assert "0 demandes sur 4 examinées" in said(text)
        assert 'hx-trigger="every 2s"' in text
        assert "Voir où cela en est" in text, "without scripts too"
        assert "Confirmer" not in text
        assert desk.post(url, {"etape": "confirmer"}).status_code == 302
        assert self.chosen().started_at is None
        tasks.carry_on_bulk(str(self.chosen().pk))
        assert "Confirmer pour 4 demandes" in said(page(desk, url))
        assert not Event.objects.exists()

    def test_the_page_says_how_far_it_is_then_what_was_done(
        self, desk: Client, anct: Operator, instructor: User
    ) -> None:
        url = select(desk, "take", *self.many(anct))
        tasks.carry_on_bulk(str(self.chosen().pk))
        desk.post(url, {"etape": "confirmer"})
        assert Event.objects.filter(kind="take").count() == 0, "the reader does not wait"
        desk_bulk_acts._next(self.chosen().pk)  # noqa: SLF001 - one dossier of the worker's turn
        assert "1 demandes sur 4 traitées" in said(page(desk, url))
        assert "HX-Refresh" not in desk.get(url, headers={"HX-Request": "true"})
        assert desk.post(reverse("desk:bulk_export", args=[self.chosen().pk])).status_code == 404
        tasks.carry_on_bulk(str(self.chosen().pk))
        assert "4 demandes traitées" in said(page(desk, url))
        assert desk.get(url, headers={"HX-Request": "true"})["HX-Refresh"] == "true"
        assert Dossier.objects.filter(assignee=instructor, status=S.IN_REVIEW).count() == 4
        assert self.chosen().finished_at
        assert self.chosen().pending_at is None

    def test_a_worker_out_of_time_leaves_the_rest_to_the_next_and_the_sweep_finds_it(
        self, desk: Client, anct: Operator
    ) -> None:
        select(desk, "take", *self.many(anct))
        assert not desk_bulk_acts.carry_on(self.chosen().pk, seconds=0)
        assert list(BulkAct.objects.filter(pending_at__isnull=False)) == [self.chosen()]
        assert desk_bulk_acts.carry_on(self.chosen().pk)
        assert not BulkAct.objects.filter(pending_at__isnull=False).exists()

    def test_what_changed_before_its_turn_is_left(self, desk: Client, anct: Operator, lead: User) -> None:
        dossiers = self.many(anct)
        url = select(desk, "take", *dossiers)
        tasks.carry_on_bulk(str(self.chosen().pk))
        desk.post(url, {"etape": "confirmer"})
        workflow.take(dossiers[2], by=lead, version=1)
        tasks.carry_on_bulk(str(self.chosen().pk))
        text = said(page(desk, url))
        assert "3 demandes traitées, 1 laissée" in text
        assert desk_bulk_acts.NO_LONGER in text

    def test_a_right_lost_meanwhile_is_not_used(self, desk: Client, anct: Operator, instructor: User) -> None:
        url = select(desk, "take", *self.many(anct))
        tasks.carry_on_bulk(str(self.chosen().pk))
        desk.post(url, {"etape": "confirmer"})
        User.objects.filter(pk=instructor.pk).update(is_active=False)
        tasks.carry_on_bulk(str(self.chosen().pk))
        assert not Event.objects.filter(kind="take").exists()
        assert {item["said"] for item in self.chosen().items} == {"Votre compte n’est plus actif."}

    def test_one_that_breaks_does_not_stop_the_others(self, desk: Client, anct: Operator) -> None:
        dossiers = self.many(anct)
        url = select(desk, "take", *dossiers)
        tasks.carry_on_bulk(str(self.chosen().pk))
        desk.post(url, {"etape": "confirmer"})
        with connection.cursor() as cursor:  # what no code of ours does: the database refuses this one
            cursor.execute(
                "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$"
            )
            cursor.execute(
                "CREATE TRIGGER broken BEFORE UPDATE ON intake_dossier FOR EACH ROW "
                f"WHEN (OLD.id = '{dossiers[1].pk}') EXECUTE FUNCTION broken()"
            )
        tasks.carry_on_bulk(str(self.chosen().pk))
        text = said(page(desk, url))
        assert "3 demandes traitées, 1 laissée" in text
        assert "Une erreur de notre part" in text


@pytest.mark.django_db(transaction=True)
class TestTwoWorkers:
    def test_two_workers_at_one_act_do_each_dossier_once(
        self, desk: Client, anct: Operator, instructor: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(desk_bulk_acts, "AT_ONCE", 2)
        monkeypatch.setattr(desk_bulk_acts, "wake", lambda pk: None)  # noqa: ARG005 - no worker here
        dossiers = [DossierFactory.create(sent=True, operator=anct) for _ in range(8)]
        bulk = desk_bulk_acts.choose(instructor, "take", [one.pk for one in dossiers])
        desk_bulk_acts.carry_on(bulk.pk)
        desk_bulk_acts.start(BulkAct.objects.get())
        together(*[lambda: desk_bulk_acts.carry_on(bulk.pk)] * 3)
        desk_bulk_acts.carry_on(bulk.pk)
        assert Event.objects.filter(kind="take").count() == 8
        assert [item["done"] for item in BulkAct.objects.get().items] == [True] * 8
        assert Event.objects.filter(kind="desk.bulk").count() == 1


class TestBulkExport:
    def test_the_result_is_a_file_without_formulas_and_leaves_an_event(
        self, desk: Client, anct: Operator, instructor: User
    ) -> None:
        done, left = DossierFactory.create(sent=True, operator=anct), DossierFactory.create(rejected=True)
        type(left.organization).objects.filter(pk=left.organization_id).update(name="=1+1")
        url = select(desk, "take", done, left)
        export = reverse("desk:bulk_export", args=[BulkAct.objects.get().pk])
        assert desk.post(export).status_code == 404
        desk.post(url, {"etape": "confirmer"})
        response = desk.post(export)
        lines = b"".join(response.streaming_content).decode().splitlines()  # type: ignore[attr-defined]  # a stream
        assert lines[1] == f"{done.reference};{done.organization.name};faite;"
        assert lines[2].startswith(f"{left.reference};'=1+1;laissée;")
        assert Event.objects.filter(kind="desk.exported", actor=instructor.pk).count() == 1
        assert re.match(r'attachment; filename="resultat-', response["Content-Disposition"])
