"""Twenty thousand messages through every kind of queue, with consumers and servers that are killed: nothing is lost.

``python -m tests stress -- -k queue -s`` shows the figures as they come.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.environment import need
from tests.resources.brokers import Broker, CarefulRedis, Rabbit
from tests.stress.queue_load import Figures, load

pytestmark = [pytest.mark.stress, pytest.mark.timeout(1_200)]
SIZE = {"total": 20_000, "workers": 8, "every": 1.0}


def check(figures: Figures, record_property: pytest.RecordProperty) -> None:
    record_property("figures", str(figures))
    print(figures)
    assert (figures.lost, figures.dead) == (0, 0)
    assert figures.duplicates <= figures.bound


def test_a_file_loses_nothing_while_consumers_are_killed(tmp_path: Path, record_property: pytest.RecordProperty) -> None:
    check(load(f"sqlite:///{tmp_path}/q.db", tmp_path, **SIZE), record_property)


@pytest.mark.parametrize("kind", [CarefulRedis, Rabbit], ids=["redis", "amqp"])
def test_a_server_loses_nothing_while_consumers_and_itself_are_killed(
    kind: type[Broker], tmp_path: Path, record_property: pytest.RecordProperty,
) -> None:
    need(kind.is_here(), kind.program, f"apt-get install {kind.package}")
    with kind() as server:
        print(f"{kind.program}: {server.keeping}")
        record_property("keeping", server.keeping)
        check(load(server.url, tmp_path, **SIZE, server=server), record_property)
