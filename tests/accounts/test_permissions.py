"""Every address of the site, as every role and as nobody, by reading and by writing: the table's word, and no other."""

from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib import admin
from django.core.management import CommandError, call_command
from django.db import transaction
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from onboarding.agreements.models import Acceptance, Text
from onboarding.intake import thread_files
from onboarding.intake.desk_models import Absence, BulkAct, SavedView
from onboarding.intake.models import Dossier
from onboarding.intake.personal_models import ErasureRequest
from onboarding.intake.request_models import CoAuthor, MailboxImport
from onboarding.intake.thread_models import Message
from onboarding.provisioning.change_models import Export, MoreRequest
from onboarding.provisioning.models import Deployment, Resource, Step
from onboarding.provisioning.move_models import Cutover, MailImport
from suite.accounts import codes, documents, invitations
from suite.accounts.block_models import AccountBlock
from suite.accounts.mandate_models import Document, MandateProof, Objection
from suite.accounts.models import AccessRequest, Invitation, Membership, OperatorRole, RelinkRequest, User, UserSession
from suite.accounts.permissions import ACTS, ADDRESSES, AWAY, HOME, Act, Answer, Role, answer
from suite.directory.models import Operator, Organization
from suite.directory.operators import card_of, dump
from suite.management.commands import permissions as command
from suite.trade.models import Setting
from tests.accounts.elevation import elevate
from tests.accounts.test_documents import PDF
from tests.factories.accounts import AdministratorChangeFactory, MembershipFactory, OperatorRoleFactory, UserFactory
from tests.factories.directory import CommuneFactory, OperatorFactory
from tests.factories.intake import DossierFactory
from tests.factories.mandates import MandateProofFactory
from tests.factories.provisioning import deployment
from tests.house import ALL, beat

pytestmark = pytest.mark.django_db

STATUSES = (
    "draft", "sent", "in_review", "needs_changes", "second_approval", "approved", "rejected", "revoked", "withdrawn",
    "expired",
)  # fmt: skip
# Out of an operator's sight: never sent, so nobody's business but the commune's.
UNSENT = {"draft", "expired"}
OUT_OF_SCOPE = {
    Role.STAFF_READER: Role.AWAY_READER,
    Role.INSTRUCTOR: Role.AWAY_INSTRUCTOR,
    Role.LEAD: Role.AWAY_LEAD,
}
COMMUNE_ROLES = {Role.READER: "reader", Role.REQUESTER: "requester", Role.MANAGER: "manager"}
STAFF_ROLES = {Role.STAFF_READER: "reader", Role.INSTRUCTOR: "instructor", Role.LEAD: "lead"}


CHANGE = (
    "accounts:administrator",
    *(f"accounts:administrator_{it}" for it in ("cancel", "refuse", "confirm", "settle")),
)
SERVICE = tuple(f"provisioning:{page}" for page in (
    "mailboxes", "add_mailboxes", "quotas", "ask_more", "set_quota", "exports", "closure", "open_closure",
    "preview_deletions", "propose_deletions", "confirm_deletions", "take_back_deletions", "waive_copy",
))  # fmt: skip
MAILBOX = (*tuple(f"provisioning:{act}_mailbox" for act in ("change", "remove", "keep")), "provisioning:mailbox")
# About one mailbox of a suite.
ACCESS = ("provisioning:send_access", "provisioning:print_access", "provisioning:revoke_access")
BY_CODE = {"eligibility:organization", "agreements:prices"} | {
    f"accounts:mandate_{page}" for page in ("detail", "ask_email", "ask_letter", "hand_in")
}


NATIONAL = {"trade:edit", "trade:version", "trade:operator_version", "trade:add_operator"}


