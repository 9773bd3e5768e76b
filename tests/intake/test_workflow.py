"""The life of a dossier: every event in every state, by everybody; and what each leaves behind."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from onboarding.intake import contents, workflow
from onboarding.intake.models import Dossier, Revision
from onboarding.intake.moves import GuardFailed, NotAllowed, Stale, WrongState, allowed
from onboarding.intake.workflow import Point
from suite.accounts.models import Membership, OperatorRole, User
from suite.catalog.models import GB
from suite.directory.models import Operator, Organization
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.factories.accounts import MembershipFactory, UserFactory
from tests.factories.directory import CommuneFactory, EpciFactory, NameFactory, OperatorFactory
from tests.factories.intake import (
    DossierFactory,
    MailboxRequestFactory,
    NameChoiceFactory,
    ProposalFactory,
    RemarkFactory,
)
from tests.intake.conftest import staff
from tests.intake.situations import situation

S = Dossier.Status
POINTS = [Point("mailbox_list", ("mailboxes",), "Ajoutez l’accueil.")]


def run(event: str, dossier: Dossier, by: User) -> Dossier:
    """Make the move with everything its guards want."""
    version = dossier.version
    calls: dict[str, Callable[[], Dossier]] = {
        "save": lambda: workflow.save_step(
            dossier, 3, {"mailboxes": [*contents.read(dossier, 3)["mailboxes"], SHARED]}, by=by, version=version
        ),
        "submit": lambda: workflow.submit(dossier, by=by, version=version),
        "resubmit": lambda: workflow.resubmit(dossier, by=by, version=version),
        "withdraw": lambda: workflow.withdraw(dossier, by=by, version=version),
        "take": lambda: workflow.take(dossier, by=by, version=version),
        "assign": lambda: workflow.assign(dossier, to=by, by=by, version=version),
        "release": lambda: workflow.release(dossier, by=by, version=version),
        "request_changes": lambda: workflow.request_changes(dossier, POINTS, by=by, version=version),
        "approve": lambda: workflow.approve(dossier, by=by, version=version),
        "reject": lambda: workflow.reject(dossier, ["not_public_use"], by=by, version=version, message="Non."),
        "propose_approval": lambda: propose(dossier, by),
        "reopen": lambda: workflow.reopen(dossier, by=by, version=version, reason="Nouvelle pièce reçue."),
        "propose_revocation": lambda: workflow.propose_revocation(dossier, by=by, version=version, reason="Fraude."),
        "revoke": lambda: workflow.revoke(dossier, by=by, version=version),
    }
    return calls[event]()


def propose(dossier: Dossier, by: User) -> Dossier:
    """Make the dossier one of those that take two people, and propose it."""
    Dossier.objects.filter(pk=dossier.pk).update(storage_gb=21, allocation_reason="Archives.")
    return workflow.propose_approval(
        Dossier.objects.get(pk=dossier.pk), by=by, version=dossier.version, reason="Vérifié auprès de la préfecture."
    )


SHARED = {
    "id": "",
    "kind": "shared",
    "given_name": "",
    "family_name": "",
    "function": "Mairie",
    "local_part": "mairie",
    "recovery_email": "",
    "administrator": False,
    "targets": "",
}

# Written out, not derived from the code under test (`requests.md`, 2.1).
TABLE: dict[str, dict[str, str]] = {
    "save": {S.DRAFT: S.DRAFT, S.NEEDS_CHANGES: S.NEEDS_CHANGES},
    "submit": {S.DRAFT: S.SUBMITTED},
    "resubmit": {S.NEEDS_CHANGES: S.IN_REVIEW},
    "withdraw": dict.fromkeys((S.DRAFT, S.SUBMITTED, S.IN_REVIEW, S.SECOND_APPROVAL, S.NEEDS_CHANGES), S.WITHDRAWN),
    "take": {S.SUBMITTED: S.IN_REVIEW},
    "assign": {S.IN_REVIEW: S.IN_REVIEW},
    "release": {S.IN_REVIEW: S.SUBMITTED},
    "request_changes": {S.IN_REVIEW: S.NEEDS_CHANGES, S.SECOND_APPROVAL: S.NEEDS_CHANGES},
    "approve": {S.IN_REVIEW: S.APPROVED, S.SECOND_APPROVAL: S.APPROVED},
    "reject": {S.IN_REVIEW: S.REJECTED, S.SECOND_APPROVAL: S.REJECTED},
    "propose_approval": {S.IN_REVIEW: S.SECOND_APPROVAL},
    "reopen": {S.REJECTED: S.IN_REVIEW, S.EXPIRED: S.IN_REVIEW},
    "propose_revocation": {S.APPROVED: S.APPROVED},
    "revoke": {S.APPROVED: S.REVOKED},
}
LEADS_EVENTS = {"reopen", "propose_revocation", "revoke"}
REQUESTERS_EVENTS = {"save", "submit", "resubmit", "withdraw"}
SENT_STATES = [state for state in S.values if state not in {S.DRAFT, S.EXPIRED}]


@pytest.mark.django_db
@pytest.mark.parametrize("status", S.values)
@pytest.mark.parametrize("event", TABLE)
def test_every_event_in_every_state(  # noqa: PLR0917 - the table's axes and the people
    event: str, status: str, commune: Organization, agent: User, anct: Operator, instructor: User, lead: User
) -> None:
    dossier = situation(status, commune, agent, anct, instructor)
    if status == S.NEEDS_CHANGES:
        RemarkFactory.create(dossier=dossier, touched=True)
    if status == S.EXPIRED and event == "reopen":  # one that was sent
        Dossier.objects.update(submitted_at=timezone.now(), operator=anct, verdict={})
    if event == "revoke" and status == S.APPROVED:
        ProposalFactory.create(dossier=dossier, revocation=True)
    dossier = Dossier.objects.get()
    second = event in LEADS_EVENTS or (event, status) == ("approve", S.SECOND_APPROVAL)
    by = agent if event in REQUESTERS_EVENTS else lead if second else instructor
    target = TABLE[event].get(status)
    assert (event in allowed(dossier, by)) == (target is not None)
    if target is None:
        with pytest.raises((WrongState, NotAllowed)) as refusal:
            run(event, dossier, by)
        if event in REQUESTERS_EVENTS or status in SENT_STATES:
            assert refusal.type is WrongState
        unchanged = Dossier.objects.get(pk=dossier.pk)
        assert (unchanged.status, unchanged.version) == (status, dossier.version)
        assert not Event.objects.exists()
        assert not Notice.objects.exists()
    else:
        moved = run(event, dossier, by)
        assert moved.status == Dossier.objects.get(pk=dossier.pk).status == target
        assert moved.version == dossier.version + 1
        told = Event.objects.get(stream="dossier", subject=dossier.pk)
        assert told.kind == event
        assert told.actor == by.pk
        assert (told.payload["from"], told.payload["to"]) == (status, target)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("who", "events"),
    [
        ("author", {"withdraw"}),
        ("colleague", {"withdraw"}),
        ("commune reader", set()),
        ("stranger", set()),
        ("suspended", set()),
        ("assignee", {"assign", "release", "request_changes", "propose_approval", "approve", "reject"}),
        ("other instructor", {"assign"}),
        ("lead", {"assign", "release", "request_changes", "reject"}),
        ("operator reader", set()),
        ("operator elsewhere", set()),
        ("operator here", {"assign"}),
        ("lead of the commune", set()),
        ("former assignee", set()),
    ],
)
def test_who_may_do_what_to_a_dossier_in_review(  # noqa: PLR0917 - idem
    who: str, events: set[str], commune: Organization, agent: User, anct: Operator, instructor: User
) -> None:
    dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
    insider = staff(anct, OperatorRole.Role.LEAD)
    MembershipFactory.create(user=insider, organization=commune, role=Membership.Role.READER)
    if who == "former assignee":
        instructor.operator_roles.update(active=False)
    people: dict[str, Callable[[], User]] = {
        "author": lambda: agent,
        "colleague": lambda: MembershipFactory.create(organization=commune).user,
        "commune reader": lambda: MembershipFactory.create(organization=commune, role=Membership.Role.READER).user,
        "stranger": UserFactory.create,
        "suspended": lambda: MembershipFactory.create(organization=commune, suspended=True).user,
        "assignee": lambda: instructor,
        "other instructor": lambda: staff(anct, OperatorRole.Role.INSTRUCTOR),
        "lead": lambda: staff(anct, OperatorRole.Role.LEAD),
        "operator reader": lambda: staff(anct, OperatorRole.Role.READER),
        "operator elsewhere": lambda: staff(OperatorFactory.create(departments=["01"]), OperatorRole.Role.LEAD),
        "operator here": lambda: staff(OperatorFactory.create(departments=["56"]), OperatorRole.Role.INSTRUCTOR),
        "lead of the commune": lambda: insider,
        "former assignee": lambda: User.objects.get(pk=instructor.pk),
    }
    person = people[who]()
    assert allowed(dossier, person) == events
    for event in set(TABLE) - events:
        if S.IN_REVIEW in TABLE[event]:
            with pytest.raises(NotAllowed):
                run(event, dossier, person)


@pytest.mark.django_db
class TestCreate:
    def test_a_draft_bears_a_reference_and_the_persons_name(self, commune: Organization, agent: User) -> None:
        first = workflow.create(commune, by=agent)
        assert first.reference.startswith(f"D-{timezone.localdate().year}-")
        assert first.requester_given_name == agent.given_name
        assert first.status == S.DRAFT

    def test_asking_twice_gives_the_same_draft(self, commune: Organization, agent: User) -> None:
        assert workflow.create(commune, by=agent) == workflow.create(commune, by=agent)
        assert Event.objects.count() == 1

    def test_two_references_differ(self, commune: Organization, agent: User, stranger: User) -> None:
        first, second = workflow.create(commune, by=agent), workflow.create(commune, by=stranger)
        assert first.reference != second.reference

    @pytest.mark.parametrize(
        "traits", [{"above": True}, {"closed": True}, {"population": 3500}], ids=["above", "closed", "3500"]
    )
    def test_a_commune_that_may_not_ask_gets_no_draft(self, agent: User, traits: dict[str, Any]) -> None:
        with pytest.raises(GuardFailed):
            workflow.create(CommuneFactory.create(**traits), by=agent)
        assert not Dossier.objects.exists()

    def test_a_communaute_d_agglomeration_gets_no_draft(self, agent: User) -> None:
        with pytest.raises(GuardFailed):
            workflow.create(EpciFactory.create(agglomeration=True), by=agent)

    def test_a_communaute_de_communes_gets_one(self, agent: User) -> None:
        assert workflow.create(EpciFactory.create(), by=agent).status == S.DRAFT


@pytest.mark.django_db
class TestSave:
    def test_what_is_wrong_is_kept_as_typed(self, commune: Organization, agent: User) -> None:
        dossier = workflow.create(commune, by=agent)
        values = contents.read(dossier, 1) | {"requester_email": "pas une adresse"}
        saved = workflow.save_step(dossier, 1, values, by=agent, version=dossier.version)
        assert Dossier.objects.get(pk=saved.pk).requester_email == "pas une adresse"

    def test_each_save_leaves_a_revision(self, commune: Organization, agent: User) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent)
        run("save", dossier, agent)
        revision = Revision.objects.get()
        assert (revision.version, revision.step, revision.author) == (2, 3, agent)
        assert revision.values["mailboxes"][1]["local_part"] == "mairie"

    def test_saving_the_same_again_changes_nothing_even_from_an_old_page(
        self, commune: Organization, agent: User
    ) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent)
        saved = run("save", dossier, agent)
        rows = [*contents.read(dossier, 3)["mailboxes"][:1], SHARED]  # as the second click sends them
        again = workflow.save_step(saved, 3, {"mailboxes": rows}, by=agent, version=dossier.version)
        assert again.version == saved.version
        assert Event.objects.count() == 1

    def test_another_persons_save_in_between_is_not_overwritten(self, commune: Organization, agent: User) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent)
        run("save", dossier, agent)
        late = contents.read(dossier, 1) | {"requester_phone": "0600000000"}
        with pytest.raises(Stale):
            workflow.save_step(dossier, 1, late, by=agent, version=1)
        with pytest.raises(Stale):
            workflow.save_step(Dossier.objects.get(), 1, late, by=agent, version=1)

    def test_a_person_without_a_typed_address_is_given_prenom_nom(self, commune: Organization, agent: User) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent)
        person = SHARED | {"kind": "personal", "given_name": "Hélène", "family_name": "Le Goff", "local_part": ""}
        workflow.save_step(dossier, 3, {"mailboxes": [person]}, by=agent, version=1)
        assert dossier.mailboxes.get().local_part == "helene.le-goff"

    def test_only_what_was_flagged_is_open_when_changes_are_asked(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.NEEDS_CHANGES, commune, agent, anct, instructor)
        remark = RemarkFactory.create(dossier=dossier)
        with pytest.raises(NotAllowed):
            workflow.save_step(dossier, 4, contents.read(dossier, 4) | {"storage_gb": 5}, by=agent, version=1)
        assert Dossier.objects.get().storage_gb == 10
        run("save", dossier, agent)
        remark.refresh_from_db()
        assert remark.touched


@pytest.mark.django_db
class TestSubmit:
    def test_the_verdict_the_terms_and_the_operator_are_frozen(
        self, commune: Organization, agent: User, anct: Operator
    ) -> None:
        sent = workflow.submit(DossierFactory.create(organization=commune, author=agent), by=agent, version=1)
        assert sent.verdict
        assert sent.verdict["outcome"] == "eligible_anct"
        assert sent.verdict["threshold"] == 3500
        assert sent.operator == anct
        assert sent.terms_version
        event = Event.objects.get(kind="submit")
        assert event.payload["population"] == 1200
        assert event.payload["department"] == "56"
        assert set(Notice.objects.values_list("kind", "recipient")) == {
            ("dossier_received", "camille@ailleurs.example"),
            ("dossier_new", "anct@anct.example"),
        }

    def test_the_most_local_operator_receives_it(self, commune: Organization, agent: User, anct: Operator) -> None:
        OperatorFactory.create(departments=["56", "35", "29"])
        local = OperatorFactory.create(departments=["56"])
        OperatorFactory.create(departments=["01"])
        sent = workflow.submit(DossierFactory.create(organization=commune, author=agent), by=agent, version=1)
        assert sent.operator == local

    def test_a_person_without_a_mandate_may_draft_but_not_send(
        self, commune: Organization, stranger: User, anct: Operator
    ) -> None:
        dossier = DossierFactory.create(organization=commune, author=stranger)
        with pytest.raises(GuardFailed, match="rattaché"):
            workflow.submit(dossier, by=stranger, version=1)
        assert Dossier.objects.get().status == S.DRAFT

    def test_a_second_dossier_waits_for_the_first(self, commune: Organization, agent: User, anct: Operator) -> None:
        DossierFactory.create(organization=commune, sent=True)
        mine = DossierFactory.create(organization=commune, author=agent)
        with pytest.raises(GuardFailed, match="déjà transmise"):
            workflow.submit(mine, by=agent, version=1)

    def test_a_commune_that_grew_meanwhile_is_refused(self, commune: Organization, agent: User, anct: Operator) -> None:
        dossier = DossierFactory.create(organization=commune, author=agent)
        Organization.objects.filter(pk=commune.pk).update(population=3500)
        with pytest.raises(GuardFailed):
            workflow.submit(Dossier.objects.get(pk=dossier.pk), by=agent, version=1)

    @pytest.mark.parametrize("trait", ["unknown_population", "empty", "no_siren"])
    def test_a_special_situation_may_be_sent(self, trait: str, anct: Operator) -> None:
        organization = CommuneFactory.create(**{trait: True})
        agent = MembershipFactory.create(organization=organization, siret="1" * 14).user
        dossier = DossierFactory.create(organization=organization, author=agent)
        assert workflow.submit(dossier, by=agent, version=1).status == S.SUBMITTED

    def test_nothing_is_sent_when_nobody_can_receive(self, commune: Organization, agent: User) -> None:
        with pytest.raises(GuardFailed, match="opérateur"):
            workflow.submit(DossierFactory.create(organization=commune, author=agent), by=agent, version=1)


@pytest.mark.django_db
class TestChanges:
    def test_one_notice_tells_every_point(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        points = [*POINTS, Point("other", ("storage",), "Précisez l’usage des 10 Go.")]
        workflow.request_changes(dossier, points, by=instructor, version=1, message="Merci de compléter.")
        notice = Notice.objects.get()
        for said in (
            "La liste des boîtes",
            "Ajoutez l’accueil.",
            "10 Go",
            "Merci de compléter.",
            "Le stockage demandé",
        ):
            assert said in notice.body_text
            assert said in notice.body_html

    @pytest.mark.parametrize(
        "points",
        [
            [],
            [Point("unknown", ("mailboxes",), "")],
            [Point("mailbox_list", (), "")],
            [Point("mailbox_list", ("nothing",), "")],
            [Point("other", ("storage",), "")],
        ],
    )
    def test_a_return_without_a_reason_a_field_or_words_is_refused(
        self, points: list[Point], commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        with pytest.raises(GuardFailed):
            workflow.request_changes(dossier, points, by=instructor, version=1)
        assert Dossier.objects.get().status == S.IN_REVIEW

    def test_an_unanswered_point_keeps_the_dossier_here(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.NEEDS_CHANGES, commune, agent, anct, instructor)
        remark = RemarkFactory.create(dossier=dossier)
        with pytest.raises(GuardFailed, match="maintenez"):
            workflow.resubmit(dossier, by=agent, version=1)
        values = contents.read(dossier, 5) | {"answers": {str(remark.pk): "L’accueil partage la boîte mairie."}}
        saved = workflow.save_step(dossier, 5, values, by=agent, version=1)
        sent = workflow.resubmit(saved, by=agent, version=saved.version)
        assert sent.status == S.IN_REVIEW
        assert sent.assignee == instructor
        remark.refresh_from_db()
        assert remark.closed_at

    def test_the_queue_takes_it_back_when_the_instructor_left(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.NEEDS_CHANGES, commune, agent, anct, instructor)
        instructor.operator_roles.update(active=False)
        sent = workflow.resubmit(Dossier.objects.get(pk=dossier.pk), by=agent, version=1)
        assert sent.status == S.SUBMITTED
        assert sent.assignee is None

    def test_r07_the_same_reason_twice_is_two_events_and_two_notices(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        for _ in range(2):
            back = workflow.request_changes(dossier, POINTS, by=instructor, version=dossier.version)
            dossier.remarks.update(touched=True)
            dossier = workflow.resubmit(back, by=agent, version=back.version)
        events = Event.objects.filter(kind="request_changes")
        assert [event.payload["reasons"] for event in events] == [["mailbox_list"]] * 2
        notices = Notice.objects.filter(kind="dossier_changes_requested")
        assert {notice.event for notice in notices} == set(events)


@pytest.mark.django_db
class TestReject:
    @pytest.mark.parametrize(
        ("codes", "message"), [([], "Non."), (["unknown"], "Non."), (["other"], ""), (["other"], " ")]
    )
    def test_a_refusal_says_why(  # noqa: PLR0917 - idem
        self,
        codes: list[str],
        message: str,
        commune: Organization,
        agent: User,
        anct: Operator,
        instructor: User,
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        with pytest.raises(GuardFailed):
            workflow.reject(dossier, codes, by=instructor, version=1, message=message)
        assert Dossier.objects.get().status == S.IN_REVIEW

    def test_the_commune_reads_the_reasons_and_the_way_to_appeal(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        workflow.reject(dossier, ["name_refused"], by=instructor, version=1, message="Ce nom < est celui d’un parc.")
        notice = Notice.objects.get()
        assert "Aucun des noms demandés" in notice.body_text
        assert "Ce nom < est celui d’un parc." in notice.body_text
        assert "contester cette décision" in notice.body_text
        assert "Ce nom &lt; est" in notice.body_html

    def test_the_other_reason_of_a_refusal_is_not_that_of_a_correction(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        workflow.reject(dossier, ["other"], by=instructor, version=1, message="Voir notre échange.")
        notice = Notice.objects.get()
        assert "Autre motif" in notice.body_text
        assert "Autre point" not in notice.body_text + notice.body_html


@pytest.mark.django_db
class TestApprove:
    def test_it_reserves_the_name_links_the_commune_and_confirms_the_person(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        done = workflow.approve(dossier, by=instructor, version=1)
        assert done.decided_by == instructor
        assert done.decided_at
        assert done.deployment
        assert done.deployment.domain == "rochefort-en-terre.collectivite.fr"
        assert done.deployment.zone_kind == "shared"
        assert done.deployment.welcome_email == "camille@ailleurs.example"
        assert done.deployment.operator == anct
        assert commune in anct.organizations.all()
        right = agent.memberships.get()
        assert (right.state, right.role) == (Membership.State.ACTIVE, Membership.Role.MANAGER)
        assert "rochefort-en-terre.collectivite.fr" in Notice.objects.get(kind="dossier_approved").body_text
        assert done.storage_gb
        assert done.storage_gb * GB == 10_000_000_000

    def test_a_name_taken_meanwhile_is_refused_and_nothing_is_left(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        first = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        other = CommuneFactory.create(department__code="56")
        second = DossierFactory.create(in_review=True, organization=other, operator=anct, assignee=instructor)
        MembershipFactory.create(user=second.author, organization=other)
        second.names.update(fqdn="rochefort-en-terre.collectivite.fr")
        Dossier.objects.filter(pk=second.pk).update(justification="Ancien nom.")
        workflow.approve(first, by=instructor, version=1)
        with pytest.raises((GuardFailed, NotAllowed)):
            workflow.approve(Dossier.objects.get(pk=second.pk), by=instructor, version=1)
        assert Dossier.objects.get(pk=second.pk).status == S.IN_REVIEW

    def test_an_existing_domain_wants_its_proof_in_writing(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        dossier.names.update(fqdn="rochefort-exemple.fr")
        Dossier.objects.update(family="existing", dns_manager="commune", mail_in_use=False)
        dossier = Dossier.objects.get()
        with pytest.raises(GuardFailed, match="prouvé"):
            workflow.approve(dossier, by=instructor, version=1)
        done = workflow.approve(dossier, by=instructor, version=1, check="Facture du bureau d’enregistrement reçue.")
        assert done.deployment
        assert done.deployment.zone_kind == "external"
        assert "Facture" in Event.objects.get(kind="approve").text.comment

    def test_an_alternative_is_given_only_if_the_commune_accepts_it(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        NameChoiceFactory.create(dossier=dossier, rank=1, typed="mairie-rochefort-en-terre.collectivite.fr")
        with pytest.raises(GuardFailed):
            workflow.approve(dossier, by=instructor, version=1, rank=1)
        Dossier.objects.update(accepts_alternatives=True)
        done = workflow.approve(Dossier.objects.get(), by=instructor, version=1, rank=1)
        assert done.deployment
        assert done.deployment.domain == "mairie-rochefort-en-terre.collectivite.fr"

    @pytest.mark.parametrize("why", ["population", "name", "homonym", "allocation", "mandate"])
    def test_a_sensitive_dossier_takes_two_people_and_a_reason(  # noqa: PLR0917
        self, why: str, commune: Organization, agent: User, anct: Operator, instructor: User, lead: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, instructor)
        match why:
            case "population":
                Organization.objects.filter(pk=commune.pk).update(population=None, population_year=None)
            case "name":
                dossier.names.update(fqdn="petite-cite.collectivite.fr")
                Dossier.objects.update(justification="Notre surnom.")
            case "homonym":
                NameFactory.create(name="Rochefort-en-Terre", organization=CommuneFactory.create())
                Dossier.objects.update(justification="Nous sommes la plus grande.")
            case "allocation":
                Dossier.objects.update(storage_gb=21, allocation_reason="Archives.")
            case "mandate":
                agent.memberships.update(state=Membership.State.SUSPENDED)
        dossier = Dossier.objects.get()
        with pytest.raises(GuardFailed, match="deux"):
            workflow.approve(dossier, by=instructor, version=1, derogation="Je le veux.")
        with pytest.raises(NotAllowed, match="instruit"):
            workflow.approve(dossier, by=lead, version=1, derogation="Je le veux.")
        with pytest.raises(GuardFailed, match="pourquoi"):
            workflow.propose_approval(dossier, by=instructor, version=1)
        proposed = workflow.propose_approval(dossier, by=instructor, version=1, reason="Vérifié à la préfecture.")
        with pytest.raises(NotAllowed):
            workflow.approve(proposed, by=instructor, version=proposed.version)
        done = workflow.approve(proposed, by=lead, version=proposed.version)
        assert done.status == S.APPROVED
        assert done.four_eyed
        assert done.decided_by != done.assignee
        assert Event.objects.get(kind="approve").payload["sensitive"]

    def test_a_lead_who_instructs_is_not_two_people(
        self, commune: Organization, agent: User, anct: Operator, lead: User
    ) -> None:
        dossier = situation(S.IN_REVIEW, commune, agent, anct, lead)
        proposed = propose(dossier, lead)
        assert "approve" not in allowed(proposed, lead)
        with pytest.raises(NotAllowed, match="une autre personne"):
            workflow.approve(proposed, by=lead, version=proposed.version, derogation="Seul.")
        assert dossier.deployment is None

    def test_a_commune_that_grew_meanwhile_is_not_accepted(
        self, commune: Organization, agent: User, anct: Operator, instructor: User, lead: User
    ) -> None:
        waiting = situation(S.SECOND_APPROVAL, commune, agent, anct, instructor)
        Organization.objects.filter(pk=commune.pk).update(population=3500)
        with pytest.raises(GuardFailed):
            workflow.approve(Dossier.objects.get(pk=waiting.pk), by=lead, version=1, derogation="Presque.")

    def test_an_organization_is_built_once(
        self, commune: Organization, agent: User, anct: Operator, instructor: User
    ) -> None:
        workflow.approve(situation(S.IN_REVIEW, commune, agent, anct, instructor), by=instructor, version=1)
        again = DossierFactory.create(
            in_review=True, organization=commune, author=agent, operator=anct, assignee=instructor, contents=False
        )
        NameChoiceFactory.create(dossier=again, typed="mairie-rochefort-en-terre.collectivite.fr")
        MailboxRequestFactory.create(dossier=again, administrator=True)
        with pytest.raises(GuardFailed):
            workflow.approve(again, by=instructor, version=1)


# --- Two at once ------------------------------------------------------------------------------------------------------
