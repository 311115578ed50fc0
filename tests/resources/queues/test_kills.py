"""A short slice of ``tests/stress``, at every test run: consumers and servers are killed, and every message is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.environment import need
from tests.resources.brokers import Broker, CarefulRedis, Rabbit
from tests.stress.queue_load import load


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", [None, CarefulRedis, Rabbit], ids=["sqlite", "redis", "amqp"])
def test_nothing_is_lost_and_duplicates_stay_within_the_bound(kind: type[Broker] | None, tmp_path: Path) -> None:
    size = {"total": 600, "workers": 3, "every": 2.0, "limit": 200}
    if kind is None:
        figures = load(f"sqlite:///{tmp_path}/q.db", tmp_path, **size)
    else:
        need(kind.is_here(), kind.program, f"apt-get install {kind.package}")
        with kind() as server:
            figures = load(server.url, tmp_path, **size, server=server)

    print(figures)
    assert (figures.lost, figures.dead) == (0, 0)
    assert figures.duplicates <= figures.bound
