import re
import time
from io import StringIO
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client, RequestFactory
from django.urls import NoReverseMatch, reverse

from suite.accounts import breakglass
from suite.accounts.checks import FORBIDDEN_PAGES
from suite.accounts.models import BreakGlass, Membership, User
from suite.journal.models import Event
from suite.notices.models import Notice
from tests.accounts.elevation import elevate
from tests.factories.accounts import IdentityFactory, OperatorRoleFactory, UserFactory

pytestmark = pytest.mark.django_db

DOOR, FACTOR, AGAIN = "/secours/connexion/", "/secours/second-facteur/", "/secours/second-facteur/confirmation/"
HOLDER, STRANGER = "192.0.2.1", "203.0.113.9"


@pytest.fixture
def envelope() -> breakglass.Envelope:
    return breakglass.create("coffre-1")


def code(envelope: breakglass.Envelope, shift: int = 0) -> str:
    """Return what the authenticator application shows."""
    return str(format_hotp_value(hotp_value(envelope.totp_secret, int(time.time()) // 30 + shift)))


def present(client: Client, envelope: breakglass.Envelope, address: str = HOLDER, **changes: str) -> Any:
    data = {"login": envelope.name, "password": envelope.password, **changes}
    return client.post(DOOR, data, REMOTE_ADDR=address)


def come_in(client: Client, envelope: breakglass.Envelope) -> Any:
    assert present(client, envelope)["Location"] == FACTOR
    return client.post(FACTOR, {"code": code(envelope)}, REMOTE_ADDR=HOLDER)


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


class TestComingIn:
    def test_the_password_and_a_code_open_the_admin(self, client: Client, envelope: breakglass.Envelope) -> None:
        assert come_in(client, envelope)["Location"] == "/admin/"
        assert client.get("/admin/").status_code == 200
        assert client.session["_auth_user_backend"] == breakglass.BACKEND

    def test_the_password_alone_opens_nothing(self, client: Client, envelope: breakglass.Envelope) -> None:
        present(client, envelope)
        assert not is_in(client)
        assert client.get("/admin/").status_code == 302

    def test_a_recovery_code_serves_once(self, envelope: breakglass.Envelope) -> None:
        first, second = Client(), Client()
        for client, opens in ((first, True), (second, False)):
            present(client, envelope)
            client.post(FACTOR, {"code": envelope.recovery_codes[0]})
            assert is_in(client) is opens

    def test_a_code_serves_once_as_long_as_it_lives(self, envelope: breakglass.Envelope) -> None:
        with time_machine.travel(time.time(), tick=False) as clock:
            shown = code(envelope, 1)  # the application is half a minute fast
            first, second = Client(), Client()
            present(first, envelope)
            first.post(FACTOR, {"code": shown})
            assert is_in(first)
            clock.shift(31)
            present(second, envelope)
            assert second.post(FACTOR, {"code": shown}).status_code == 422
            assert not is_in(second)

    def test_the_pages_say_what_is_asked_and_tie_each_word_to_its_field(
        self, client: Client, envelope: breakglass.Envelope
    ) -> None:
        door = client.get(DOOR).text
        for words in ("Nom du compte de secours", "Quatre groupes de huit caractères"):
            assert words in door
        present(client, envelope)
        assert "Code à usage unique" in client.get(FACTOR).text
        page = client.post(FACTOR, {"code": "000"}).text
        assert "Erreur :" in page.replace("\u00a0", " ")
        assert 'href="#id_code"' in page
        assert 'id="id_code"' in page

    def test_a_wrong_password_is_refused_in_french(self, client: Client, envelope: breakglass.Envelope) -> None:
        response = present(client, envelope, password="non")
        assert response.status_code == 422
        assert "ne vont pas ensemble" in response.text
        assert "non" not in re.findall(r'value="([^"]*)"', response.text)
        assert not is_in(client)

    def test_an_unknown_name_is_refused_alike(self, client: Client, envelope: breakglass.Envelope) -> None:
        known, unknown = present(client, envelope, password="non"), present(client, envelope, login="coffre-9")
        assert (known.status_code, unknown.status_code) == (422, 422)
        assert "ne vont pas ensemble" in unknown.text

    def test_the_session_starts_from_nothing(self, client: Client, envelope: breakglass.Envelope) -> None:
        session = client.session
        session["planted"] = "by somebody"
        session.save()
        planted = session.session_key
        come_in(client, envelope)
        assert client.session.session_key != planted
        assert "planted" not in client.session

    def test_a_landing_of_another_origin_is_forgotten(self, client: Client, envelope: breakglass.Envelope) -> None:
        data = {"login": envelope.name, "password": envelope.password, "next": "https://evil.example/"}
        client.post(f"{DOOR}?next=https://evil.example/", data)
        assert client.post(FACTOR, {"code": code(envelope)})["Location"] == "/admin/"

    @pytest.mark.parametrize("query", [{"code": "c"}, {"state": "s"}, {"code": "c", "state": "s"}], ids=str)
    def test_row_58_a_code_or_a_state_in_the_address_signs_nobody_in(
        self, client: Client, envelope: breakglass.Envelope, query: dict[str, str]
    ) -> None:
        data = {"login": envelope.name, "password": envelope.password}
        assert client.post(DOOR, data, query_params=query).status_code == 422
        assert not is_in(client)

    def test_a_session_lasts_an_hour_whatever_happens_in_it(
        self, client: Client, envelope: breakglass.Envelope
    ) -> None:
        with time_machine.travel(time.time(), tick=False) as clock:
            come_in(client, envelope)
            for _ in range(6):
                clock.shift(599)
                assert is_in(client)
                client.get("/mentions-legales/")
            clock.shift(7)
            client.get("/mentions-legales/")
            assert not is_in(client)

    def test_signing_out_does_not_go_to_proconnect(self, client: Client, envelope: breakglass.Envelope) -> None:
        come_in(client, envelope)
        assert client.post("/deconnexion/")["Location"] == "/"
        assert not is_in(client)


class TestWithoutAFactor:
    def test_row_73_an_account_without_a_factor_does_not_come_in(
        self, client: Client, envelope: breakglass.Envelope
    ) -> None:
        Authenticator.objects.all().delete()
        assert present(client, envelope).status_code == 422
        assert not is_in(client)

    def test_row_73_a_factor_removed_ends_what_was_open(self, client: Client, envelope: breakglass.Envelope) -> None:
        come_in(client, envelope)
        Authenticator.objects.filter(type="totp").delete()
        assert client.get("/admin/").status_code == 302
        assert client.get("/demandes/").status_code == 302

    def test_row_73_a_session_that_no_factor_opened_may_only_leave(
        self, client: Client, envelope: breakglass.Envelope
    ) -> None:
        client.force_login(User.objects.get(break_glass__name=envelope.name), backend=breakglass.BACKEND)
        for path in ("/admin/", "/demandes/", "/", "/mentions-legales/"):
            response = client.get(path)
            assert response.status_code == 403, path
            assert "n’a plus de second facteur" in response.text
        assert client.post("/deconnexion/").status_code == 302
        assert not is_in(client)


class TestWhoIsNot:
    @pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}], ids=str)
    def test_a_closed_account_loses_its_session_at_once(
        self, client: Client, envelope: breakglass.Envelope, change: dict[str, bool]
    ) -> None:
        come_in(client, envelope)
        User.objects.filter(break_glass__name=envelope.name).update(**change)
        assert client.get("/admin/").status_code == 302
        assert present(Client(), envelope).status_code == 422

    def test_an_account_that_proconnect_knows_does_not_come_in(
        self, client: Client, envelope: breakglass.Envelope
    ) -> None:
        IdentityFactory.create(user=User.objects.get(break_glass__name=envelope.name))
        assert present(client, envelope).status_code == 422

    def test_row_59_a_person_of_proconnect_has_no_use_for_a_password(self, client: Client) -> None:
        person = UserFactory.create(staff=True)
        person.set_password("a-password")
        person.save()
        for name in (str(person.pk), person.email):
            response = client.post(DOOR, {"login": name, "password": "a-password"})
            assert response.status_code == 422
        request = RequestFactory().post(DOOR)
        backend = breakglass.BreakGlassBackend()
        assert backend.authenticate(request, username=str(person.pk), password="a-password") is None
        assert backend.get_user(person.pk) is None

    @pytest.mark.parametrize("name", FORBIDDEN_PAGES)
    def test_row_59_the_pages_that_give_a_password_do_not_exist(self, name: str) -> None:
        for arguments in ({}, {"key": "k"}, {"uidb36": "a", "key": "k"}):
            with pytest.raises(NoReverseMatch):
                reverse(name, kwargs=arguments)

    @pytest.mark.parametrize("method", ["get", "post"])
    def test_row_60_the_admin_s_own_sign_in_is_closed(
        self, client: Client, envelope: breakglass.Envelope, method: str
    ) -> None:
        for path in ("/admin/login/", "/admin/"):
            getattr(client, method)(path, {"username": envelope.name, "password": envelope.password})
            assert not is_in(client)

    def test_it_never_acts_for_a_commune(self, client: Client, envelope: breakglass.Envelope) -> None:
        come_in(client, envelope)
        assert not Membership.objects.exists()
        assert client.post("/demandes/nouvelle/", {}).status_code in {403, 404, 422}


