"""A shared store as a flow's `shared`: what nodes write arrives, who wrote is known, and lost updates are found."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, launch
from pocketflex_nb.core.errors import ConflictError, EncodingError
from pocketflex_nb.core.frozen.freezer import thaw
from pocketflex_nb.core.store.store import ConflictWarning
from pocketflex_nb.notebook.widgets.store_inspector.store_inspector import StoreInspector
from pocketflex_nb.resources.stores.provenance import kernel_name
from pocketflex_nb.resources.stores.shared_store import SharedStore

Pair = tuple[SharedStore, SharedStore]


class Append(Node):
    def prep(self, shared: Any) -> Any:
        return shared["notes"]

    def exec(self, notes: list[str]) -> int:
        return len(notes)

    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
        shared["notes"].append(f"note {exec_res}")
        shared["deep"]["list"].append(exec_res)
        shared["count"] = exec_res + 1


@pytest.fixture
def flow() -> Any:
    return Flow(Append(), name="night")


def test_nested_changes_arrive_at_the_nodes_end_with_who_made_them(pair: Pair, flow: Any) -> None:
    mine, yours = pair
    mine.update({"notes": [], "deep": {"list": []}})

    flow.run(mine)
    flow.run(mine)

    assert dict(yours.items()) == {"notes": ["note 0", "note 1"], "deep": {"list": [0, 1]}, "count": 2}
    for key in ("notes", "deep", "count"):
        written = yours.who(key)
        assert (written.run.startswith("night"), written.node, written.step, written.kernel) == (True, "Append", 1, kernel_name())


def test_a_launched_run_shares_the_store_itself_and_its_log_lists_the_changes(pair: Pair, flow: Any) -> None:
    mine, yours = pair
    mine.update({"notes": [], "deep": {"list": []}})

    run = flow.launch(mine)
    run.result(30)

    assert run.store is mine
    assert yours["notes"] == ["note 0"]
    changed = [change for event in run.events if event.kind == "store_changed" for change in event.data["changes"]]
    assert {change["key"]: thaw(change["new"]) for change in changed} == {"notes": ["note 0"], "deep": {"list": [0]}, "count": 1}
    assert {change["key"]: change["version"] for change in changed} == {key: yours.who(key).version for key in ("notes", "deep", "count")}


def test_a_set_that_a_step_only_looked_at_is_not_written(pair: Pair) -> None:
    """Read from elsewhere it has its members in another order, and would overwrite what others add meanwhile."""
    mine, yours = pair
    mine["seen"], mine["deep"] = {*"abcdefgh", 1, (2, "x")}, [frozenset({*"abcdefgh"})]

    class Look(Node):
        def prep(self, shared: Any) -> Any:
            return len(shared["seen"]), shared["deep"][0]

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            mine.update("seen", lambda seen: {*seen, "new"})

    Flow(start=Look()).run(yours)

    assert "new" in mine["seen"]
    assert [change.key for change in mine.history()] == ["seen", "deep", "seen"]


def test_large_nested_values_are_sent_whole(pair: Pair) -> None:
    mine, yours = pair
    mine["rows"] = [[number] for number in range(30_000)]

    class Touch(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["rows"][20_000].append("deep inside")

    Flow(Touch()).run(mine)

    assert yours["rows"][20_000] == [20_000, "deep inside"]


def test_nested_changes_outside_of_runs_are_sent_with_the_next_write_the_next_question_and_the_end(pair: Pair) -> None:
    mine, yours = pair
    mine["notes"] = []

    mine["notes"].append("by hand")
    mine["other"] = 1
    assert yours["notes"] == ["by hand"]
    mine["notes"].append("again")
    assert len(mine.history("notes")) == 3
    assert yours["notes"] == ["by hand", "again"]
    mine["notes"].append("at last")
    mine.close()

    assert yours["notes"] == ["by hand", "again", "at last"]


def test_what_a_node_cannot_keep_fails_that_node_with_the_path(pair: Pair) -> None:
    mine, yours = pair
    mine["notes"] = []

    class Wrong(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["notes"].append(lambda: 0)

    with pytest.raises(EncodingError, match=r"notes\[0\] cannot be kept: .*function"):
        Flow(Wrong()).run(mine)
    assert yours["notes"] == []


def test_several_runs_share_one_store(pair: Pair) -> None:
    mine, yours = pair

    class Add(Node):
        async def exec(self, prep_res: Any) -> None:
            await mine.aincrement("n")

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared.increment("posts")

    launch([Flow(Add()) for _ in range(8)], share=mine).wait()

    assert (yours["n"], yours["posts"]) == (8, 8)


# lost updates --------------------------------------------------------------------------------------------------------
def overwriting(other: SharedStore) -> Any:
    """A flow whose node reads, and writes what somebody else has written meanwhile."""

    class Late(Node):
        def prep(self, shared: Any) -> Any:
            return shared["notes"]

        def exec(self, notes: list[str]) -> list[str]:
            other["notes"] = ["theirs"]
            return [*notes, "mine"]

        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["notes"] = exec_res

    return Flow(Late(), name="late")


def test_an_overwritten_update_of_another_kernel_warns_and_is_an_event(pair: Pair) -> None:
    mine, yours = pair
    mine["notes"] = []
    flow = overwriting(yours)

    with pytest.warns(ConflictWarning, match=rf"overwrote 'notes', which .* in kernel {kernel_name()} had written"):
        flow.run(mine)

    assert yours["notes"] == ["mine"]


def test_an_overwritten_update_is_refused_where_that_is_asked_for(opened: Callable[..., SharedStore]) -> None:
    mine, yours = opened(on_conflict="raise"), opened()
    mine["notes"] = []

    with pytest.raises(ConflictError, match="was kept from overwriting 'notes'"):
        overwriting(yours).run(mine)

    assert yours["notes"] == ["theirs"]


def test_an_overwritten_update_is_resolved_by_a_rule(opened: Callable[..., SharedStore]) -> None:
    mine, yours = opened(merge={"notes": operator.add}), opened()
    mine["notes"] = []

    overwriting(yours).run(mine)

    assert yours["notes"] == ["theirs", "mine"]


def test_a_rule_of_three_gets_what_stood_there_before(opened: Callable[..., SharedStore]) -> None:
    mine, yours = opened(merge={"notes": lambda base, theirs, own: [base, theirs, own]}), opened()
    mine["notes"] = ["base"]

    overwriting(yours).run(mine)

    assert yours["notes"] == [["base"], ["theirs"], ["base", "mine"]]


def test_a_nested_change_that_overwrites_another_kernels_is_found(pair: Pair) -> None:
    mine, yours = pair
    mine["notes"] = []

    class Late(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            notes = shared["notes"]
            yours["notes"] = ["theirs"]
            notes.append("mine")

    with pytest.warns(ConflictWarning, match="overwrote 'notes'"):
        Flow(Late()).run(mine)
    assert yours["notes"] == ["mine"]


def test_a_nested_change_is_merged_by_a_rule(opened: Callable[..., SharedStore]) -> None:
    mine, yours = opened(merge={"notes": operator.add}), opened()
    mine["notes"] = []

    class Late(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            notes = shared["notes"]
            yours["notes"] = ["theirs"]
            notes.append("mine")

    Flow(Late()).run(mine)

    assert yours["notes"] == ["theirs", "mine"]


def test_what_was_written_before_the_node_began_is_no_conflict(pair: Pair) -> None:
    mine, yours = pair
    mine["notes"] = []

    class Write(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
            shared["notes"] = [*shared["notes"], "mine"]
            yours.update("notes", lambda notes: [*notes, "theirs"])
            return "again" if len(shared["notes"]) < 6 else "end"

    class Blind(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["notes"] = "over"

    write = Write()
    write - "again" >> write
    write - "end" >> Blind()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Flow(write).run(mine)

    assert yours["notes"] == "over"


# the inspector -------------------------------------------------------------------------------------------------------
def test_the_inspector_shows_what_others_write_with_their_run_and_kernel(pair: Pair, flow: Any) -> None:
    mine, yours = pair
    mine.update({"notes": [], "deep": {"list": []}, "api_key": "sk-0123456789abcdef"})
    inspector = StoreInspector(yours)

    with yours.watch() as watch:
        flow.run(mine)
        while yours.version < mine.version:
            assert watch.next(30) is not None
    inspector.refresh()

    rows = {row[2]: row for row in inspector.rows}
    assert rows["notes"][4] == "['note 0']"
    assert "Append" in rows["notes"][8]
    assert kernel_name() in rows["notes"][8]
    assert "sk-0123456789abcdef" not in str(inspector.rows)
    assert inspector.head["version"] == mine.version


def test_the_inspector_of_a_store_whose_server_is_gone_keeps_showing_what_is_known(pair: Pair) -> None:
    mine, yours = pair
    mine["a"] = 1
    inspector = StoreInspector(yours)
    assert "a" in yours
    inspector.refresh()
    yours.close()

    inspector.refresh()

    assert [row[2] for row in inspector.rows] == ["a"]
