"""The queue: its order, its pages, its filters, its saved views, its export."""

import re
import tracemalloc
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core import signing
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from onboarding.intake import desk_filters, keyset, saved_views
from onboarding.intake.desk_access import way_back
from onboarding.intake.desk_models import CheckItem, DeskHabit, SavedView
from onboarding.intake.export import neutral
from onboarding.intake.models import Dossier
from onboarding.intake.moves import GuardFailed, NotAllowed
from onboarding.intake.request_models import Claim
from suite.accounts.mandate_models import Objection
from suite.accounts.models import OperatorRole, User
from suite.directory.models import Operator
from suite.journal.models import Event
from tests.factories.directory import CommuneFactory, EpciFactory, OperatorFactory
from tests.factories.intake import DossierFactory, RemarkFactory
from tests.factories.mandates import MandateProofFactory
from tests.intake.browsing import decide, page, said, sign_in
from tests.intake.conftest import staff

pytestmark = pytest.mark.django_db
S = Dossier.Status
NOW = timezone.now()


@pytest.fixture
def desk(instructor: User) -> Client:
    return sign_in(instructor)


def listed(client: Client, **filters: Any) -> list[str]:
    """Return the references of one page of the queue, in order."""
    html = page(client, f"/instruction/?{urlencode({'vue': 'toutes', **filters})}")
    return re.findall(r">(D-\d{4}-\d+)</a>", html)


def walk(client: Client, way: str, start: str) -> list[list[str]]:
    """Follow « Page suivante » or « Page précédente » to the end; return the references of each page."""
    pages, url = [], start
    while url:
        html = page(client, url)
        pages.append(re.findall(r">(D-\d{4}-\d+)</a>", html))
        found = re.search(rf'fr-pagination__link--{way} [^>]*?href="([^"]+)"', html, re.DOTALL)
        url = f"/instruction/{unescape(found[1])}" if found else ""
    return pages


