"""What is queued: rendered at once, once per cause, and only if its cause holds."""

from pathlib import Path

import pytest
from django.db import transaction
from django.template import TemplateDoesNotExist
from kombu.exceptions import OperationalError
from pytest_django import Settings

from suite.notices import tasks
from suite.notices.models import Notice
from suite.notices.workflow import queue
from tests.factories.journal import EventFactory


@pytest.fixture(autouse=True)
def _templates(settings: Settings, tmp_path: Path) -> None:
    """Write one kind of message, beside the house's own templates."""
    folder = tmp_path / "emails"
    folder.mkdir()
    (folder / "essai.subject.txt").write_text("L’essai de\n {{ name }}\n")
    (folder / "essai.txt").write_text('{% extends "emails/base.txt" %}{% block content %}Pour {{ name }}{% endblock %}')
    (folder / "essai.html").write_text(
        '{% extends "emails/base.html" %}{% block content %}<p>Pour {{ name }}</p>{% endblock %}'
    )
    [engine] = settings.TEMPLATES
    settings.TEMPLATES = [{**engine, "DIRS": [tmp_path, *engine["DIRS"]]}]


def queue_test(**given: object) -> Notice:
    values = {"to": "mairie@commune.example", "context": {"name": "L'Île-d'Yeu <3"}, "key": "essai", **given}
    notice = queue("essai", **values)  # type: ignore[arg-type]  # a test's shorthand
    assert notice is not None
    return notice


@pytest.mark.django_db
class TestQueue:
    def test_the_text_is_text_and_the_html_is_safe(self) -> None:
        notice = queue_test()

        assert notice.subject == "L’essai de L'Île-d'Yeu <3"
        assert "Pour L'Île-d'Yeu <3" in notice.body_text
        assert "Pour L&#x27;Île-d&#x27;Yeu &lt;3" in notice.body_html

    def test_a_demonstration_says_so_in_both_bodies_and_gives_an_address_to_write_to(self) -> None:
        notice = queue_test()

        for body in (notice.body_text, notice.body_html):
            assert "Démonstration" in body
            assert "contact@suite.example" in body

    def test_the_state_s_own_site_does_not_call_itself_a_demonstration(self, settings: Settings) -> None:
        settings.OFFICIAL_SITE = True

        notice = queue_test()

        assert "Démonstration" not in notice.body_text + notice.body_html

    def test_the_same_cause_gives_one_notice_per_recipient(self) -> None:
        event = EventFactory.create()

        first, again = queue_test(event=event), queue_test(event=event)
        queue_test(event=event, to="adjointe@commune.example")

        assert first == again
        assert Notice.objects.count() == 2

    def test_a_second_cause_notifies_again_even_with_the_same_words(self) -> None:
        queue_test(event=EventFactory.create())
        queue_test(event=EventFactory.create())

        assert Notice.objects.count() == 2

    def test_nobody_to_write_to_means_nothing_sent(self) -> None:
        assert queue("essai", to="", context={}, key="essai") is None
        assert not Notice.objects.due().exists()
        assert Notice.objects.get().state == Notice.State.UNADDRESSED

    def test_a_notice_without_cause_is_a_mistake_of_ours(self) -> None:
        with pytest.raises(ValueError, match="no cause"):
            queue("essai", to="mairie@commune.example", context={})

    def test_a_kind_without_template_is_a_mistake_of_ours(self) -> None:
        with pytest.raises(TemplateDoesNotExist):
            queue("inconnu", to="mairie@commune.example", context={}, key="essai")

    def test_a_very_long_subject_is_cut_and_a_long_address_holds(self) -> None:
        notice = queue_test(context={"name": "x" * 500}, to=f"{'a' * 64}@{'b' * 180}.example")

        assert len(notice.subject) == 200

    def test_a_cause_undone_sends_nothing(self) -> None:
        with transaction.atomic():
            queue_test(event=EventFactory.create())
            transaction.set_rollback(True)

        assert not Notice.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_away_costs_a_sweep_and_not_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise OperationalError("Connection refused")

    monkeypatch.setattr(tasks.deliver, "apply_async", away)

    notice = queue_test()

    assert list(Notice.objects.due()) == [notice]
