"""One JupyterLab server, one Chromium, one page for all browser tests; a test opens notebooks in it and leaves none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.environment import need
from tests.ui.lab import ClassicPage, Lab
from tests.ui.server import LabServer

_SIZE = {"width": 1400, "height": 1000}
_ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-quic", "--disable-background-networking",
              "--disable-component-update", "--disable-sync", "--no-first-run"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(180))       # the first test also waits for the server and the page


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    started = LabServer(tmp_path_factory.mktemp("lab"))
    try:
        started.wait_ready()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    need(found, "Chromium", "apt-get install chromium fonts-dejavu-core")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=_ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def _lab(server: LabServer, chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    context = chromium.new_context(viewport=_SIZE)
    lab = Lab(server, context.new_page(), tmp_path_factory.mktemp("shots"))
    lab.start()
    yield lab
    context.close()


@pytest.fixture
def lab(_lab: Lab, request: pytest.FixtureRequest) -> Iterator[Lab]:
    _lab.forget()
    yield _lab
    if getattr(request.node, "has_failed", False):
        print(f"screenshot: {_lab.screenshot('failed-' + request.node.name)}")
    _lab.theme("light")
    _lab.close_all()
    _lab.expect_quiet()


@pytest.fixture
def classic(server: LabServer, chromium: Browser, tmp_path: Path) -> Iterator[ClassicPage]:
    context = chromium.new_context(viewport=_SIZE)
    page = ClassicPage(server, context.new_page(), tmp_path)
    yield page
    page.close()
    context.close()
    page.expect_quiet()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.when == "call" and report.failed:
        item.has_failed = True
    return report
