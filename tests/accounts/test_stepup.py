import json
import re
import time
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.test import Client, RequestFactory
from django.urls import reverse

from suite.accounts import stepup
from suite.accounts.models import OperatorRole, User
from suite.accounts.refusals import SignInRefused
from suite.accounts.tokens import Authentication
from suite.journal.models import Event
from tests.accounts.elevation import elevate
from tests.accounts.threads import together
from tests.factories.accounts import IdentityFactory, OperatorRoleFactory, UserFactory
from tests.factories.directory import OperatorFactory

pytestmark = pytest.mark.django_db

ADMIN = "/admin/accounts/user/"


@stepup.required()
def sensitive(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"done {request.method}")


@stepup.required(single_use=True)
def irreversible(request: HttpRequest, status: int = 200) -> HttpResponse:
    return HttpResponse("done", status=status)


@stepup.required(mailbox=True)
def about_a_mailbox(request: HttpRequest) -> HttpResponse:
    return HttpResponse("done")


@pytest.fixture
def agent(client: Client) -> User:
    user = UserFactory.create()
    client.force_login(user)
    return user


def request_of(client: Client, user: User, method: str = "GET", path: str = "/acte/", **data: Any) -> HttpRequest:
    """Make a request in the browser's own session, as its row now is."""
    request: HttpRequest = getattr(RequestFactory(), method.lower())(path, data)
    request.user = user
    request.session = client.session.__class__(client.session.session_key)
    request.resolver_match = None
    return request


def is_asked(response: HttpResponseBase) -> bool:
    return response.status_code == 403 and "Confirmez que c’est bien vous" in getattr(response, "text", "")


class TestElevation:
    def test_a_session_without_a_second_factor_is_asked_for_one(self, client: Client, agent: User) -> None:
        assert is_asked(sensitive(request_of(client, agent)))
        assert is_asked(sensitive(request_of(client, agent, "POST")))

    def test_a_second_factor_lasts_ten_minutes(self, client: Client, agent: User) -> None:
        with time_machine.travel(time.time(), tick=False) as clock:
            elevate(client)
            clock.shift(600)
            assert sensitive(request_of(client, agent)).status_code == 200
            clock.shift(1)
            assert is_asked(sensitive(request_of(client, agent)))

    def test_a_factor_of_tomorrow_is_none(self, client: Client, agent: User) -> None:
        elevate(client, ago=-60)
        assert is_asked(sensitive(request_of(client, agent)))

    def test_the_sign_in_s_own_factor_serves_for_what_can_be_undone_only(self, client: Client, agent: User) -> None:
        elevate(client, asked=False)
        assert sensitive(request_of(client, agent, "POST")).status_code == 200
        assert is_asked(irreversible(request_of(client, agent, "POST")))

    def test_row_71_a_code_by_mail_is_not_enough_for_a_mailbox(self, client: Client, agent: User) -> None:
        elevate(client, by_mail=True)
        assert sensitive(request_of(client, agent)).status_code == 200
        response = about_a_mailbox(request_of(client, agent))
        assert is_asked(response)
        assert "Un code reçu par courriel ne suffit pas" in response.text  # type: ignore[attr-defined]


class TestSingleUse:
    def test_one_factor_serves_one_act(self, client: Client, agent: User) -> None:
        elevate(client)
        assert irreversible(request_of(client, agent)).status_code == 200  # the form is not the act
        assert irreversible(request_of(client, agent, "POST")).status_code == 200
        assert is_asked(irreversible(request_of(client, agent, "POST")))
        # What can be undone is not asked again.
        assert sensitive(request_of(client, agent, "POST")).status_code == 200

    def test_a_refused_act_gives_the_factor_back(self, client: Client, agent: User) -> None:
        elevate(client)
        assert irreversible(request_of(client, agent, "POST"), status=422).status_code == 422
        assert irreversible(request_of(client, agent, "POST")).status_code == 200

    def test_an_act_that_fails_gives_the_factor_back(self, client: Client, agent: User) -> None:
        @stepup.required(single_use=True)
        def failing(request: HttpRequest) -> HttpResponse:
            raise ValueError(request.method)

        elevate(client)
        with pytest.raises(ValueError, match="POST"):
            failing(request_of(client, agent, "POST"))
        assert irreversible(request_of(client, agent, "POST")).status_code == 200

    @pytest.mark.django_db(transaction=True)
    def test_of_two_acts_at_once_one_is_done(self, client: Client, agent: User) -> None:
        elevate(client)
        answers, failures = together(lambda: irreversible(request_of(client, agent, "POST")).status_code, 2)
        assert (sorted(map(str, answers)), failures) == (["200", "403"], [])