class World:
    """One commune of the Ain with its people, its operator and another's, and something of everything."""

    def __init__(self) -> None:
        beat()
        self.organization: Organization = CommuneFactory.create()
        self.home: Operator = OperatorFactory.create(departments=["01"])
        self.away: Operator = OperatorFactory.create(departments=["35"])
        self.home.organizations.add(self.organization)
        self.people: dict[Role, User | None] = {role: None if role is Role.VISITOR else person(role) for role in Role}
        for role, name in COMMUNE_ROLES.items():
            MembershipFactory.create(
                user=self.people[role], organization=self.organization, role=name, state=Membership.State.ACTIVE
            )
        for role, name in STAFF_ROLES.items():
            OperatorRoleFactory.create(user=self.people[role], operator=self.home, role=name)
            OperatorRoleFactory.create(user=self.people[OUT_OF_SCOPE[role]], operator=self.away, role=name)
        self.colleague = MembershipFactory.create(organization=self.organization, manager=True)
        self.staff: OperatorRole = OperatorRoleFactory.create(operator=self.home, lead=True)
        self.deployment: Deployment = deployment(organization=self.organization, operator=self.home)
        step = self.deployment.steps.order_by("position").first()
        assert step is not None
        self.step: Step = step
        Step.objects.filter(pk=step.pk).update(status=Step.Status.BLOCKED)
        self.mailbox: Resource = self.deployment.resources.filter(kind="mailbox").earliest("key")
        more = {"what": "mailboxes", "wanted": 12, "reason": "Nous avons embauché."}
        self.more = MoreRequest.objects.create(deployment=self.deployment, asked_by=self.colleague.user, **more)
        self.export = Export.objects.create(deployment=self.deployment, asked_by=self.colleague.user)
        self.box = self.deployment.resources.get(key__startswith="mairie@")
        self.old_mail = MailImport.objects.create(
            resource=self.box, asked_by=self.colleague.user, host="imap.ancien.example", login="mairie"
        )
        self.cutover = Cutover.objects.create(deployment=self.deployment, asked_by=self.colleague.user)
        self.asked = AccessRequest.objects.create(
            user=UserFactory.create(), organization=self.organization, message="Je travaille ici."
        )
        self.card: Setting = Setting.objects.create(
            key="operator", scope=self.home.pk, version=1, value=dump(card_of(self.home)), reason="Fiche d’origine."
        )
        self.relink = RelinkRequest.objects.create(
            user=self.colleague.user, issuer="https://auth.example", sub="new", email=self.colleague.user.email,
            siret="13002603200016", expires_at=timezone.now() + invitations.LIFETIME,
        )  # fmt: skip
        self.change = AdministratorChangeFactory.create(organization=self.organization, person=self.colleague.user)
        self.block = AccountBlock.objects.create(
            user=self.colleague.user, kind="block", asked_by=self.staff.user, reason="Compte compromis."
        )
        self.token = "a-token"
        self.objection_token = "A" * codes.OBJECTION_LENGTH
        self.proof: MandateProof = MandateProofFactory.create(
            organization=self.organization, user=self.colleague.user, document=True, pending=True,
            objection_digest=codes.digest(self.objection_token, "objection"),
        )  # fmt: skip
        stored = documents.store(documents.inspect(PDF))
        Document.objects.create(proof=self.proof, stored_name=stored, kind="pdf", size=len(PDF), sha256="0" * 64)
        self.objection = Objection.objects.create(
            proof=self.proof, organization=self.organization, user=self.colleague.user
        )
        self.text = Text.objects.published().get(kind=Text.Kind.CONVENTION)
        self.acceptance = Acceptance.objects.create(
            text=self.text, organization=self.organization, operator=self.home, user=self.colleague.user, mandate=1,
            digest=self.text.digest,
        )  # fmt: skip
        self.draft = Text.objects.create(operator=self.home, kind=Text.Kind.CONVENTION, title="Convention", body="…")
        self.erasure = ErasureRequest.objects.create(user=self.colleague.user, due_on=timezone.localdate())
        self.invitation = self._invitation(
            organization=self.organization, role="reader", digest=invitations.digest("x")
        )
        self.staff_invitation = self._invitation(
            operator=self.home, role="reader", digest=invitations.digest(self.token), invited_by=self.staff.user
        )

    def _invitation(self, **facts: Any) -> Invitation:
        return Invitation.objects.create(
            **{"invited_by": self.colleague.user, **facts},
            email="invited@commune.example",
            expires_at=timezone.now() + invitations.LIFETIME,
        )

    def dossier(self, status: str) -> Dossier:
        traits = {} if status == "draft" else {status: True}
        known = (
            {"assignee": self.people[Role.INSTRUCTOR]}
            if status not in {"draft", "sent", "withdrawn", "expired"}
            else {}
        )
        if status not in UNSENT:
            known["operator"] = self.home  # type: ignore[assignment]  # a mapping of keywords
        dossier: Dossier = DossierFactory.create(
            organization=self.organization, author=self.people[Role.REQUESTER], **traits, **known
        )
        return dossier

    def kwargs(  # noqa: PLR0911 - one return per kind of address
        self, name: str, user: User | None
    ) -> dict[str, object]:
        """Return the identifiers of something real at that address."""
        pks: dict[str, Callable[[], UUID]] = {
            "accounts:team": lambda: self.organization.pk,
            "accounts:invite": lambda: self.organization.pk,
            "accounts:join": lambda: self.organization.pk,
            "accounts:member": lambda: self.colleague.pk,
            "accounts:answer": lambda: self.asked.pk,
            "accounts:revoke_invitation": lambda: self.invitation.pk,
            "accounts:invite_staff": lambda: self.home.pk,
            "accounts:colleague": lambda: self.staff.pk,
            "accounts:revoke_staff_invitation": lambda: self.staff_invitation.pk,
            "accounts:relink": lambda: self.relink.pk,
            "accounts:close_session": lambda: session_of(user),
            **dict.fromkeys(CHANGE, lambda: self.change.pk),
            "accounts:administrator_ask": lambda: self.organization.pk,
            "accounts:account": lambda: self.colleague.user.pk,
            "accounts:propose": lambda: self.colleague.user.pk,
            "accounts:decide": lambda: self.block.pk,
            "accounts:mandate_enter": lambda: proof_of(user, self.organization),
            "accounts:mandate_objection": lambda: self.objection.pk,
            "accounts:mandate_proof": lambda: self.proof.pk,
            "accounts:mandate_let_go": lambda: self.proof.pk,
            "accounts:mandate_accept": lambda: self.proof.pk,
            "accounts:mandate_refuse": lambda: self.proof.pk,
            "accounts:mandate_document": lambda: self.proof.pk,
            "trade:operator": lambda: self.home.pk,
            "agreements:organization": lambda: self.organization.pk,
            "agreements:accept": lambda: self.organization.pk,
            "agreements:handover": lambda: self.organization.pk,
            "agreements:acceptance_pdf": lambda: self.acceptance.pk,
            "agreements:confirm": lambda: self.acceptance.pk,
            "agreements:text": lambda: self.text.pk,
            "agreements:text_pdf": lambda: self.text.pk,
            "agreements:texts": lambda: self.home.pk,
            "agreements:edit": lambda: self.draft.pk,
            "agreements:publish": lambda: self.draft.pk,
            "agreements:discard": lambda: self.draft.pk,
            "desk:erase": lambda: self.erasure.pk,
            "desk:delete_view": lambda: view_of(user),
            "desk:default_view": lambda: view_of(user),
            "desk:share_out": lambda: self.home.pk,
            "desk:cancel_absence": lambda: absence_of(user, self.staff.user),
            "desk:bulk_act": lambda: bulk_of(user),
            "desk:bulk_export": lambda: bulk_of(user),
            "provisioning:detail": lambda: self.deployment.pk,
            "provisioning:progress": lambda: self.deployment.pk,
            "provisioning:retry": lambda: self.step.pk,
            "provisioning:skip": lambda: self.step.pk,
            "provisioning:done": lambda: self.step.pk,
            "provisioning:abandon": lambda: self.step.pk,
            **dict.fromkeys(SERVICE, lambda: self.deployment.pk),
            **dict.fromkeys(MAILBOX, lambda: self.mailbox.pk),
            "provisioning:answer_more": lambda: self.more.pk,
            "provisioning:download_export": lambda: self.export.pk,
            "provisioning:accesses": lambda: self.deployment.pk,
            **dict.fromkeys(ACCESS, lambda: self.deployment.resources.filter(kind="mailbox").values_list("pk")[0][0]),
            **dict.fromkeys(
                (f"provisioning:{page}" for page in ("imports", "cutover", "begin_cutover", "renewal")),
                lambda: self.deployment.pk,
            ),
            "provisioning:start_import": lambda: self.box.pk,
            "provisioning:import_detail": lambda: self.old_mail.pk,
            "provisioning:import_act": lambda: self.old_mail.pk,
            "provisioning:plan_cutover": lambda: self.cutover.pk,
            "provisioning:cutover_act": lambda: self.cutover.pk,
        }  # fmt: skip
        if name == "provisioning:cause":
            return {"name": "storage", "code": "conflict"}
        if name in {"provisioning:change_mailbox", "provisioning:set_quota"}:
            return {"pk": pks[name](), "what": "nom" if name.endswith("mailbox") else "stockage"}
        if name == "agreements:draft":
            return {"pk": self.home.pk, "kind": "prices"}
        if name in pks:
            return {"pk": pks[name]()}
        if name == "intake:ask_to_join":
            if not Dossier.objects.open().exists():
                self.dossier("sent")
            return {"code": self.organization.code}
        if name in {"accounts:mandate_object", "accounts:administrator_object"}:
            return {"token": self.objection_token}
        if name == "trade:operator_version":
            return {"pk": self.home.pk, "number": self.card.version}
        if name in {"trade:detail", "trade:edit", "trade:version"}:
            return {"key": "delays", **({"number": 0} if name == "trade:version" else {})}
        return {"code": self.organization.code} if name in BY_CODE else {}

    def query(self, name: str) -> dict[str, str]:
        if name == "intake:new":
            return {"commune": self.organization.code}
        return {"jeton": self.token} if name == "accounts:invitation" else {}


