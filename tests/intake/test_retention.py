"""What is kept, and what goes: one table, the page it draws, the jobs it drives."""

import datetime as dt
import json
import uuid
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from celery import current_app
from django.apps import apps
from django.conf import settings as site
from django.contrib.postgres.fields import ArrayField
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import models
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from onboarding.agreements.models import Acceptance, Signatory
from onboarding.intake import retention, retention_jobs, workflow
from onboarding.intake.desk_models import BulkAct, CheckItem, DecisionDraft, SavedView
from onboarding.intake.models import Dossier, MailboxRequest, NameChoice, Revision
from onboarding.intake.personal_models import DossierErasure
from onboarding.intake.proposal_models import Proposal
from onboarding.intake.request_models import Claim, CoAuthor, MailboxImport
from onboarding.intake.retention_category import in_words
from onboarding.intake.retention_fields import NOT_PERSONAL
from onboarding.intake.retention_jobs import run
from onboarding.intake.tasks import retain
from onboarding.intake.thread_models import Attachment, Mention, Message, MessageVersion
from onboarding.provisioning.models import Deployment, Resource
from suite.accounts.administrator_models import AdministratorChange
from suite.accounts.block_models import AccountBlock
from suite.accounts.models import Identity, Invitation, Membership, User, UserSession
from suite.directory.models import Operator, Organization
from suite.journal.models import Event, EventText
from suite.journal.workflow import record, verify
from suite.notices.models import Notice
from suite.notices.workflow import queue
from tests.factories.accounts import IdentityFactory, MembershipFactory, OperatorRoleFactory, UserFactory
from tests.factories.directory import CommuneFactory
from tests.factories.intake import DossierFactory, ProposalFactory, RemarkFactory
from tests.factories.mandates import MandateProofFactory
from tests.factories.provisioning import deployment
from tests.factories.thread import MessageFactory

pytestmark = pytest.mark.django_db

OURS = ("suite.", "onboarding.")
THEIRS = {"sessions", "account", "mfa"}
DAY = dt.timedelta(days=1)


def label(model: type[models.Model]) -> str:
    return model._meta.label  # noqa: SLF001 - Django's documented API


def textual(model: type[models.Model]) -> list[str]:
    """Return the columns of a model in which somebody's words, name or address could stand."""
    found = []
    for field in model._meta.get_fields():  # noqa: SLF001 - Django's documented API
        one = field.base_field if isinstance(field, ArrayField) else field
        if isinstance(one, models.CharField | models.TextField | models.JSONField | models.FileField):
            if not getattr(one, "choices", None):
                found.append(f"{label(model)}.{field.name}")
        elif isinstance(one, models.GenericIPAddressField | models.BinaryField):
            found.append(f"{label(model)}.{field.name}")
    return found


def scanned() -> list[str]:
    return [
        column
        for model in apps.get_models()
        if model.__module__.startswith(OURS) or label(model).partition(".")[0] in THEIRS
        for column in textual(model)
    ]


