"""Where do a stage's results go? To a file, a line each, from which one last pytest session tells all stages together.

pytest's summary can only speak of its own session. The stages of `python -m tests` are several (a browser's tests leave a loop
running, a notebook's run in another environment), so each keeps its reports, and `tell_again` lets pytest count them once more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

__all__ = ["failed_stage", "tell_again"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep-reports", metavar="FILE", help="append every report to FILE, one JSON object a line")


def pytest_configure(config: pytest.Config) -> None:
    if path := config.getoption("--keep-reports"):
        config.pluginmanager.register(_Keeper(config, Path(path)))


class _Keeper:
    def __init__(self, config: pytest.Config, path: Path) -> None:
        self.config, self.path = config, path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._keep(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.passed:
            self._keep(report)

    def _keep(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        facts = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        with self.path.open("a", encoding="utf-8") as file:     # at once: a stage that is killed has kept what it did
            file.write(json.dumps(facts, default=str) + "\n")


class _Teller:
    """Puts no tests into the session, only the reports of those that ran."""

    def __init__(self, paths: Iterable[Path], more: Iterable[pytest.TestReport], started: float) -> None:
        self.paths, self.more, self.started = list(paths), list(more), started
        self.config: Any = None
        self.is_telling = False

    def pytest_configure(self, config: Any) -> None:
        self.config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: Any) -> bool:
        session.items = []
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool:
        self._set_clock()
        self.is_telling = True
        for report in [*self._kept(), *self.more]:
            is_collect = isinstance(report, pytest.CollectReport)
            hook = session.config.hook.pytest_collectreport if is_collect else session.config.hook.pytest_runtest_logreport
            hook(report=report)
            session.testscollected += 1
        self.is_telling = False
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Any:
        category, letter, word = yield
        return (category, "", "") if self.is_telling else (category, letter, word)

    def _set_clock(self) -> None:
        """Let the summary's time be that of all stages; without this attribute (it is pytest's own) it is only the telling's."""
        instant = getattr(self.config.pluginmanager.get_plugin("terminalreporter"), "_session_start", None)
        if hasattr(instant, "perf_count"):
            object.__setattr__(instant, "perf_count", self.started)

    def _kept(self) -> Iterable[Any]:
        for path in self.paths:
            for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
                yield self.config.hook.pytest_report_from_serializable(config=self.config, data=json.loads(line))


def failed_stage(name: str, reason: str) -> pytest.TestReport:
    """The report of a stage that broke as a whole."""
    where = f"python -m tests {name}"
    return pytest.TestReport(where, (where, 0, where), {}, "failed", reason, "call")


def tell_again(paths: Iterable[Path], more: Iterable[pytest.TestReport], *, started: float) -> int:
    """Let pytest sum up the reports kept in `paths` and `more`, `started` on the clock of `time.perf_counter`; its exit code."""
    options = ["--no-header", "--tb=no", "-rfER", "-o", "addopts=", "-p", "no:cacheprovider"]
    return int(pytest.main(options, plugins=[_Teller(paths, more, started)]))