def of_the_thread(name: str, dossier: Any) -> dict[str, object]:
    """Return a message, or its file, of the dossier: by somebody else than those who ask."""
    if name not in {"intake:edit_message", "intake:attachment"}:
        return {}
    message = Message.objects.create(dossier_id=dossier, kind="message", side="operator", body="Bonjour.")
    if name == "intake:edit_message":
        return {"message": message.pk}
    thread_files.keep(message, [thread_files.prepare("essai.pdf", PDF)])
    return {"attachment": message.attachments.get().pk}


def proof_of(user: User | None, organization: Organization) -> UUID:
    """Return a code that this person is waiting for."""
    if user is None:
        return uuid4()
    proof: MandateProof = MandateProofFactory.create(user=user, organization=organization, pending=True)
    return proof.pk


def view_of(user: User | None) -> UUID:
    return SavedView.objects.create(owner=user, name="Une vue").pk if user else uuid4()


def absence_of(user: User | None, deputy: User) -> UUID:
    days = {"first_day": timezone.localdate(), "last_day": timezone.localdate()}
    return Absence.objects.create(user=user, deputy=deputy, declared_by=user, **days).pk if user else uuid4()


def bulk_of(user: User | None) -> UUID:
    return (
        BulkAct.objects.create(user=user, act="take", started_at=timezone.now(), finished_at=timezone.now()).pk
        if user
        else uuid4()
    )