class TestRegistry:
    def test_every_text_column_is_kept_for_a_reason_or_says_nothing_of_anybody(self) -> None:
        kept = {field for category in retention.REGISTRY for field in category.fields}
        unknown = [
            column
            for column in scanned()
            if column not in kept
            and not {column, f"{column.rpartition('.')[0]}.*", f"{column.partition('.')[0]}.*"} & set(NOT_PERSONAL)
        ]
        assert not unknown, (
            "Add each to a category of onboarding/intake/retention.py (retention_fields, if it belongs to a dossier), "
            f"or to NOT_PERSONAL with its reason: {unknown}"
        )

    def test_every_line_of_the_registry_names_a_column_that_exists(self) -> None:
        for category in retention.REGISTRY:
            for name in category.fields:
                app, model, field = name.split(".")
                assert f"{app}.{model}.{field}" in scanned(), name

    def test_every_exception_names_something_that_exists(self) -> None:
        columns = scanned()
        for name in NOT_PERSONAL:
            stem = name.removesuffix("*")
            assert any(column == name or (name.endswith("*") and column.startswith(stem)) for column in columns), name

    def test_every_category_is_applied_by_a_job_or_a_task_of_the_beat(self) -> None:
        current_app.loader.import_default_modules()
        scheduled = {str(entry["task"]) for entry in site.CELERY_BEAT_SCHEDULE.values()}
        jobs = {job.code for job in retention_jobs.JOBS}
        for category in retention.REGISTRY:
            assert set(category.by) <= jobs | scheduled, category.code
            assert category.by or category.period is None, category.code
        assert {job.category for job in retention_jobs.JOBS} <= set(retention.BY_CODE)
        assert "onboarding.intake.tasks.retain" in scheduled

    def test_the_public_page_is_drawn_from_it(self, client: Client) -> None:
        html = client.get("/donnees-personnelles/").content.decode()
        for category in retention.REGISTRY:
            assert str(category.what).replace("'", "&#x27;") in html
            assert category.kept in html

    @pytest.mark.parametrize(
        ("days", "words"), [(730, "2 ans"), (90, "3 mois"), (183, "6 mois"), (30, "1 mois"), (7, "7 jours")]
    )
    def test_a_delay_is_written_as_a_reader_counts(self, days: int, words: str) -> None:
        assert in_words(dt.timedelta(days=days)).replace("\u00a0", " ") == words


@pytest.fixture
def now() -> dt.datetime:
    return timezone.now()


def expired(now: dt.datetime, days: int, **facts: Any) -> Dossier:
    """Return a draft that expired so many days ago."""
    dossier: Dossier = DossierFactory.create(expired=True, changed_at=now - days * DAY, **facts)
    Revision.objects.create(
        dossier=dossier, version=1, step=1, values={"requester_phone": "0297"}, author=dossier.author
    )
    record("dossier", dossier.pk, "save", by=dossier.author, comment="Camille a écrit cela")
    return dossier


class TestDrafts:
    def test_r50_an_abandoned_draft_is_announced_then_purged_at_the_window(self, now: dt.datetime) -> None:
        dossier = expired(now, 0)  # the expiry itself, on the sixtieth day, is the states' own job
        seen = []
        for days in range(32):
            with time_machine.travel(now + days * DAY, tick=False):
                run()
                erased = DossierErasure.objects.filter(dossier=dossier, erased_at__isnull=False).exists()
                seen.append((Notice.objects.filter(kind="draft_purged_soon").count(), erased))

        assert seen[22] == (0, False)
        assert seen[23] == (1, False)
        assert seen[29] == (1, False)
        assert seen[30] == (1, True)
        assert seen[31] == (1, True)
        dossier.refresh_from_db()
        assert dossier.requester_email == dossier.requester_family_name == ""
        for rows in (dossier.names, dossier.mailboxes, dossier.revisions, dossier.requested_services):
            assert not rows.exists()
        assert set(EventText.objects.filter(event__subject=dossier.pk).values_list("actor_label", "comment")) == {
            ("", "")
        }

    def test_r50_after_a_gap_the_warning_still_comes_a_week_before(self, now: dt.datetime) -> None:
        dossier = expired(now, 50)
        run()
        assert Dossier.objects.get(pk=dossier.pk).requester_email
        with time_machine.travel(now + 6 * DAY, tick=False):
            run()
            assert Dossier.objects.get(pk=dossier.pk).requester_email
        with time_machine.travel(now + 7 * DAY + dt.timedelta(minutes=1), tick=False):
            run()
            assert not Dossier.objects.get(pk=dossier.pk).requester_email
        assert Notice.objects.filter(kind="draft_purged_soon").count() == 1

    def test_a_living_draft_and_a_sent_dossier_are_never_purged(self, now: dt.datetime) -> None:
        living = DossierFactory.create(changed_at=now - 400 * DAY)
        sent = DossierFactory.create(sent=True, changed_at=now - 400 * DAY)
        run()

        for dossier in (living, sent):
            assert Dossier.objects.get(pk=dossier.pk).requester_email

    def test_the_page_of_a_purged_draft_says_so(self, now: dt.datetime) -> None:
        dossier = expired(now, 50, requester_email="")
        run()
        client = Client()
        client.force_login(dossier.author, backend="suite.accounts.oidc.ProConnectBackend")

        assert "ont été effacées" in client.get(f"/demandes/{dossier.pk}/").content.decode()