class TestTries:
    def test_a_stranger_is_slowed_down(self, client: Client, envelope: breakglass.Envelope) -> None:
        answers = [present(client, envelope, STRANGER, password=f"essai-{n}").status_code for n in range(12)]
        assert answers == [422] * 10 + [429] * 2

    def test_a_stranger_s_tries_do_not_stop_the_holder_even_on_the_same_network(
        self, envelope: breakglass.Envelope
    ) -> None:
        stranger = Client()
        for number in range(50):
            present(stranger, envelope, HOLDER, password=f"essai-{number}")
        holder = Client()
        assert present(holder, envelope, HOLDER)["Location"] == FACTOR
        holder.post(FACTOR, {"code": code(envelope)}, REMOTE_ADDR=HOLDER)
        assert is_in(holder)

    def test_many_strangers_do_not_stop_the_holder(self, envelope: breakglass.Envelope) -> None:
        for number in range(60):
            present(Client(), envelope, f"198.51.100.{number}", password="essai")
        assert present(Client(), envelope)["Location"] == FACTOR

    def test_whoever_has_half_the_password_is_announced_and_slowed_down(
        self, client: Client, envelope: breakglass.Envelope
    ) -> None:
        Notice.objects.all().delete()
        half = f"{envelope.password[:8]}-aaaaaaaa"
        answers = [present(client, envelope, STRANGER, password=half).status_code for _ in range(11)]
        assert answers[-1] == 429
        assert Event.objects.filter(kind="break_glass.tried").count() == 10
        assert Notice.objects.count() == 1  # once an hour

    def test_codes_are_not_guessed(self, client: Client, envelope: breakglass.Envelope) -> None:
        present(client, envelope)
        wrong = "000000" if code(envelope) != "000000" else "000001"
        answers = [client.post(FACTOR, {"code": wrong}) for _ in range(8)]
        assert [answer.status_code for answer in answers] == [422] * 6 + [429] * 2
        assert "Attendez cinq minutes" in answers[-1].text
        assert Event.objects.filter(kind="break_glass.tried", payload={"reason": "factor"}).count() == 6