class TestWhatWasTyped:
    def keep(self, client: Client, user: User, **data: Any) -> str:
        """Send a form without a factor; return where the person lands afterwards."""
        request = request_of(client, user, "POST", **data)
        response = sensitive(request)
        request.session.save()
        assert "conservé" in response.text  # type: ignore[attr-defined]
        link = re.search(r'href="(/connexion/proconnect/[^"]+)"', response.text)  # type: ignore[attr-defined]
        assert link is not None
        return parse_qs(urlsplit(unescape(link[1])).query)["next"][0]

    def test_it_comes_back_in_a_form_ready_to_be_sent(self, client: Client, agent: User) -> None:
        landing = self.keep(
            client, agent, message="L’été « à <Rochefort> »", reasons=["a", "b"], csrfmiddlewaretoken="x"
        )
        elevate(client)
        page = sensitive(request_of(client, agent, path=landing)).text  # type: ignore[attr-defined]
        assert 'action="/acte/"' in page
        assert 'name="message" value="L’été « à &lt;Rochefort&gt; »"' in page
        assert page.count('name="reasons"') == 2
        assert 'value="x"' not in page

    def test_it_is_forgotten_once_sent(self, client: Client, agent: User) -> None:
        landing = self.keep(client, agent, message="bonjour")
        elevate(client)
        request = request_of(client, agent, "POST", message="bonjour")
        assert sensitive(request).status_code == 200
        request.session.save()
        assert "bonjour" not in sensitive(request_of(client, agent, path=landing)).text  # type: ignore[attr-defined]

    def test_it_waits_an_hour(self, client: Client, agent: User) -> None:
        with time_machine.travel(time.time(), tick=False) as clock:
            landing = self.keep(client, agent, message="bonjour")
            clock.shift(3601)
            elevate(client)
            assert sensitive(request_of(client, agent, path=landing)).text == "done GET"  # type: ignore[attr-defined]

    def test_it_comes_back_at_its_own_address_only(self, client: Client, agent: User) -> None:
        landing = self.keep(client, agent, message="bonjour").replace("/acte/", "/autre/")
        elevate(client)
        assert sensitive(request_of(client, agent, path=landing)).text == "done GET"  # type: ignore[attr-defined]

    def test_it_stays_in_the_session_of_whoever_typed_it(self, client: Client, agent: User) -> None:
        landing = self.keep(client, agent, message="bonjour")
        other = Client()
        stranger = UserFactory.create()
        other.force_login(stranger)
        elevate(other)
        assert sensitive(request_of(other, stranger, path=landing)).text == "done GET"  # type: ignore[attr-defined]

    def test_three_forms_are_kept_at_most(self, client: Client, agent: User) -> None:
        for number in range(5):
            request = request_of(client, agent, "POST", path=f"/acte-{number}/", message="x")
            sensitive(request)
            request.session.save()
        kept = client.session[stepup.TYPED].values()
        assert sorted(one["path"] for one in kept) == ["/acte-2/", "/acte-3/", "/acte-4/"]

    def test_what_is_too_long_to_be_kept_is_said(self, client: Client, agent: User) -> None:
        request = request_of(client, agent, "POST", message="é" * 200_001)
        assert "n’a pas pu être conservée" in sensitive(request).text  # type: ignore[attr-defined]
        assert stepup.TYPED not in request.session