def facts_of_events(dossier: Dossier) -> list[Any]:
    """Return what analytics counts: kinds, times, payloads."""
    return list(
        Event.objects.filter(subject=dossier.pk)
        .order_by("seq")
        .values_list("kind", "payload", "effective_at", "recorded_at", "hash")
    )


class TestClosedDossiers:
    @pytest.mark.parametrize(
        ("trait", "days"), [("rejected", 730), ("withdrawn", 730), ("revoked", 730), ("approved", 1825)]
    )
    def test_personal_text_goes_after_the_period_and_not_before(self, now: dt.datetime, trait: str, days: int) -> None:
        early, late = (
            DossierFactory.create(
                **{trait: True},
                changed_at=now - age * DAY,
                **({"decided_at": now - age * DAY} if trait != "withdrawn" else {}),
            )
            for age in (days - 1, days)
        )
        run()

        assert Dossier.objects.get(pk=early.pk).requester_email
        assert not Dossier.objects.get(pk=late.pk).requester_email

    def test_erasing_keeps_counts_and_chain(
        self, now: dt.datetime, commune: Organization, agent: User, instructor: User, anct: Operator
    ) -> None:
        """The skeleton that is counted, and the hashes, are byte for byte what they were."""
        draft = DossierFactory.create(organization=commune, author=agent)
        sent = workflow.submit(draft, by=agent, version=draft.version)
        taken = workflow.take(sent, by=instructor, version=sent.version)
        message = "Madame Dupont habite à Redon."
        workflow.reject(taken, ["other"], by=instructor, version=taken.version, message=message)
        before = facts_of_events(draft), Dossier.objects.count(), MailboxRequest.objects.count()
        names = list(NameChoice.objects.values_list("fqdn"))
        RemarkFactory.create(dossier=draft, text="Camille, corrigez.", closed_at=now)
        Notice.objects.update(state=Notice.State.SENT, sent_at=now)
        with time_machine.travel(now + 731 * DAY, tick=False):
            run()

        assert (facts_of_events(draft), Dossier.objects.count(), MailboxRequest.objects.count()) == before
        assert list(NameChoice.objects.values_list("fqdn")) == names
        assert verify() == []
        out = StringIO()
        call_command("verify_journal", stdout=out)
        assert "every chain holds" in out.getvalue()
        everything = repr(
            [
                list(model.objects.values())
                for model in (Dossier, MailboxRequest, Revision, EventText, Notice, Signatory)
            ]
        )
        for word in ("Dupont", "Camille", "ailleurs.example", "02 97", "Redon"):
            assert word not in everything, word

    def test_all_that_was_written_around_it_goes_with_it(  # noqa: PLR0917 - pytest's fixtures
        self,
        now: dt.datetime,
        agent: User,
        instructor: User,
        anct: Operator,
        tmp_path: Path,
        settings: Settings,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        settings.ATTACHMENTS_DIR = tmp_path
        word = "Zéphyrine"
        dossier, living = (
            DossierFactory.create(
                rejected=True, organization=commune, author=agent, operator=anct, assignee=instructor,
                changed_at=now - age * DAY,
            )
            for age, commune in ((731, CommuneFactory.create()), (700, CommuneFactory.create()))
        )  # fmt: skip
        for one in (dossier, living):
            message = MessageFactory.create(dossier=one, body=word, original=word, author_label=word, author=agent)
            MessageVersion.objects.create(message=message, body=word)
            (tmp_path / f"{one.pk}").write_bytes(b"%PDF")
            Attachment.objects.create(
                message=message, name=f"{word}.pdf", kind="pdf", stored_name=f"{one.pk}", size=4, sha256="0" * 64
            )
            Mention.objects.create(message=message, user=instructor)
            Claim.objects.create(dossier=one, fact="name", shown="x", claimed=word, reason=word, author=agent)
            share = CoAuthor.objects.create(
                dossier=one, user=agent, email=f"{word}@a.example", message=word, state="asked"
            )
            record("co_author", share.pk, "asked", by=agent, comment=word)
            DecisionDraft.objects.create(
                user=instructor, dossier=one, decision="reject", fields={"message": [word]}, letters=[{"text": word}],
                dossier_version=1,
            )  # fmt: skip
            CheckItem.objects.create(
                dossier=one, code="contact", result="manual", evidence=word, source="x", dossier_version=1,
                fetched_at=now, valid_until=now, overridden_by=instructor, overridden_at=now, why=word,
            )  # fmt: skip
            MailboxImport.objects.create(dossier=one, version=1, author=agent, rows=[{"given_name": word}])
            ProposalFactory.create(
                dossier=one, proposer=instructor, reason=word, check_made=word, closed_at=now, outcome="ended"
            )
            Revision.objects.create(
                dossier=one, version=9, step=2, values={"a": word}, before={"a": word}, author=agent
            )
        with django_capture_on_commit_callbacks(execute=True):
            run(only="refused")

        around = (
            Message, MessageVersion, Attachment, Claim, CoAuthor, DecisionDraft, CheckItem, MailboxImport, Proposal,
            Revision, EventText,
        )  # fmt: skip
        left = {
            model.__name__: [row for row in map(repr, model._default_manager.values()) if word in row]  # noqa: SLF001
            for model in around
        }
        assert {name: len(rows) for name, rows in left.items()} == dict.fromkeys(left, 1)  # the living one's
        assert Message.objects.get(dossier=dossier).body == "Texte effacé."
        assert not (tmp_path / f"{dossier.pk}").exists()
        assert (tmp_path / f"{living.pk}").exists()
        assert verify() == []

    def test_who_signed_a_refused_dossier_goes_with_it(self, now: dt.datetime) -> None:
        refused = DossierFactory.create(rejected=True, changed_at=now - 731 * DAY)
        kept = DossierFactory.create(sent=True)
        run()

        assert not Signatory.objects.filter(acceptance__case=refused.pk).exists()
        assert Signatory.objects.filter(acceptance__case=kept.pk).count() == 3
        assert Acceptance.objects.filter(case=refused.pk).count() == 3


class TestTheRest:
    def test_old_notices_lose_their_words_and_their_recipient(self, now: dt.datetime) -> None:
        for age, key in ((366, "old"), (300, "young")):
            notice = queue(
                "membership_changed", to="camille@a.example", key=key, context={"what": "role", "membership": None}
            )
            assert notice is not None
            Notice.objects.filter(pk=notice.pk).update(
                created_at=now - age * DAY, state=Notice.State.SENT, sent_at=now - age * DAY
            )
        run()

        assert sorted(Notice.objects.values_list("recipient", flat=True)) == ["", "camille@a.example"]
        erased = Notice.objects.get(recipient="")
        assert "camille" not in repr(Notice.objects.filter(pk=erased.pk).values().get())
        assert erased.sent_at is not None

    def test_a_message_still_queued_keeps_its_words(self, now: dt.datetime) -> None:
        notice = queue("membership_changed", to="a@a.example", key="x", context={"what": "role"})
        assert notice is not None
        Notice.objects.filter(pk=notice.pk).update(created_at=now - 400 * DAY)
        run()

        assert Notice.objects.get().recipient == "a@a.example"

    def test_names_leave_the_journal_after_five_years(self, now: dt.datetime) -> None:
        user = UserFactory.create()
        with time_machine.travel(now - 1826 * DAY, tick=False):
            record("account", user.pk, "old", by=user, comment="Mot")
        record("account", user.pk, "young", by=user, comment="Mot")
        run()

        assert list(
            EventText.objects.filter(event__stream="account").order_by("event__seq").values_list("comment", flat=True)
        ) == ["", "Mot"]
        assert verify() == []

    def test_over_sessions_and_invitations_go(self, now: dt.datetime) -> None:
        Session.objects.create(session_key="a" * 32, session_data="x", expire_date=now - DAY)
        Session.objects.create(session_key="b" * 32, session_data="x", expire_date=now + DAY)
        inviter = MembershipFactory.create(manager=True)
        for age in (366, 10):
            Invitation.objects.create(
                organization=inviter.organization, role="reader", email="invitee@a.example", digest=uuid.uuid4().hex,
                invited_by=inviter.user, expires_at=now - age * DAY,
            )  # fmt: skip
        run()

        assert list(Session.objects.values_list("session_key", flat=True)) == ["b" * 32]
        assert sorted(Invitation.objects.values_list("email", flat=True)) == ["", "invitee@a.example"]

    def test_old_proofs_lose_their_words(self, now: dt.datetime) -> None:
        old = MandateProofFactory.create(state="expired", reason="Départ de Mme X", changed_at=now - 1826 * DAY)
        live = MandateProofFactory.create(reason="Note", changed_at=now - 1826 * DAY)
        run()
        old.refresh_from_db()
        live.refresh_from_db()

        assert (old.reason, live.reason) == ("", "Note")

    def test_old_decisions_on_accounts_and_bulk_acts_lose_their_words(self, now: dt.datetime, lead: User) -> None:
        for age in (1826, 1000):
            then = now - age * DAY
            AccountBlock.objects.create(
                user=UserFactory.create(), kind="block", state="refused", reason="Départ", asked_by=lead, asked_at=then,
                decided_at=then,
            )  # fmt: skip
            AdministratorChange.objects.create(
                organization=CommuneFactory.create(), kind="email", state="cancelled", person=UserFactory.create(),
                email="neuve@a.example", reason="Perdue", ending="Erreur", asked_by=lead,
                speaker=UserFactory.create(), asked_at=then, ended_at=then,
            )  # fmt: skip
        for age in (91, 80):
            BulkAct.objects.create(user=lead, act="assign", items=[{"name": "Yeu"}], created_at=now - age * DAY)
        run()

        assert sorted(AccountBlock.objects.values_list("reason", flat=True)) == ["", "Départ"]
        assert sorted(AdministratorChange.objects.values_list("reason", "ending")) == [("", ""), ("Perdue", "Erreur")]
        assert AdministratorChange.objects.filter(email="neuve@a.example").count() == 1
        assert BulkAct.objects.count() == 1

    def test_a_closed_service_forgets_its_people_after_a_year(self, now: dt.datetime) -> None:
        closed, live = deployment(), deployment()
        Deployment.objects.filter(pk=closed.pk).update(closed_at=now - 366 * DAY)
        run()

        assert Deployment.objects.get(pk=closed.pk).welcome_email == ""
        assert "jeanne" not in repr(list(Resource.objects.filter(deployment=closed).values()))
        assert "jeanne" in repr(list(Resource.objects.filter(deployment=live).values()))


def forgotten(user: User) -> bool:
    return User.objects.get(pk=user.pk).email == ""


class TestAccounts:
    def old(self, now: dt.datetime, **facts: Any) -> User:
        user: User = UserFactory.create(last_login=now - 731 * DAY, **facts)
        IdentityFactory.create(user=user)
        UserSession.objects.create(user=user, device="Firefox", started_at=now)
        SavedView.objects.create(owner=user, name="Les miennes", query="q=dupont")
        return user

    def test_an_account_without_rights_is_forgotten_after_two_years(self, now: dt.datetime) -> None:
        user, recent = self.old(now), UserFactory.create(last_login=now - 700 * DAY)
        run()
        run()

        assert forgotten(user)
        assert not forgotten(recent)
        fresh = User.objects.get(pk=user.pk)
        assert (fresh.given_name, fresh.usual_name, fresh.is_active) == ("", "", False)
        identity = Identity.objects.get(user=user)
        assert identity.revoked_at
        assert identity.sub.startswith("erased-")
        assert not UserSession.objects.filter(user=user).exists()
        assert not SavedView.objects.filter(owner=user).exists()

    @pytest.mark.parametrize(
        "holding",
        [
            lambda user: MembershipFactory.create(user=user),
            lambda user: MembershipFactory.create(user=user, suspended=True),
            lambda user: OperatorRoleFactory.create(user=user),
            lambda user: User.objects.filter(pk=user.pk).update(is_superuser=True),
            lambda user: DossierFactory.create(author=user),
            lambda user: DossierFactory.create(in_review=True, assignee=user),
        ],
        ids=["pending right", "suspended right", "operator", "superadmin", "draft", "instructing"],
    )
    def test_never_one_with_live_rights(self, now: dt.datetime, holding: Callable[[User], object]) -> None:
        user = self.old(now)
        holding(user)
        run()

        assert not forgotten(user)

    def test_one_whose_rights_ended_is(self, now: dt.datetime) -> None:
        user = self.old(now)
        MembershipFactory.create(user=user, ended=True)
        OperatorRoleFactory.create(user=user, former=True)
        run()

        assert forgotten(user)
        assert Membership.objects.filter(user=user).count() == 1


class TestCommand:
    def test_a_dry_run_counts_and_touches_nothing(self, now: dt.datetime) -> None:
        dossier = DossierFactory.create(rejected=True, changed_at=now - 731 * DAY)
        out = StringIO()
        call_command("retention", "--dry-run", "--json", stdout=out)
        found = json.loads(out.getvalue())

        assert found["dry_run"] is True
        assert {one["job"]: (one["due"], one["done"]) for one in found["jobs"]}["refused"] == (1, 0)
        assert Dossier.objects.get(pk=dossier.pk).requester_email
        assert not Event.objects.filter(stream="retention").exists()

    def test_above_the_cap_a_job_stops_untouched_and_says_so(self, now: dt.datetime) -> None:
        for _ in range(3):
            DossierFactory.create(rejected=True, changed_at=now - 731 * DAY)
        with pytest.raises(SystemExit):
            call_command("retention", "--cap", "2", "--job", "refused", stdout=StringIO())

        assert not DossierErasure.objects.exists()
        assert Event.objects.get(stream="retention").kind == "retention.stopped"
        call_command("retention", "--cap", "3", "--job", "refused", stdout=StringIO())
        assert DossierErasure.objects.count() == 3

    def test_the_journal_keeps_counts_only(self, now: dt.datetime) -> None:
        DossierFactory.create(rejected=True, changed_at=now - 731 * DAY)
        retain()
        event = Event.objects.get(stream="retention", payload__job="refused")

        assert event.payload == {"job": "refused", "rows": 1}
        assert (event.actor, event.text.comment) == (None, "")

    def test_a_second_run_finds_nothing_left(self, now: dt.datetime) -> None:
        DossierFactory.create(approved=True, decided_at=now - 1826 * DAY)
        run()

        assert {one.due for one in run(dry=True)} == {0}

    def test_more_than_one_batch_is_done_in_one_run(self, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention_jobs, "BATCH", 2)
        for _ in range(5):
            DossierFactory.create(rejected=True, changed_at=now - 731 * DAY, contents=False)
        done = {one.job: one.done for one in run()}

        assert done["refused"] == 5
