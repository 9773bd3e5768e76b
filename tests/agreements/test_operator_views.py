"""The operators write their texts, follow who signed, and confirm."""

import datetime as dt

import pytest
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from onboarding.agreements import texts, workflow
from onboarding.agreements.handover_models import DepartingMailbox, Handover
from onboarding.agreements.models import Acceptance, Text
from onboarding.provisioning.models import Resource
from suite.accounts.mandates import Mandate
from suite.accounts.models import OperatorRole, User
from suite.directory.models import Operator, Organization
from tests.agreements.test_views import sign_in
from tests.agreements.test_workflow import accepted
from tests.factories.accounts import OperatorRoleFactory
from tests.factories.agreements import TextFactory
from tests.factories.directory import CommuneFactory, OperatorFactory
from tests.factories.provisioning import deployment

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft(operator: Operator, lead: User) -> Text:
    return workflow.open_draft(operator, "prices", by=lead)


def typed(draft: Text, **more: str) -> dict[str, str]:
    return {
        "revision": str(draft.revision), "title": "Nos prix", "body": "Voici nos prix.", "changes": "Hausse.",
        "grace_days": "45", "prix": "2", "prix-0-label": "Assistance", "prix-0-payer": "operator",
        "prix-0-amount": "120,50", "prix-0-unit": "year", "prix-0-note": "", "prix-1-payer": "operator",
        "prix-1-unit": "year", **more,
    }  # fmt: skip


class TestOperators:
    def test_a_lead_of_one_goes_straight_there_and_the_anct_s_sees_all(self, operator: Operator, lead: User) -> None:
        assert sign_in(lead).get("/conventions/operateurs/")["Location"].endswith(f"{operator.pk}/")
        national = OperatorRoleFactory.create(national=True, lead=True).user
        html = sign_in(national).get("/conventions/operateurs/").content.decode()
        assert operator.name in html
        assert "modèles nationaux" in html


class TestTexts:
    def test_it_shows_what_is_in_force_to_come_and_drafted(self, operator: Operator, lead: User, draft: Text) -> None:
        coming = TextFactory.create(operator=operator, coming=True)
        html = sign_in(lead).get(reverse("agreements:texts", args=[operator.pk])).content.decode()

        assert "modèle national" in html
        assert reverse("agreements:edit", args=[draft.pk]) in html
        assert reverse("agreements:text", args=[coming.pk]) in html

    def test_another_operator_s_texts_are_out_of_reach(self, lead: User) -> None:
        other = OperatorFactory.create()
        assert sign_in(lead).get(reverse("agreements:texts", args=[other.pk])).status_code == 404


class TestDraft:
    def test_it_opens_the_form(self, operator: Operator, lead: User) -> None:
        response = sign_in(lead).post(reverse("agreements:draft", args=[operator.pk, "convention"]))
        assert response["Location"] == reverse("agreements:edit", args=[Text.objects.get(operator=operator).pk])

    def test_an_unknown_document_is_404(self, operator: Operator, lead: User) -> None:
        assert sign_in(lead).post(reverse("agreements:draft", args=[operator.pk, "autre"])).status_code == 404


class TestEdit:
    def test_prices_are_stored_as_typed_in_french(self, lead: User, draft: Text) -> None:
        url = reverse("agreements:edit", args=[draft.pk])
        assert sign_in(lead).post(url, typed(draft)).status_code == 302

        saved = Text.objects.get(pk=draft.pk)
        assert [(one.label, str(one.amount)) for one in saved.prices.all()] == [("Assistance", "120.50")]
        assert saved.grace_days == 45

    @pytest.mark.parametrize(
        ("field", "value", "said"),
        [
            ("title", "", "Donnez un titre"),
            ("grace_days", "3", "au moins 15 jours"),
            ("prix-0-amount", "-1", "ne descend pas sous 0"),
            ("prix-0-amount", "", "Donnez le prix de"),
            ("prix-0-label", "", "à quoi correspond ce prix"),
        ],
    )
    def test_what_is_wrong_is_said_and_what_was_typed_stays(
        self, lead: User, draft: Text, field: str, value: str, said: str
    ) -> None:
        url = reverse("agreements:edit", args=[draft.pk])
        response = sign_in(lead).post(url, typed(draft, **{field: value}))

        assert response.status_code == 422
        assert said in response.content.decode()
        assert "Voici nos prix." in response.content.decode()
        assert Text.objects.get(pk=draft.pk).revision == draft.revision

    def test_r05_a_stale_save_keeps_the_text_on_the_screen(self, lead: User, draft: Text) -> None:
        url = reverse("agreements:edit", args=[draft.pk])
        client = sign_in(lead)
        client.post(url, typed(draft))
        response = client.post(url, typed(draft, body="Le mien, plus tard."))

        assert response.status_code == 409
        assert "Le mien, plus tard." in response.content.decode()
        assert Text.objects.get(pk=draft.pk).body == "Voici nos prix."