class TestVerify:
    @pytest.fixture
    def identity(self) -> Any:
        return IdentityFactory.create()

    def test_the_same_person_with_a_second_factor_passes(self, identity: Any) -> None:
        stepup.verify(Authentication(identity.sub, "eidas2", ()), user=str(identity.user_id), sub=identity.sub)

    @pytest.mark.parametrize("acr", ["eidas1", "eidas0-mfa", "eidas0", ""])
    def test_row_71_a_level_below_the_list_is_refused(self, identity: Any, acr: str) -> None:
        with pytest.raises(SignInRefused) as refused:
            stepup.verify(Authentication(identity.sub, acr, ()), user=str(identity.user_id), sub=identity.sub)
        assert refused.value.code == "step_up_weak"

    def test_row_70_another_sub_is_refused(self, identity: Any) -> None:
        other = IdentityFactory.create()
        with pytest.raises(SignInRefused) as refused:
            stepup.verify(Authentication(other.sub, "eidas2", ()), user=str(identity.user_id), sub=identity.sub)
        assert refused.value.code == "step_up_other"

    def test_another_identity_of_the_same_account_is_refused(self, identity: Any) -> None:
        second = IdentityFactory.create(user=identity.user)
        with pytest.raises(SignInRefused):
            stepup.verify(Authentication(second.sub, "eidas2", ()), user=str(identity.user_id), sub=identity.sub)

    def test_row_74_the_same_sub_of_another_issuer_is_refused(self, identity: Any, settings: Any) -> None:
        settings.OIDC_OP_ISSUER = "https://other.example/api/v2"
        with pytest.raises(SignInRefused):
            stepup.verify(Authentication(identity.sub, "eidas2", ()), user=str(identity.user_id), sub=identity.sub)


class TestLeaving:
    def test_proconnect_is_asked_for_the_levels_and_nothing_else(self, client: Client, agent: User) -> None:
        response = client.get("/connexion/proconnect/", {"confirmation": "1", "next": "/demandes/"})
        query = parse_qs(urlsplit(response["Location"]).query)
        asked = json.loads(query["claims"][0])["id_token"]
        assert asked == {
            "acr": {"essential": True, "values": ["eidas1-mfa", "eidas2", "eidas3"]},
            "amr": {"essential": True},
        }
        entry = client.session["oidc_states"][query["state"][0]]
        assert (entry["purpose"], entry["user"], entry["next"]) == ("step-up", str(agent.pk), "/demandes/")

    def test_a_visitor_signs_in_with_a_second_factor_instead(self, client: Client) -> None:
        response = client.get("/connexion/proconnect/", {"confirmation": "1"})
        query = parse_qs(urlsplit(response["Location"]).query)
        assert client.session["oidc_states"][query["state"][0]]["purpose"] == "stronger"

    def test_giving_up_at_proconnect_keeps_the_session_and_is_journalled(self, client: Client, agent: User) -> None:
        response = client.get("/connexion/proconnect/", {"confirmation": "1"})
        state = parse_qs(urlsplit(response["Location"]).query)["state"][0]
        page = client.get("/connexion/retour/", {"state": state, "error": "access_denied"})
        assert page.status_code == 403
        assert "Le second facteur n’a pas été donné" in page.text
        assert client.session["_auth_user_id"] == str(agent.pk)
        event = Event.objects.get(kind="account.step_up_refused")
        assert (event.subject, event.payload) == (agent.pk, {"reason": "callback.access_denied"})


class TestWhereItIsAsked:
    def test_the_admin_s_windows(self, client: Client) -> None:
        client.force_login(UserFactory.create(staff=True))
        assert is_asked(client.get(ADMIN))
        elevate(client)
        assert client.get(ADMIN).status_code == 200

    def test_the_page_leads_to_proconnect_and_back(self, client: Client) -> None:
        client.force_login(UserFactory.create(staff=True))
        page = client.get(f"{ADMIN}?q=a").text
        assert "/connexion/proconnect/?confirmation=1&amp;next=%2Fadmin%2Faccounts%2Fuser%2F%3Fq%3Da" in page

    def test_the_export_of_the_pilot_group(self, client: Client) -> None:
        lead = OperatorRoleFactory.create(
            role=OperatorRole.Role.LEAD, operator=OperatorFactory.create(national_one=True)
        ).user
        client.force_login(lead)
        assert is_asked(client.get(reverse("analytics:pilot_csv")))
        elevate(client)
        assert client.get(reverse("analytics:pilot_csv")).status_code == 200

    def test_nobody_is_asked_before_being_out_of_role(self, client: Client, agent: User) -> None:
        response = client.get(reverse("analytics:pilot_csv"))
        assert response.status_code == 403
        assert not is_asked(response)
        assert settings.CONTACT_EMAIL in response.text