class TestJournal:
    def test_every_use_is_written_and_told_to_every_operator(
        self, client: Client, envelope: breakglass.Envelope
    ) -> None:
        OperatorRoleFactory.create(user__email="un@operateur.example")
        OperatorRoleFactory.create(user__email="deux@operateur.example")
        OperatorRoleFactory.create(user__email="ancien@operateur.example", former=True)
        come_in(client, envelope)
        event = Event.objects.get(kind="break_glass.used")
        assert event.actor == event.subject == BreakGlass.objects.get().pk
        told = set(Notice.objects.filter(event=event).values_list("recipient", flat=True))
        assert told == {"un@operateur.example", "deux@operateur.example", "contact@suite.example"}

    def test_nothing_secret_is_written(
        self, client: Client, envelope: breakglass.Envelope, caplog: pytest.LogCaptureFixture
    ) -> None:
        present(client, envelope, password=f"{envelope.password}x")
        shown = code(envelope)
        come_in(client, envelope)
        written = f"{caplog.text} {list(Event.objects.values())} {list(Notice.objects.values())}"
        for secret in (*envelope.password.split("-"), envelope.totp_secret, *envelope.recovery_codes, shown):
            assert secret not in written

    def test_the_secrets_are_encrypted_in_the_database(self, envelope: breakglass.Envelope, settings: Any) -> None:
        factors = {one.type: one.data for one in Authenticator.objects.all()}
        assert envelope.totp_secret not in str(factors)
        adapter = breakglass.FactorAdapter()
        assert adapter.decrypt(factors["totp"]["secret"]) == envelope.totp_secret
        settings.MFA_ENCRYPTION_KEYS = ["ej4nV8DKSTgyQ1kLTOU4aAafwNQQ3qWD4VCSH4ZR9Ws=", *settings.MFA_ENCRYPTION_KEYS]
        assert adapter.decrypt(factors["totp"]["secret"]) == envelope.totp_secret  # an older key still reads


