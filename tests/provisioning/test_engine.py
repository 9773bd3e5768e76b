import pytest

from onboarding.provisioning import engine
from onboarding.provisioning.backends.world import listing
from tests.factories.provisioning import deployment

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("kind", [{}, {"registered": True}])
def test_an_approved_plan_is_built_in_one_go(kind: dict[str, bool]) -> None:
    built = deployment(**kind)
    engine.advance(built.pk)
    print([(s.name, s.status, s.code, s.note) for s in built.steps.all()])
    assert built.status == built.Status.LIVE
    print(listing())
