"""What the store inspector sends to the page, now and of the past, and what it lets a person do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pocketflex_nb import Flow, Node, Store, launch
from pocketflex_nb.notebook.widgets.base.refresh_loop import refresh_loop
from pocketflex_nb.notebook.widgets.store_inspector.store_inspector import PAGE, StoreInspector

_KEY = "sk-abcdefghijklmnop1234"


class Note(Node):
    def post(self, shared: Any, prep_res: Any, exec_res: Any) -> str:
        shared["notes"].append({"title": f"note {len(shared['notes'])}"})
        return "more" if len(shared["notes"]) < 4 else "enough"


def _flow() -> Flow:
    note = Note()
    note - "more" >> note
    note - "enough" >> Node()
    return Flow(note, name="noting")


def _seeded(**more: Any) -> dict[str, Any]:
    return {"notes": [], "api_key": _KEY, "topic": "solar", **more}


def _look_into(source: Any) -> StoreInspector:
    view = StoreInspector(source)
    refresh_loop.close(view)  # the test looks itself, once the look under way is over
    refresh_loop.hurry()
    assert refresh_loop.rested(10)
    return view


def _request(view: StoreInspector, **request: Any) -> None:
    view._requests.append(request)
    view.refresh()


def _row(view: StoreInspector, name: str) -> list[Any]:
    return next(row for row in view.rows if row[2] == name)


@pytest.fixture
def view() -> StoreInspector:
    return _look_into(_flow().launch(_seeded(), show=False).wait(10))


def test_a_row_tells_type_value_writer_and_version(view: StoreInspector) -> None:
    _, depth, _, kind, text, children, is_open, version, writer, sign = _row(view, "notes")

    assert (depth, kind, children, is_open, sign) == (0, "list 4", 4, False, "~")
    assert text.startswith("[{'title': 'note 0'}")
    assert (writer, version) == (f"{view.head['title']} · Note", view.head["version"])
    assert _row(view, "topic")[7:9] == [0, "seed"]


def test_children_come_when_a_branch_is_opened(view: StoreInspector) -> None:
    _request(view, do="toggle", row=_row(view, "notes")[0])

    assert [row[2] for row in view.rows if row[1] == 1] == ["0", "1", "2", "3"]


def test_the_slider_goes_back_to_any_step(view: StoreInspector) -> None:
    _request(view, do="place", at=2)

    assert _row(view, "notes")[3] == "list 2"
    assert view.head["place"].endswith("Note, step 2")
    assert view.diff == [["+", "notes[1]", "{'title': 'note 1'}"]]


def test_quick_steps_back_add_up(view: StoreInspector) -> None:
    for _ in range(3):      # faster than the page hears where it stands
        view._requests.append({"do": "step", "by": -1})

    view.refresh()

    assert view.head["place"].endswith("Note, step 1")


def test_only_changed_leaves_what_differs_from_the_start(view: StoreInspector) -> None:
    _request(view, do="base", name="start")
    _request(view, do="changed", on=True)

    assert [row[2] for row in view.rows] == ["notes"]
    assert len(view.diff) == 4


def test_a_long_text_is_compared_word_by_word() -> None:
    class Redraft(Node):
        def post(self, shared: Any, prep_res: Any, exec_res: Any) -> None:
            shared["draft"] = shared["draft"].replace("coal", "solar") + " Token sk-abcdefghijklmnop1234."

    draft = "Most of the power of this town comes from coal, as it did a hundred years ago."
    run = Flow(Redraft()).launch({"draft": draft}, show=False).wait(10)
    view = _look_into(run)

    _request(view, do="choose", row=_row(view, "draft")[0])

    told = view.detail["words"]
    assert ["-", "coal"] in told
    assert ["+", "solar"] in told
    assert "abcdefgh" not in str(view.detail)


def test_runs_of_a_group_are_compared() -> None:
    group = launch({"one": (_flow(), _seeded(topic="wind")), "two": (_flow(), _seeded())}, show=False).wait(10)
    one, two = (run.name for run in group)
    view = _look_into(group)

    _request(view, do="base", name=two)

    assert view.head["title"] == one
    assert view.diff == [["~", "topic", "'solar' → 'wind'"]]


def test_secrets_are_masked_everywhere(view: StoreInspector) -> None:
    _request(view, do="choose", row=_row(view, "api_key")[0])

    assert _KEY not in json.dumps([view.rows, view.diff, view.detail, view.head, view.still()])
    assert view.detail["history"] == [] and view.detail["edit"] is None


def test_a_value_is_edited_once_the_run_is_over(view: StoreInspector) -> None:
    _request(view, do="choose", row=_row(view, "topic")[0])
    _request(view, do="edit", text="wind")

    assert view._store["topic"] == "wind"
    assert view.head["note"] == "topic was edited."
    assert _row(view, "topic")[8] == "by hand"
    assert [event["text"] for event in view._run.events if event.get("by") == "person"] == ["a person set topic = 'wind'"]


def test_a_value_inside_is_edited_and_what_is_no_value_is_refused(view: StoreInspector) -> None:
    _request(view, do="toggle", row=_row(view, "notes")[0])
    _request(view, do="choose", row=_row(view, "0")[0])

    _request(view, do="edit", text="not a value")
    refused = view.head["note"]
    before = view._store.version
    _request(view, do="edit", text="{'title': 'mine'}")

    assert "is no Python value" in refused
    assert view._store["notes"][0] == {"title": "mine"}
    assert view._store.at(before)["notes"][0] != {"title": "mine"}


def test_nothing_is_edited_while_a_run_walks() -> None:
    store = Store(_seeded())

    class Waits(Node):
        async def exec(self, prep_res: Any) -> None:
            import asyncio

            await asyncio.sleep(600)

    run = Flow(Waits(), name="waits").launch(store, show=False)
    view = _look_into(run)
    _request(view, do="choose", row=_row(view, "topic")[0])
    _request(view, do="edit", text="wind")
    run.cancel()
    run.wait(10)

    assert store["topic"] == "solar"
    assert "Pause the run first" in view.head["note"]


def test_the_seed_is_the_store_as_it_is_shown(view: StoreInspector) -> None:
    view.go_to(1)

    assert view.seed() == {**_seeded(), "notes": [{"title": "note 0"}]}


def test_ten_thousand_keys_are_sent_by_pages() -> None:
    view = _look_into({f"key {k}": k for k in range(10_000)})
    first = len(view.rows)

    _request(view, do="more", row=view.rows[-1][0])

    assert first == PAGE + 1 and view.rows[-1][4] == "9,600 more"
    assert len(view.rows) == 2 * PAGE + 1


def test_hostile_values_are_shown_and_none_hides_the_others() -> None:
    class Evil(dict[str, Any]):
        def __len__(self) -> int:
            raise RuntimeError("no length")

        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    loop: list[Any] = []
    loop.append(loop)
    view = _look_into({"evil": Evil(), "loop": loop, "<script>": "</svg>", "big": "x" * 10_000_000, "\u202e": "\ud800"})
    for row in list(view.rows):
        _request(view, do="choose", row=row[0])

    sent = json.dumps([view.rows, view.detail], allow_nan=False, ensure_ascii=False)

    assert len(view.rows) == 5 and len(sent.encode()) < 60_000
    assert "\u202e" not in sent
    assert "&lt;script&gt;" in view.still() and "<script>" not in view.still()


def test_a_frame_an_array_and_a_picture_are_shown_as_such() -> None:
    import numpy as np
    import pandas as pd

    png = b"\x89PNG\r\n\x1a\n" + b"0" * 20
    view = _look_into({"frame": pd.DataFrame({"a": [1, 2]}), "array": np.zeros((3, 4)), "picture": png})
    told = {}
    for name in ("frame", "array", "picture"):
        _request(view, do="choose", row=_row(view, name)[0])
        told[name] = dict(view.detail)

    assert told["frame"]["type"] == "DataFrame 2x1" and "a" in told["frame"]["text"]
    assert told["array"]["type"] == "ndarray 3x4"
    assert told["picture"]["image"].startswith("data:image/png;base64,")


def test_what_is_no_store_is_refused() -> None:
    with pytest.raises(TypeError, match="a store, a mapping or a run is needed, not int 3"):
        StoreInspector(3)


def test_a_table_has_every_value_with_its_path(view: StoreInspector) -> None:
    _request(view, do="form", name="table")

    rows = {row[2]: row[4] for row in view.rows}
    assert rows["notes[0].title"] == "'note 0'" or any(name.startswith("notes[0]") for name in rows)
    assert all(row[1] == 0 and row[5] == 0 for row in view.rows)
    assert _KEY not in json.dumps(view.rows)
    _request(view, do="filter", text="solar")
    assert {row[2] for row in view.rows} == {"topic"}
    _request(view, do="choose", row=view.rows[0][0])
    assert view.detail["path"] == "topic"


def test_a_table_marks_only_the_values_that_differ(view: StoreInspector) -> None:
    _request(view, do="form", name="table")
    every = [row[2] for row in view.rows]

    _request(view, do="changed", on=True)

    assert 0 < len(view.rows) < len(every)
    assert all(row[9] for row in view.rows)
    assert not [row for row in view.rows if row[2] == "topic"]


def test_a_table_comes_a_page_at_a_time() -> None:
    view = _look_into(Store({"many": list(range(450))}))

    _request(view, do="form", name="table")
    first = len(view.rows)
    _request(view, do="more", row=view.rows[-1][0])

    assert first == PAGE + 1
    assert len(view.rows) == 2 * PAGE + 1


def test_a_store_is_read_as_json_without_its_secrets(view: StoreInspector) -> None:
    _request(view, do="form", name="json")

    told = json.loads(view.text)
    assert told["topic"] == "solar" and isinstance(told["notes"], list)
    assert _KEY not in view.text
    assert view.rows == []
