"""The people of the demonstration, and the guards of its provider."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test.utils import override_settings

from suite.accounts.models import Identity, OperatorRole, User
from suite.accounts.refusals import SignInRefused
from suite.accounts.siret import is_valid
from suite.accounts.tokens import Authentication, verify_person
from suite.accounts.workflow import sign_in
from suite.demo import people
from suite.demo.proconnect import place
from suite.demo.staff import ensure_staff
from suite.directory.models import Operator


def arrive(issuer: str) -> User:
    """Sign somebody in from this issuer, always under the same sub and address."""
    claims = {"sub": "s", "siret": people.ROCHEFORT, "email": "a@b.example", "roles": ["agent_public"]}
    return sign_in(verify_person(claims, issuer, operator_sirets=()), Authentication("s", "eidas1", ()))


class TestPeople:
    @pytest.mark.parametrize("one", people.PEOPLE, ids=lambda one: one.key)
    def test_each_is_somebody_proconnect_could_send(self, one: people.Persona) -> None:
        assert is_valid(one.siret)
        assert one.email.endswith(".example")
        assert one.label
        assert one.purpose.endswith(".")

    def test_each_has_a_key_and_a_line_of_its_own(self) -> None:
        assert len({one.key for one in people.PEOPLE}) == len(people.PEOPLE)
        assert len({(one.usual_name, one.label) for one in people.PEOPLE}) == len(people.PEOPLE)

    def test_one_address_is_one_account_but_for_the_case_that_tests_it(self) -> None:
        assert {one.key for one in people.PEOPLE if one.sub != people.sub_of(one.email)} == {"nouvelle-identite"}

    def test_the_case_of_an_address_does_not_matter(self) -> None:
        assert people.sub_of(" Mairie@Commune.Example") == people.sub_of("mairie@commune.example")


@pytest.mark.django_db
class TestStaff:
    def test_making_it_twice_makes_it_once(self) -> None:
        ensure_staff()
        ensure_staff()
        staff = [one for one in people.PEOPLE if one.operator]
        assert OperatorRole.objects.count() == Identity.objects.count() == User.objects.count() == len(staff)
        assert Operator.objects.get(national=True).name == "ANCT"

    def test_it_joins_the_operator_that_the_public_file_brought(self) -> None:
        anct = Operator.objects.create(name="Agence nationale", name_with_article="l’Agence", national=True)
        ensure_staff()
        assert anct.staff.count() == 3

    def test_it_gives_back_a_place_that_was_suspended(self) -> None:
        ensure_staff()
        OperatorRole.objects.update(active=False)
        ensure_staff()
        assert OperatorRole.objects.filter(active=True).count() == OperatorRole.objects.count()

    def test_another_port_is_the_same_provider(self) -> None:
        user = arrive("http://127.0.0.1:8001/api/v2")
        with override_settings(OIDC_OP_ISSUER="http://127.0.0.1:9001/api/v2"):
            ensure_staff()
            ensure_staff()
        assert arrive("http://127.0.0.1:9001/api/v2") == user

    def test_a_real_issuer_takes_nobody_over(self) -> None:
        arrive("http://127.0.0.1:8001/api/v2")
        with override_settings(OIDC_OP_ISSUER="https://auth.agentconnect.gouv.fr/api/v2"):
            ensure_staff()
        with pytest.raises(SignInRefused, match="email_clash"):
            arrive("https://auth.agentconnect.gouv.fr/api/v2")


class TestGuards:
    def test_it_does_not_start_unless_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PROCONNECT_DEMO", raising=False)
        with pytest.raises(SystemExit, match="PROCONNECT_DEMO=1"):
            place.guard("http://127.0.0.1:8001")

    @pytest.mark.parametrize("address", ["https://suite.gouv.fr", "http://192.168.1.2:8001", "nothing", ""])
    def test_it_serves_this_machine_only(self, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
        monkeypatch.setenv("PROCONNECT_DEMO", "1")
        with pytest.raises(SystemExit, match="PROCONNECT_DEMO_HOSTS"):
            place.guard("http://127.0.0.1:8001", address)

    def test_a_public_demonstration_names_its_hosts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PROCONNECT_DEMO", "1")
        monkeypatch.setenv("PROCONNECT_DEMO_HOSTS", "demo.example other.example")
        place.guard("http://localhost:8001", "https://demo.example")

    def test_its_settings_share_nothing_with_the_products(self, tmp_path: Path, settings: Any) -> None:
        told = (
            "import json; from suite.demo.proconnect import settings as s; import sys;"
            "print(json.dumps([s.SECRET_KEY, s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.LANGUAGE_COOKIE_NAME,"
            "str(s.DATABASES['default']['NAME']), 'suite.settings' in sys.modules]))"
        )
        environment = {**os.environ, "PROCONNECT_DEMO": "1", "PROCONNECT_DIR": str(tmp_path), "SECRET_KEY": "x" * 60}
        ran = subprocess.run([sys.executable, "-c", told], env=environment, check=True, capture_output=True, text=True)
        secret, session, csrf, language, database, leaned = json.loads(ran.stdout)
        assert secret not in {"x" * 60, settings.SECRET_KEY}
        assert not {session, csrf, language} & {
            settings.SESSION_COOKIE_NAME,
            settings.CSRF_COOKIE_NAME,
            settings.LANGUAGE_COOKIE_NAME,
        }
        assert database == str(tmp_path / "provider.sqlite3")
        assert leaned is False
        assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir() if path.name != "lock"} == {
            "secret": 0o600,
            "signing-key.pem": 0o600,
        }