class TestQueue:
    def test_the_nearest_due_date_comes_first_and_what_has_none_last(self, desk: Client) -> None:
        made = [
            DossierFactory.create(sent=True, due_at=due)
            for due in (NOW + timedelta(days=3), None, NOW - timedelta(days=1), NOW)
        ]
        assert listed(desk) == [made[2].reference, made[3].reference, made[0].reference, made[1].reference]
        assert listed(desk, tri="-echeance") == [made[index].reference for index in (0, 3, 2, 1)]

    @pytest.mark.parametrize("order", sorted(desk_filters.ORDERS))
    def test_pages_follow_each_other_without_gap_or_repeat_both_ways(
        self, order: str, desk: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("onboarding.intake.desk_queue.PAGE", 3)
        for index in range(10):
            # Ties, and dossiers without a date.
            due = None if index % 4 == 3 else NOW + timedelta(days=index // 3)
            DossierFactory.create(sent=True, due_at=due, submitted_at=NOW - timedelta(days=index // 2))
        forward = walk(desk, "next", f"/instruction/?tri={order}")
        assert [len(one) for one in forward] == [3, 3, 3, 1]
        assert len({reference for one in forward for reference in one}) == 10
        column = desk_filters.ORDERS[order]
        last = keyset.page(Dossier.objects.all(), column, "", size=10).rows[-1]
        cursor = keyset.write(last, column, backward=True)
        backward = walk(desk, "prev", f"/instruction/?tri={order}&suite={cursor}")
        flat = [reference for one in forward for reference in one]
        assert [reference for one in reversed(backward) for reference in one] == flat[:-1]

    def test_a_dossier_that_arrives_meanwhile_shifts_no_page(
        self, desk: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("onboarding.intake.desk_queue.PAGE", 2)
        made = [DossierFactory.create(sent=True, due_at=NOW + timedelta(days=day)) for day in range(4)]
        html = page(desk, "/instruction/?vue=toutes")
        following = re.search(r'href="\?(suite=[^"]+)"', html)
        assert following
        DossierFactory.create(sent=True, due_at=NOW - timedelta(days=9))
        html = page(desk, f"/instruction/?{unescape(following[1])}")
        assert re.findall(r">(D-\d{4}-\d+)</a>", html) == [made[2].reference, made[3].reference]

    @pytest.mark.parametrize(
        "cursor",
        [
            "x",
            "a:b:c",
            "%00",
            "x" * 500,
            signing.dumps(["echeance", "not a date", "x", False], salt=keyset.SALT),
            signing.dumps(["echeance", 12, "00000000-0000-0000-0000-000000000000", False], salt=keyset.SALT),
            signing.dumps(["nom", "A", "00000000-0000-0000-0000-000000000000", False], salt=keyset.SALT),
            signing.dumps(["echeance", None, "00000000-0000-0000-0000-000000000000", False], salt="another"),
            signing.dumps({"a": 1}, salt=keyset.SALT),
        ],
        # The signature holds the time: named, so that two processes collect the same tests.
        ids=["text", "parts", "escape", "long", "date", "number", "order", "salt", "object"],
    )
    def test_a_cursor_that_is_not_ours_shows_the_first_page(self, cursor: str, desk: Client) -> None:
        dossier = DossierFactory.create(sent=True)
        assert listed(desk, suite=cursor) == [dossier.reference]

    @pytest.mark.parametrize(
        "key",
        ["sort_by", "pk", "author__password", "organization__name", "-due_at", "?", "due_at;--", "__class__", "_state"],
    )
    def test_r34_an_unknown_nested_or_private_sort_key_is_ignored(self, key: str, desk: Client) -> None:
        late, later = (DossierFactory.create(sent=True, due_at=NOW + timedelta(days=day)) for day in (1, 2))
        for name in ("tri", "sort_by", "o", "order_by", "ordering"):
            assert listed(desk, **{name: key}) == [late.reference, later.reference]

    @pytest.mark.parametrize("name", sorted(desk_filters.FILTERS))
    def test_r34_a_filter_that_means_nothing_is_ignored(self, name: str, desk: Client) -> None:
        dossier = DossierFactory.create(sent=True)
        for value in ("'", "zzzzzz", "%00", "1 OR 1=1", "\u0661\u0662", "null", "٣" * 9):
            shown = listed(desk, **{name: value})
            assert shown == [dossier.reference] or (name == "q" and not shown)

    def test_every_filter_narrows(self, desk: Client, instructor: User, anct: Operator) -> None:
        opsn = OperatorFactory.create(departments=["56"])
        epci = EpciFactory.create()
        big = CommuneFactory.create(department__code="56", population=2500, epci=epci)
        wanted = DossierFactory.create(
            in_review=True,
            organization=big,
            operator=opsn,
            assignee=instructor,
            family="new",
            due_at=NOW - timedelta(hours=1),
            submitted_at=NOW - timedelta(days=3),
        )
        other = DossierFactory.create(sent=True, watch_at=NOW + timedelta(days=3), due_at=NOW + timedelta(days=9))
        watched = DossierFactory.create(sent=True, watch_at=NOW - timedelta(hours=1), due_at=NOW + timedelta(days=1))
        paused = DossierFactory.create(needs_changes=True)
        RemarkFactory.create(dossier=wanted, reason="mailbox_list")
        for dossier, code, result, value in (
            (wanted, "mandate", "ok", "M2"),
            (wanted, "four_eyes", "manual", "oui"),
            (wanted, "reachable", "ko", "bounced"),
            (wanted, "holds", "ko", "1"),
            (other, "four_eyes", "ok", "non"),
        ):
            CheckItem.objects.create(
                dossier=dossier, code=code, result=result, value=value, evidence="x", source="x", dossier_version=1,
                fetched_at=NOW, valid_until=NOW,
            )  # fmt: skip
        CheckItem.objects.filter(code="holds").update(overridden_by=instructor, overridden_at=NOW, why="Vu avec elle.")
        Objection.objects.create(
            proof=MandateProofFactory.create(organization=big, user=wanted.author, pending=True),
            organization=big,
            user=wanted.author,
        )
        Claim.objects.create(dossier=wanted, fact="name", claimed="Yeu", reason="Vu.", author=wanted.author)
        everything = {one.reference for one in (wanted, other, watched, paused)}
        assert set(listed(desk)) == everything
        for filters in (
            {"statut": "in_review"}, {"attribution": "moi"}, {"attribution": str(instructor.pk)},
            {"operateur": str(opsn.pk)}, {"departement": "56"}, {"epci": epci.code}, {"opsn": str(opsn.pk)},
            {"population": "2000-3499"}, {"famille": "new"}, {"habilitation": "M2"}, {"motif": "mailbox_list"},
            {"sensible": "oui"}, {"delai": "retard"}, {"signal": "objection"}, {"signal": "non-remis"},
            {"signal": "faits"},
            {"signal": "ecart"}, {"signal": "proches"}, {"q": big.name}, {"q": f"{wanted.organization.siren}00012"},
            {"q": wanted.author.email}, {"delai": "retard", "departement": "56"},
        ):  # fmt: skip
            assert listed(desk, **filters) == [wanted.reference], filters
        assert listed(desk, delai="surveiller") == [watched.reference]
        assert listed(desk, delai="pause") == [paused.reference]
        assert listed(desk, delai="delais") == [other.reference]
        assert set(listed(desk, sensible="non")) == everything - {wanted.reference}
        assert listed(desk, population="inconnue") == []

    def test_a_rejection_is_found_by_its_reason(self, desk: Client, instructor: User, anct: Operator) -> None:
        mine = DossierFactory.create(in_review=True, assignee=instructor, operator=anct)
        refusal = {"version": "1", "reasons": ["not_public_use"], "message": "Non."}
        decide(desk, f"/instruction/{mine.pk}/refuser/", refusal)
        assert listed(desk, statut="rejected", motif="refus-not_public_use") == [mine.reference]
        assert listed(desk, statut="rejected", motif="refus-duplicate") == []

    def test_many_are_counted_up_to_a_thousand(self, desk: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("onboarding.intake.counting.MOST", 2)
        for _ in range(2):
            DossierFactory.create(sent=True)
        assert "2 demandes" in said(page(desk, "/instruction/"))
        DossierFactory.create(sent=True)
        assert "plus de 2 demandes" in said(page(desk, "/instruction/"))


class TestSaveView:
    def test_a_view_keeps_the_filters_and_counts_what_it_holds(self, desk: Client, instructor: User) -> None:
        DossierFactory.create(sent=True)
        DossierFactory.create(in_review=True)
        query = "statut=submitted&tri=nom&page=3&inconnu=1&suite=abc"
        response = desk.post(reverse("desk:save_view"), {"name": "  À  prendre ", "query": query})
        assert response["Location"] == "/instruction/?statut=submitted&tri=nom"
        view = SavedView.objects.get(owner=instructor)
        assert (view.name, view.query) == ("À prendre", "statut=submitted&tri=nom")
        html = page(desk, response["Location"])
        assert "À prendre : 1" in said(html)
        assert re.search(r'aria-current="page"[^>]*>\s*À prendre', html)

    def test_the_default_view_opens_the_desk_and_only_by_its_address(self, desk: Client, instructor: User) -> None:
        desk.post(reverse("desk:save_view"), {"name": "En retard", "query": "delai=retard", "default": "1"})
        assert desk.get("/instruction/")["Location"] == "/instruction/?delai=retard"
        assert desk.get("/instruction/?vue=toutes").status_code == 200
        assert DeskHabit.objects.get(user=instructor).view == SavedView.objects.get()

    def test_a_team_shares_a_view_that_others_do_not_see(self, desk: Client, anct: Operator) -> None:
        desk.post(reverse("desk:save_view"), {"name": "Ma file", "query": "statut=submitted", "equipe": str(anct.pk)})
        desk.post(reverse("desk:save_view"), {"name": "À moi", "query": "statut=submitted"})
        mate = page(sign_in(staff(anct, OperatorRole.Role.READER)), "/instruction/")
        elsewhere = page(sign_in(staff(OperatorFactory.create(), OperatorRole.Role.LEAD)), "/instruction/")
        assert "Ma file" in mate
        assert "À moi" not in mate
        assert "Ma file" not in elsewhere

    def test_a_view_needs_a_name_and_has_a_number(self, instructor: User) -> None:
        scope = {"query": "", "operator": None, "default": False}
        for name in ("", "   ", "x" * 61):
            with pytest.raises(GuardFailed):
                saved_views.save(instructor, name=name, **scope)  # type: ignore[arg-type]  # a mapping of keywords
        for index in range(saved_views.MOST):
            saved_views.save(instructor, name=f"Vue {index}", **scope)  # type: ignore[arg-type]  # idem
        with pytest.raises(GuardFailed, match="supprimez"):
            saved_views.save(instructor, name="Une de trop", **scope)  # type: ignore[arg-type]  # idem
        saved_views.save(instructor, name="Vue 3", **scope)  # type: ignore[arg-type]  # written over
        with pytest.raises(NotAllowed):
            saved_views.save(instructor, name="Ailleurs", query="", operator=OperatorFactory.create(), default=False)


class TestDeleteView:
    def test_its_owner_or_the_team_s_lead_deletes_it(self, instructor: User, lead: User, anct: Operator) -> None:
        mate = sign_in(staff(anct, OperatorRole.Role.INSTRUCTOR))
        for client, shared, status in (
            (sign_in(instructor), None, 302), (mate, None, 404), (mate, anct, 403), (sign_in(lead), anct, 302),
        ):  # fmt: skip
            view = SavedView.objects.create(owner=instructor, name="Vue", operator=shared)
            assert client.post(reverse("desk:delete_view", args=[view.pk])).status_code == status
            assert SavedView.objects.filter(pk=view.pk).exists() == (status != 302)
            SavedView.objects.all().delete()


class TestDefaultView:
    def test_it_is_chosen_and_dropped(self, desk: Client, instructor: User) -> None:
        view = SavedView.objects.create(owner=instructor, name="Vue", query="statut=submitted")
        url = reverse("desk:default_view", args=[view.pk])
        assert desk.post(url, {"retour": "/instruction/?vue=toutes"})["Location"] == "/instruction/?vue=toutes"
        assert desk.get("/instruction/").status_code == 302
        desk.post(url, {"retirer": "1"})
        assert desk.get("/instruction/").status_code == 200


class TestWayBack:
    @pytest.mark.parametrize(
        "target",
        [
            "https://evil.example/", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example",
            "http:evil.example", "javascript:alert(1)", "/instruction//evil.example", "/instruction/\\evil.example",
            "/instruction/%2F%2Fevil.example", "%2F%2Fevil.example", "/instruction/%5Cevil.example",
            "/instruction/..//evil.example", "/instruction/../deconnexion/", "/%09/evil.example", "/\t/evil.example",
            "/instruction/\r\nSet-Cookie: a=1", "https:/instruction/", "/instruction/%252F%252Fevil", "/demandes/",
            "/instruction/nulle-part/", "//instruction/", "/instruction/?" + "x" * 3000,
        ],
    )  # fmt: skip
    def test_r35_an_act_leads_back_to_our_own_pages_only(self, target: str, desk: Client) -> None:
        request = RequestFactory().post("/instruction/actions/", {"retour": target})
        assert way_back(request) == "/instruction/"
        response = desk.post("/instruction/actions/", {"retour": target})
        assert response["Location"] == "/instruction/"

    def test_r35_a_page_of_the_desk_is_kept_with_its_filters(self) -> None:
        target = "/instruction/?statut=submitted&q=saint%20%C3%A9"
        assert way_back(RequestFactory().post("/", {"retour": target})) == target


class TestExportCsv:
    def test_it_holds_the_list_as_filtered(self, desk: Client) -> None:
        kept = DossierFactory.create(sent=True, due_at=NOW)
        DossierFactory.create(in_review=True)
        response = desk.post(reverse("desk:export"), {"query": "statut=submitted"})
        text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]  # a stream
        lines = text.removeprefix("\ufeff").splitlines()
        assert text.startswith("\ufeff")
        assert len(lines) == 2
        assert lines[1].startswith(f"{kept.reference};{kept.organization.name};")
        assert "attachment" in response["Content-Disposition"]

    def test_r38_it_leaves_an_event_with_its_filters_and_no_name(self, desk: Client, instructor: User) -> None:
        desk.post(reverse("desk:export"), {"query": "statut=submitted&q=Dupont"})
        event = Event.objects.get(kind="desk.exported")
        assert (event.actor, event.payload) == (instructor.pk, {"filters": {"statut": "submitted"}})
        assert event.text.comment == "Dupont"

    def test_it_asks_for_a_second_factor_and_never_answers_a_get(self, instructor: User) -> None:
        client = Client()
        client.force_login(instructor, backend="suite.accounts.oidc.ProConnectBackend")
        assert client.post(reverse("desk:export")).status_code == 403
        assert client.get(reverse("desk:export")).status_code == 405
        assert not Event.objects.exists()

    def test_it_stays_within_the_territory(self, instructor: User) -> None:
        away = sign_in(staff(OperatorFactory.create(departments=["35"]), OperatorRole.Role.LEAD))
        dossier = DossierFactory.create(sent=True)
        response = away.post(reverse("desk:export"), {"query": "statut=submitted"})
        assert dossier.reference not in b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]  # a stream

    @pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
    def test_r45_no_cell_is_a_formula(self, start: str, desk: Client) -> None:
        formula = f"{start}HYPERLINK(1)"
        assert neutral([formula, "", None, "Bourg-la-Reine"]) == [f"'{formula}", "", "", "Bourg-la-Reine"]
        DossierFactory.create(sent=True, organization=CommuneFactory.create(name=formula, current_name=False))
        response = desk.post(reverse("desk:export"))
        text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]  # a stream
        assert f"'{start}HYPERLINK(1)" in text
        assert f";{start}HYPERLINK" not in text.replace('"', "")

    @pytest.mark.slow
    def test_r45_a_hundred_thousand_rows_pass_through_a_few_megabytes(self, desk: Client) -> None:
        model = DossierFactory.create(withdrawn=True)
        columns = [str(field.column) for field in Dossier._meta.concrete_fields]  # noqa: SLF001 - documented
        values = {"id": "gen_random_uuid()", "reference": "'D-2099-' || n"}
        chosen = ", ".join(values.get(column, f'"{column}"') for column in columns)
        named = ", ".join(f'"{column}"' for column in columns)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO intake_dossier ({named}) SELECT {chosen} FROM intake_dossier, "  # noqa: S608 - our columns
                "generate_series(100001, 200000) AS n WHERE id = %s",
                [model.pk],
            )
        response = desk.post(reverse("desk:export"), {"query": "statut=withdrawn"})
        tracemalloc.start()
        rows = sum(chunk.count(b"\n") for chunk in response.streaming_content)  # type: ignore[attr-defined]  # a stream
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert rows == 100_002
        assert peak < 16 * 1024 * 1024