def session_of(user: User | None) -> UUID:
    return UserSession.objects.create(user=user, device="Firefox").pk if user else uuid4()


def person(role: Role) -> User:
    powers = {"is_superuser": True, "is_staff": True} if role is Role.SUPERADMIN else {}
    user: User = UserFactory.create(**powers)
    return user


@pytest.fixture
def world(db: None) -> World:
    return World()


# One for all: each would load the middleware anew.
CLIENT = Client()


def ask(user: User | None, method: str, url: str, data: dict[str, str]) -> HttpResponse:
    """Ask in a transaction that is undone: each question meets the same world."""
    with transaction.atomic():
        CLIENT.cookies.clear()
        client = CLIENT
        if user:
            client.force_login(User.objects.get(pk=user.pk))
            elevate(client)
        response: Any = client.get(url, data) if method == "get" else client.post(url, data)
        if response.streaming:
            b"".join(response)
        transaction.set_rollback(True)
    answered: HttpResponse = response
    return answered


def said(response: HttpResponse) -> Answer:
    """Read an answer in the table's words."""
    if response.status_code in {403, 404}:
        return Answer(str(response.status_code))
    if response.status_code == 302 and response["Location"].startswith((reverse("accounts:login"), "/admin/login/")):
        return Answer.SIGN_IN
    assert response.status_code < 500
    return Answer.YES


