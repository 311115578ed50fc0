"""What Tab offers on stores, queues, topics and what they hand out: the names that users type, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pocketflex_nb import open_queue, open_store, open_topic

DICT = "clear copy fromkeys get items keys pop popitem setdefault update values"
STORE = "at cas diff history increment insert_new lock snapshot subscribe version watch who"
NAMES = {
    "store": f"{DICT} {STORE} acas acopy aget aincrement ainsert_new apop aset aupdate close fenced follow replica_only url",
    "lock": "is_held key lease token",
    "queue": "call call_sync close close_sync dead_letters dead_letters_sync discard discard_sync get get_sync is_closed name put put_sync "
             "requeue requeue_sync stats stats_sync url",
    "pending get": "take",
    "message": "ack ack_sync deliveries headers id is_lost is_settled item key nack nack_sync put_at reply reply_sync",
    "messages": "",
    "dead letter": "deliveries error headers id item key put_at",
    "topic": "close close_sync is_closed name publish publish_sync subscribe url",
    "subscription": "close get get_sync is_closed missed",
    "news": "headers id item published_at",
}


@pytest.fixture(scope="module")
def things() -> Iterator[dict[str, Any]]:
    with open_store("memory:") as store, open_queue("memory:", max_deliveries=1) as queue, open_topic("memory:") as topic:
        queue.put_sync("bad")
        queue.get_sync(1).nack_sync("broken")
        queue.put_sync("good")
        with topic.subscribe() as subscription, queue.get_sync(1) as message:
            topic.publish_sync("rain")
            yield {
                "store": store, "lock": store.lock("k"), "queue": queue, "pending get": queue.get(0), "message": message,
                "messages": aiter(queue), "dead letter": queue.dead_letters_sync()[0], "topic": topic, "subscription": subscription,
                "news": subscription.get_sync(1),
            }


@pytest.mark.parametrize("kind", NAMES)
def test_tab_offers_what_users_type_and_nothing_else(kind: str, things: dict[str, Any]) -> None:
    offered = {name for name in dir(things[kind]) if not name.startswith("_")}

    assert offered == set(NAMES[kind].split())
