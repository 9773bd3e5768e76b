"""One provider of each kind per test worker, faultless again after each test, and the verdicts for the table."""

import dataclasses
from collections.abc import Generator, Iterator

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test.utils import override_settings

from tests.proconnect.case import Case
from tests.proconnect.providers import PRODUCT, PROVIDERS, Provider, running
from tests.proconnect.rows import Row, Verdict


@pytest.fixture(
    scope="session",
    params=[pytest.param(name, marks=pytest.mark.xdist_group(f"proconnect {name}")) for name in PROVIDERS],
)
def _provider(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running(request.param, tmp_path_factory.mktemp("provider")) as provider:
        yield provider


@pytest.fixture
def case(request: pytest.FixtureRequest, _provider: Provider, caplog: pytest.LogCaptureFixture) -> Iterator[Case]:
    row: Row = request.function.row
    vanilla = getattr(settings, "PROCONNECT_VANILLA", False)
    if vanilla and not row.library:
        pytest.skip("the library has nothing to be judged on")
    cache.clear()
    case = Case(_provider, caplog, vanilla)
    request.node.proconnect = case
    _provider.forget()
    with override_settings(PUBLIC_BASE_URL=PRODUCT, CSRF_TRUSTED_ORIGINS=[PRODUCT], **_provider.settings):
        yield case
    for browser in case.browsers:
        browser.web.close()
    _provider.forget()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write the verdict on the report: it travels from the test worker to whoever prints the table."""
    report = yield
    row: Row | None = getattr(getattr(item, "function", None), "row", None)
    case: Case | None = getattr(item, "proconnect", None)
    if row is not None and case is not None and call.when == "call":
        got = case.got or ("as expected" if report.passed else "not as expected")
        if report.failed and case.settled and call.excinfo is not None:
            # The verdict is right and something beside it is not.
            got = f"{got}, but {str(call.excinfo.value).partition(chr(10))[0][:60]}"
        verdict = Verdict(row.number, row.title, row.expected, case.provider.name, got, report.passed, row.library)
        item.user_properties.append(("proconnect", dataclasses.asdict(verdict)))
        report.user_properties = list(item.user_properties)
    return report