def differences(
    act: Act | None, world: World, responses: dict[Role, HttpResponse], as_: Callable[[Role], Role]
) -> Iterator[str]:
    for role, response in responses.items():
        if act is None:
            if response.status_code != 405 and not (role is Role.VISITOR and said(response) is Answer.SIGN_IN):
                yield f"{role}: {response.status_code} where the method should not exist"
        elif said(response) is not (expected := answer(act, {as_(role)})):
            yield f"{role}: the table says {expected.name}, the site answers {response.status_code}"


DOSSIER = sorted(name for name in ADDRESSES if name.partition(":")[0] in {"intake", "desk"} and name not in {
    "intake:list", "intake:new", "intake:take_over", "intake:invitation", "intake:ask_to_join",
    "intake:rhythm", "desk:queue", "desk:prepare", "intake:personal", "intake:erasure", "desk:person",
    "desk:erasures", "desk:erase",
    *(f"desk:{page}" for page in (
        "export", "save_view", "delete_view", "default_view", "load", "share_out", "absence", "cancel_absence", "bulk",
        "bulk_act", "bulk_export",
    ))})  # fmt: skip
OTHERS = sorted(set(ADDRESSES) - set(DOSSIER) - {"admin:*"})


def test_the_table_knows_every_address_and_no_other() -> None:
    here = {name for name in ALL if not name.startswith("admin:")}

    assert here == set(ADDRESSES) - {"admin:*"}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("name", OTHERS)
def test_an_address_answers_each_role_as_the_table_says(world: World, name: str, method: str) -> None:
    act = getattr(ADDRESSES[name], method)
    responses = {
        role: ask(user, method, reverse(name, kwargs=world.kwargs(name, user)), world.query(name))
        for role, user in world.people.items()
    }

    # What is the whole country's is away from whoever leads a local operator only.
    assert not list(
        differences(act, world, responses, lambda role: OUT_OF_SCOPE.get(role, role) if name in NATIONAL else role)
    )


def about(dossier: Any, name: str) -> dict[str, object]:
    """Return the arguments of an address about a dossier, and make the thing that it names."""
    kwargs: dict[str, object] = {"pk": dossier.pk}
    if name == "intake:step":
        kwargs["step"] = 1
    if name == "intake:preview":
        kwargs["table"] = MailboxImport.objects.create(
            dossier=dossier, version=1, author=dossier.author, rows=[{"number": 2, "values": {}, "refusal": ""}]
        ).pk
    if name in {"intake:answer_join", "intake:remove_author"}:
        asked = {"state": CoAuthor.State.ASKED, "user": UserFactory.create()}
        kwargs["who"] = CoAuthor.objects.create(dossier=dossier, **asked).pk
    if name == "desk:save_draft":
        kwargs["decision"] = "reject"
    return kwargs | of_the_thread(name, dossier.pk)


@pytest.mark.slow
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("name", DOSSIER)
def test_a_dossier_answers_each_role_as_the_table_says(world: World, name: str, status: str) -> None:
    url = reverse(name, kwargs=about(world.dossier(status), name))

    def seen(role: Role) -> Role:
        return OUT_OF_SCOPE.get(role, role) if status in UNSENT else role

    wrong: list[str] = []
    for method in ("get", "post"):
        responses = {role: ask(user, method, url, {}) for role, user in world.people.items()}
        wrong += differences(getattr(ADDRESSES[name], method), world, responses, seen)

    # A superadmin looks at what was sent; a draft, it does not see either.
    if status in UNSENT:
        wrong = [one for one in wrong if not one.startswith(Role.SUPERADMIN)]
    assert not wrong


@pytest.mark.parametrize("status", sorted(UNSENT))
def test_nobody_but_the_commune_sees_what_was_never_sent(world: World, status: str) -> None:
    url = reverse("intake:detail", args=[world.dossier(status).pk])
    outside = [role for role in Role if role not in {*COMMUNE_ROLES, Role.VISITOR}]

    assert {ask(world.people[role], "get", url, {}).status_code for role in outside} == {404}