class TestSteppingUp:
    def test_the_sign_in_s_factor_lasts_ten_minutes_then_a_code_is_asked_again(
        self, client: Client, envelope: breakglass.Envelope
    ) -> None:
        with time_machine.travel(time.time(), tick=False) as clock:
            come_in(client, envelope)
            clock.shift(601)
            asked = client.get("/admin/")
            assert asked.status_code == 403
            assert f'href="{AGAIN}?next=%2Fadmin%2F"' in asked.text
            assert client.post(f"{AGAIN}?next=/admin/", {"code": "000"}).status_code == 422
            answer = client.post(f"{AGAIN}?next=/admin/", {"code": code(envelope)})
            assert answer["Location"] == "/admin/"
            assert client.get("/admin/").status_code == 200

    def test_a_session_of_proconnect_gets_nothing_from_these_pages(self, client: Client) -> None:
        client.force_login(UserFactory.create(staff=True))
        for path in ("/secours/confirmation/", AGAIN):
            assert client.get(path).status_code == 403

    def test_the_windows_of_the_admin_show_no_secret_and_delete_nothing(
        self, client: Client, envelope: breakglass.Envelope
    ) -> None:
        client.force_login(UserFactory.create(staff=True, is_superuser=True))
        elevate(client)
        factor = Authenticator.objects.get(type="totp")
        page = client.get(f"/admin/mfa/authenticator/{factor.pk}/change/")
        assert page.status_code == 200
        assert factor.data["secret"] not in page.text
        assert client.post(f"/admin/mfa/authenticator/{factor.pk}/delete/", {"post": "yes"}).status_code == 403
        assert client.get("/admin/account/emailaddress/").status_code == 404


class TestCommand:
    def run(self, *arguments: str) -> str:
        out = StringIO()
        call_command("break_glass", *arguments, stdout=out, stderr=StringIO())
        return out.getvalue()

    def test_it_prints_once_what_goes_into_the_envelope(self, client: Client) -> None:
        printed = self.run("create", "coffre-1")
        password = re.search(r"Password +(\S+)", printed)
        secret = re.search(r"TOTP secret +(\S+)", printed)
        assert password is not None
        assert secret is not None
        envelope = breakglass.Envelope("coffre-1", password[1], secret[1], "", ())
        come_in(client, envelope)
        assert is_in(client)
        assert password[1] not in self.run("list")

    def test_there_are_two_at_most(self) -> None:
        self.run("create", "coffre-1")
        self.run("create", "coffre-2")
        with pytest.raises(CommandError, match="two break-glass accounts already"):
            self.run("create", "coffre-3")
        with pytest.raises(IntegrityError), transaction.atomic():
            BreakGlass.objects.create(user=UserFactory.create(), place=3, name="coffre-3", proof="")

    @pytest.mark.parametrize("name", ["ab", "Coffre", "coffre 1", "-coffre", "c" * 41])
    def test_a_name_is_plain(self, name: str) -> None:
        with pytest.raises(CommandError, match="3 to 40"):
            self.run("create", "--", name)

    def test_a_name_is_taken_once(self) -> None:
        self.run("create", "coffre-1")
        with pytest.raises(CommandError, match="already an account named"):
            self.run("create", "coffre-1")

    def test_closing_ends_the_sessions_and_frees_the_place(self, client: Client) -> None:
        envelope = breakglass.create("coffre-1")
        come_in(client, envelope)
        self.run("remove", "coffre-1")
        assert client.get("/admin/").status_code == 302
        assert present(Client(), envelope).status_code == 422
        assert not Authenticator.objects.exists()
        assert breakglass.create("coffre-1").password != envelope.password
        assert Event.objects.filter(kind="break_glass.removed").count() == 1

    def test_closing_what_is_not_there_is_said(self) -> None:
        with pytest.raises(CommandError, match="no break-glass account"):
            self.run("remove", "coffre-1")
