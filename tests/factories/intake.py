"""Dossiers in each situation of their life, built without the verbs so that a test may start anywhere."""

from datetime import timedelta
from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from onboarding.agreements.models import Acceptance, Signatory
from onboarding.agreements.texts import bundle, in_force, route
from onboarding.intake import names
from onboarding.intake.models import Dossier, MailboxRequest, NameChoice, Remark
from onboarding.intake.proposal_models import Proposal
from tests.factories.accounts import UserFactory
from tests.factories.directory import CommuneFactory, OperatorFactory

VERDICT = {"outcome": "eligible_anct", "reason": "Éligible.", "population": 1200, "population_year": 2023}


class NameChoiceFactory(DjangoModelFactory[NameChoice]):
    """A wish: the commune's own name under the shared zone."""

    class Meta:
        model = NameChoice

    dossier = factory.SubFactory("tests.factories.intake.DossierFactory")
    rank = 0
    typed = factory.LazyAttribute(lambda it: f"{names.slug(it.dossier.organization.name)}.collectivite.fr")
    fqdn = factory.LazyAttribute(lambda it: names.normalise(it.typed))
    skeleton = factory.LazyAttribute(lambda it: names.skeleton(it.fqdn))


class MailboxRequestFactory(DjangoModelFactory[MailboxRequest]):
    """A person's mailbox."""

    class Meta:
        model = MailboxRequest

    dossier = factory.SubFactory("tests.factories.intake.DossierFactory")
    position = factory.LazyAttribute(lambda it: it.dossier.mailboxes.count())
    kind = MailboxRequest.Kind.PERSONAL
    given_name = "Camille"
    family_name = factory.Sequence(lambda n: f"Dupont{n}")
    local_part = factory.LazyAttribute(lambda it: f"{it.given_name}.{it.family_name}".lower())
    recovery_email = "secours@ailleurs.example"

    class Params:
        shared = factory.Trait(
            kind=MailboxRequest.Kind.SHARED, given_name="", family_name="", local_part="mairie", recovery_email=""
        )


class DossierFactory(DjangoModelFactory[Dossier]):
    """A complete draft of a village; the traits move it along its life. `empty` leaves it as `create` does."""

    class Meta:
        model = Dossier
        skip_postgeneration_save = True

    reference = factory.Sequence(lambda n: f"D-2000-{n:05d}")
    organization = factory.SubFactory(CommuneFactory)
    author = factory.SubFactory(UserFactory)
    requester_given_name = "Camille"
    requester_family_name = "Dupont"
    requester_function = Dossier.Function.SECRETARY
    requester_email = "camille@ailleurs.example"
    requester_phone = "02 97 00 00 00"
    family = Dossier.Family.SHARED
    storage_gb = 10
    declares_exact = True
    declares_mandate = True
    accepts_terms = True
    terms_version = factory.LazyAttribute(
        lambda it: bundle(in_force(getattr(it, "operator", None) or route(it.organization)))
    )

    class Params:
        empty = factory.Trait(
            requester_function="",
            requester_phone="",
            family="",
            declares_exact=False,
            declares_mandate=False,
            accepts_terms=False,
            terms_version="",
        )
        sent = factory.Trait(
            status=Dossier.Status.SUBMITTED,
            operator=factory.SubFactory(OperatorFactory),
            submitted_at=factory.LazyFunction(timezone.now),
            last_submitted_at=factory.SelfAttribute("submitted_at"),
            clock_at=factory.SelfAttribute("submitted_at"),
            verdict=factory.LazyFunction(lambda: dict(VERDICT)),
        )
        in_review = factory.Trait(sent=True, status=Dossier.Status.IN_REVIEW, assignee=factory.SubFactory(UserFactory))
        second_approval = factory.Trait(in_review=True, status=Dossier.Status.SECOND_APPROVAL)
        needs_changes = factory.Trait(
            in_review=True, status=Dossier.Status.NEEDS_CHANGES, paused_at=factory.LazyFunction(timezone.now)
        )
        approved = factory.Trait(
            in_review=True,
            status=Dossier.Status.APPROVED,
            decided_at=factory.LazyFunction(timezone.now),
            decided_by=factory.SelfAttribute("assignee"),
        )
        rejected = factory.Trait(
            in_review=True,
            status=Dossier.Status.REJECTED,
            decided_at=factory.LazyFunction(timezone.now),
            decided_by=factory.SelfAttribute("assignee"),
        )
        revoked = factory.Trait(approved=True, status=Dossier.Status.REVOKED)
        withdrawn = factory.Trait(sent=True, status=Dossier.Status.WITHDRAWN)
        expired = factory.Trait(status=Dossier.Status.EXPIRED)

    @factory.post_generation  # type: ignore[untyped-decorator] # factory_boy declares no types
    def contents(self: Any, create: bool, extracted: object, **_: object) -> None:  # noqa: FBT001 - its signature
        """Give a complete dossier its wish and the requester's mailbox; `contents=False` does not."""
        if create and extracted is not False and self.family:
            NameChoiceFactory.create(dossier=self)
            MailboxRequestFactory.create(dossier=self, administrator=True)

    @factory.post_generation  # type: ignore[untyped-decorator] # factory_boy declares no types
    def accepted(self: Any, create: bool, extracted: object, **_: object) -> None:  # noqa: FBT001 - its signature
        """Give a dossier that was sent the acceptances of its sending; `accepted=False` does not."""
        if create and extracted is not False and self.submitted_at:
            for text in in_force(self.operator):
                acceptance = Acceptance.objects.create(
                    text=text, organization=self.organization, operator=self.operator, user=self.author, mandate=1,
                    digest=text.digest, case=self.pk,
                )  # fmt: skip
                Signatory.objects.create(acceptance=acceptance, name="Camille Dupont", function="Secrétaire de mairie")


class RemarkFactory(DjangoModelFactory[Remark]):
    """A correction asked about the mailboxes."""

    class Meta:
        model = Remark

    dossier = factory.SubFactory(DossierFactory, needs_changes=True)
    reason = "mailbox_list"
    fields = factory.LazyFunction(lambda: ["mailboxes"])
    text = "Il manque l’accueil."


class ProposalFactory(DjangoModelFactory[Proposal]):
    """Somebody who instructs proposes to accept; the trait proposes to end an approval."""

    class Meta:
        model = Proposal

    dossier = factory.SubFactory(DossierFactory, second_approval=True)
    kind = Proposal.Kind.APPROVAL
    proposer = factory.SelfAttribute("dossier.assignee")
    version = factory.SelfAttribute("dossier.version")
    reason = "Vérifié auprès de la préfecture."
    lapses_at = factory.LazyFunction(lambda: timezone.now() + timedelta(days=7))

    class Params:
        revocation = factory.Trait(kind=Proposal.Kind.REVOCATION)