class TestPublish:
    def test_the_preview_is_what_is_published(self, lead: User, operator: Operator, draft: Text) -> None:
        client = sign_in(lead)
        client.post(reverse("agreements:edit", args=[draft.pk]), typed(draft))
        url = reverse("agreements:publish", args=[draft.pk])
        assert "120,50" in client.get(url).content.decode()
        answer = client.post(url, {"revision": "2", "effective_on": timezone.localdate().isoformat()})
        assert answer.status_code == 302, answer.content.decode()

        found = texts.in_force(operator)[0]
        assert (found.title, found.number, found.published_by) == ("Nos prix", 1, lead)

    def test_a_day_in_the_past_is_refused(self, lead: User, draft: Text) -> None:
        yesterday = timezone.localdate() - dt.timedelta(days=1)
        url = reverse("agreements:publish", args=[draft.pk])
        response = sign_in(lead).post(url, {"revision": "1", "effective_on": yesterday.isoformat()})

        assert response.status_code == 422
        assert not Text.objects.get(pk=draft.pk).is_published

    def test_a_second_factor_is_asked(self, lead: User, draft: Text) -> None:
        client = sign_in(lead)
        session = client.session
        del session["step_up"]
        session.save()
        response = client.post(reverse("agreements:publish", args=[draft.pk]), {"revision": "1"})

        assert response.status_code == 403
        assert not Text.objects.get(pk=draft.pk).is_published

    def test_an_instructor_publishes_nothing(self, operator: Operator, draft: Text) -> None:
        user = OperatorRoleFactory.create(operator=operator, role=OperatorRole.Role.INSTRUCTOR).user
        assert sign_in(user).post(reverse("agreements:publish", args=[draft.pk]), {}).status_code == 403


class TestDiscard:
    def test_a_draft_goes_a_published_text_stays(self, lead: User, operator: Operator, draft: Text) -> None:
        out = TextFactory.create(operator=operator)
        client = sign_in(lead)
        for text in (draft, out):
            client.post(reverse("agreements:discard", args=[text.pk]))

        assert list(Text.objects.filter(operator=operator)) == [out]


class TestFollow:
    def test_it_lists_who_has_not_accepted_in_one_s_own_scope(
        self,
        commune: Organization,
        operator: Operator,
        lead: User,
        secretary: User,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        accepted(commune, secretary, Mandate.ATTACHED)
        late = CommuneFactory.create(name="Retard-sur-Loire")
        operator.organizations.add(late)
        elsewhere = CommuneFactory.create(name="Ailleurs")
        OperatorFactory.create().organizations.add(elsewhere)
        client = sign_in(lead)
        with django_assert_max_num_queries(15):
            html = client.get("/conventions/suivi/").content.decode()

        assert "Retard-sur-Loire" in html
        assert "Conventions à confirmer" in html
        assert "Ailleurs" not in html


class TestConfirm:
    def test_what_was_verified_is_written(self, commune: Organization, secretary: User, lead: User) -> None:
        convention = accepted(commune, secretary, Mandate.ATTACHED)[1]
        url, client = reverse("agreements:confirm", args=[convention.pk]), sign_in(lead)

        assert client.post(url, {"check_text": ""}).status_code == 422
        assert client.post(url, {"check_text": "Appel à la mairie ce matin."}).status_code == 302
        assert texts.is_firm(Acceptance.objects.get(pk=convention.pk))

    def test_who_belongs_to_the_commune_confirms_nothing_there(
        self, commune: Organization, secretary: User, operator: Operator
    ) -> None:
        convention = accepted(commune, secretary, Mandate.ATTACHED)[1]
        OperatorRoleFactory.create(user=secretary, operator=operator, lead=True)
        response = sign_in(secretary).post(
            reverse("agreements:confirm", args=[convention.pk]), {"check_text": "Appel à la mairie."}
        )

        assert response.status_code == 403


class TestHandovers:
    def test_it_lists_the_mailboxes_to_disable_of_its_own_communes(
        self, commune: Organization, operator: Operator, lead: User, manager: User
    ) -> None:
        built = deployment(organization=commune, operator=operator)
        mailbox = Resource.objects.filter(deployment=built, kind=Resource.Kind.MAILBOX).first()
        assert mailbox is not None
        handover = Handover.objects.create(
            organization=commune, since=timezone.localdate(), outcome="changed", opened_by=manager
        )
        DepartingMailbox.objects.create(handover=handover, resource=mailbox, by=manager)
        other = OperatorRoleFactory.create(lead=True).user

        assert mailbox.key in sign_in(lead).get("/conventions/passations/").content.decode()
        assert mailbox.key not in sign_in(other).get("/conventions/passations/").content.decode()