def admin_addresses() -> Iterator[str]:
    """Yield the addresses of the admin, with identifiers of nothing."""
    for pattern in admin.site.get_urls():
        for one in getattr(pattern, "url_patterns", [pattern]):
            if not one.name or one.name in {"login", "logout", "password_change", "password_change_done"}:
                continue
            for args in ([], ["0"], ["accounts"], ["0", "0"]):
                try:
                    yield reverse(f"admin:{one.name}", args=args)
                except NoReverseMatch:
                    continue
                break


@pytest.mark.filterwarnings("ignore:The default scheme")  # of the form that a window never shows
def test_the_admin_opens_to_a_superadmin_only_and_changes_nothing(world: World) -> None:
    addresses = list(admin_addresses())
    outsiders = [user for role, user in world.people.items() if role is not Role.SUPERADMIN]

    assert len(addresses) > 20
    assert {
        said(ask(user, method, url, {})) for url in addresses for user in outsiders[:3] for method in ("get", "post")
    } <= {
        Answer.SIGN_IN,
        Answer.FORBIDDEN,
        Answer.HIDDEN,
    }
    for user in outsiders:
        assert said(ask(user, "get", reverse("admin:index"), {})) is Answer.SIGN_IN
    superadmin = world.people[Role.SUPERADMIN]
    assert ask(superadmin, "get", reverse("admin:index"), {}).status_code == 200
    before = User.objects.count()
    for url in addresses:
        assert ask(superadmin, "post", url, {"post": "yes"}).status_code < 500
    assert User.objects.count() == before


def test_no_window_of_the_admin_is_a_door_whoever_made_it(world: World, rf: RequestFactory) -> None:
    """Those of the packages too: Django's groups and the design system's settings were."""
    request = rf.get("/admin/")
    superadmin = world.people[Role.SUPERADMIN]
    assert superadmin
    request.user = superadmin
    doors = {
        model.__name__
        for model, window in admin.site._registry.items()  # noqa: SLF001 - Django offers no other list
        if window.has_add_permission(request)
        or window.has_change_permission(request)
        or window.has_delete_permission(request)
    }

    assert doors == set()


def test_no_act_is_without_an_address() -> None:
    used = {act for one in ADDRESSES.values() for act in one if act}

    assert {name for name, act in ACTS.items() if act not in used} == set()


def test_a_superadmin_decides_no_dossier_even_as_a_lead(world: World) -> None:
    superadmin = world.people[Role.SUPERADMIN]
    assert superadmin
    OperatorRoleFactory.create(user=superadmin, operator=world.home, lead=True)
    dossier = world.dossier("in_review")

    assert ask(superadmin, "get", reverse("desk:detail", args=[dossier.pk]), {}).status_code == 200
    for name in ("take", "release", "assign", "approve", "reject", "request_changes"):
        assert ask(superadmin, "post", reverse(f"desk:{name}", args=[dossier.pk]), {}).status_code == 403


def test_a_role_counts_at_its_own_operator_only(world: World) -> None:
    """A reader here who instructs elsewhere does not instruct here."""
    user = world.people[Role.AWAY_INSTRUCTOR]
    OperatorRoleFactory.create(user=user, operator=world.home, reader=True)
    dossier = world.dossier("sent")

    assert ask(user, "get", reverse("desk:detail", args=[dossier.pk]), {}).status_code == 200
    assert ask(user, "post", reverse("desk:take", args=[dossier.pk]), {"version": "1"}).status_code == 403


def test_the_roles_of_the_table_are_twelve_and_disjoint() -> None:
    assert len(Role) == 12
    assert not HOME & AWAY


class TestCommand:
    def test_the_documentation_is_current(self) -> None:
        call_command("permissions", check=True)

    def test_it_says_when_it_is_not(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        monkeypatch.setattr(command, "PAGE", tmp_path / "permissions.md")
        with pytest.raises(CommandError, match="plus à jour"):
            call_command("permissions", check=True)
        call_command("permissions", stdout=StringIO())
        call_command("permissions", check=True)
