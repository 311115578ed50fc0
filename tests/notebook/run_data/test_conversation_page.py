"""What of a conversation is sent to the page: a bounded part, filters, what was opened, masked and without markup."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

import pytest

from pocketflex_nb import Flow, Run, emit, launch, linear, node
from pocketflex_nb.notebook.run_data.conversation_page import PART, ConversationPage, ConversationPart
from pocketflex_nb.notebook.run_data.run_view_model import RunViewModel
from pocketflex_nb.notebook.run_data.time_travel import TimeTravel
from pocketflex_nb.notebook.widgets.base.delta import delta
from pocketflex_nb.notebook.widgets.run_view.run_view import RunView

SECRET = "sk-proj-abcdefghijklmnop1234567890ABCDEFGH"


def chat(number: int, text: str = "message") -> Run:
    @node
    def says(shared: Any) -> None:
        for k in range(number):
            emit("message", f"{text} {k}", role="user" if k % 2 else "assistant")

    return Flow(says, name="chat").launch({}, show=False).wait(60)


def part(page: ConversationPage, *runs: Run, moment: int | None = None) -> ConversationPart:
    return page.part(runs, moment, [run.name for run in runs])


def texts(told: ConversationPart) -> list[str]:
    return [row["text"] for row in told["rows"]]


def test_a_short_conversation_is_sent_whole() -> None:
    told = part(ConversationPage(TimeTravel()), chat(5))

    assert texts(told) == [f"message {k}" for k in range(5)]
    assert (told["first"], told["of"], told["is_newest"], told["totals"]) == (0, 5, True, "5 messages")
    assert [row["side"] for row in told["rows"]] == ["assistant", "user", "assistant", "user", "assistant"]


def test_of_ten_thousand_messages_one_part_is_sent_quickly_and_others_on_demand() -> None:
    run, page = chat(9_990), ConversationPage(TimeTravel())
    part(page, run)
    took = []
    for _ in range(5):
        begin = time.thread_time()
        newest = part(page, run)
        took.append(time.thread_time() - begin)

    assert min(took) < 0.1
    assert len(newest["rows"]) <= PART
    assert (newest["of"], newest["is_newest"]) == (9_990, True)
    assert texts(newest)[-1] == "message 9989"
    page.ask({"first": newest["first"] - 50})
    before = part(page, run)
    assert (texts(before)[0], len(before["rows"]), before["is_newest"]) == (f"message {newest['first'] - 50}", PART, False)
    page.ask({"first": -3})
    assert texts(part(page, run))[0] == "message 0"
    page.ask({"first": None})
    assert part(page, run) == newest
    assert len(json.dumps(newest)) < 60_000


def test_one_more_message_costs_a_small_difference() -> None:
    steps: list[Any] = []

    @node
    def says(shared: Any) -> None:
        for k in range(40):
            emit("message", f"message {k} " + "x" * 300, role="user")
            steps.append(part(page, run_now()))

    runs_seen: list[Run] = []
    page = ConversationPage(TimeTravel())

    def run_now() -> Run:
        from pocketflex_nb import runs

        runs_seen[:] = [run for run in runs() if run.flow.name == "one more"]
        return runs_seen[-1]

    Flow(says, name="one more").launch({}, show=False).wait(60)

    sizes = [len(json.dumps(delta(before, after))) for before, after in itertools.pairwise(steps)]
    assert max(sizes) < 1_500


def test_long_texts_are_cut_and_sent_whole_when_they_are_opened() -> None:
    @node
    def says(shared: Any) -> None:
        emit("message", "First line.\n" + "s" * 900, role="system")
        emit("message", "y" * 9_000, role="user")
        emit("tool", name="search", arguments={"q": "tides"}, result=list(range(50)))

    run, page = Flow(says).launch({}, show=False).wait(20), ConversationPage(TimeTravel())
    system, user, tool = part(page, run)["rows"]

    assert "\n" not in system["text"]
    assert (system["size"], user["size"], len(user["text"]) < 2_100) == (912, 9_000, True)
    assert tool["calls"][0][:3] == ["search(q='tides')", "list 50", "done"]
    for key in (system["key"], user["key"], f"{tool['key']}:0", "9.9", f"{tool['key']}:7", "nonsense"):
        page.ask({"open": key})
    opened = part(page, run)["opened"]
    assert opened[system["key"]][0].startswith("First line.\nsss")
    assert len(opened[user["key"]][0]) == 9_000
    assert json.loads(opened[f"{tool['key']}:0"][0]) == {"q": "tides"}
    assert json.loads(opened[f"{tool['key']}:0"][1]) == list(range(50))
    assert len(opened) == 3
    page.ask({"open": user["key"]})
    assert user["key"] not in part(page, run)["opened"]


def test_what_is_opened_stays_below_the_cap_of_a_message() -> None:
    run, page = chat(30, "z" * 15_000), ConversationPage(TimeTravel())
    for row in part(page, run)["rows"]:
        page.ask({"open": row["key"]})

    assert len(json.dumps(part(page, run))) < 100_000


def test_a_filter_shows_a_node_or_an_agent() -> None:
    @node
    def thinks(shared: Any) -> None:
        emit("message", "I look.", role="assistant", tool_calls=[{"id": "1", "name": "search", "arguments": {}}])

    @node
    def looks(shared: Any) -> None:
        emit("tool", id="1", name="search", result="three")

    @node
    def answers(shared: Any) -> None:
        emit("message", "Twice a day.", role="assistant")

    group = launch([linear(thinks, looks, answers), Flow(answers)], show=False).wait(20)
    page = ConversationPage(TimeTravel())
    both = page.part(list(group), None, ["a1", "a2"])

    assert sorted(value for value, _ in both["scopes"]) == sorted(
        ["all", "node:thinks", "node:answers", f"agent:{group[0].name}", f"agent:{group[1].name}"],
    )
    assert {row["run"] for row in both["rows"]} == {"a1", "a2"}
    for scope, kept in (("node:thinks", ["I look."]), (f"agent:{group[1].name}", ["Twice a day."]), ("node:nobody", None)):
        page.ask({"scope": scope})
        told = page.part(list(group), None, ["a1", "a2"])
        assert kept is None or texts(told) == kept
        assert told["scope"] == (scope if kept else "all")


def test_a_call_is_found_by_the_node_that_did_it() -> None:
    @node
    def thinks(shared: Any) -> None:
        emit("message", "I look.", role="assistant", tool_calls=[{"id": "1", "name": "search", "arguments": {}}])

    @node
    def looks(shared: Any) -> None:
        emit("tool", id="1", name="search", result="three")
        emit("message", "Found.", role="assistant")

    run, page = linear(thinks, looks).launch({}, show=False).wait(20), ConversationPage(TimeTravel())
    page.ask({"scope": "node:looks"})

    assert texts(part(page, run)) == ["I look.", "Found."]


def test_a_long_stream_shows_its_end() -> None:
    page, seen = ConversationPage(TimeTravel()), []

    @node
    def streams(shared: Any) -> None:
        from pocketflex_nb import current

        for k in range(3_000):
            emit("token", f"word{k} ")
            if k % 500 == 499:
                seen.append(part(page, current().run)["rows"][0])

    Flow(streams).launch({}, show=False).wait(30)

    assert all(row["state"] == "streaming" and len(row["text"]) <= 2_000 for row in seen)
    assert seen[-1]["text"].rstrip().endswith("word2999")


def test_secrets_are_masked_and_hostile_characters_written_out() -> None:
    @node
    def says(shared: Any) -> None:
        emit("message", f"My key is {SECRET} \x1b]0;t\x07 \u202eright", role="user", name=SECRET)
        emit("tool", name=f"login {SECRET}", arguments={"password": "hunter2"}, result={"api_key": "hunter2", "note": SECRET})
        emit("tool", name="fail", error=PermissionError(f"token {SECRET}"))

    run, page = Flow(says).launch({}, show=False).wait(20), ConversationPage(TimeTravel())
    for row in part(page, run)["rows"]:
        page.ask({"open": row["key"]})
        for k in range(len(row.get("calls", ()))):
            page.ask({"open": f"{row['key']}:{k}"})
    told = json.dumps(part(page, run), ensure_ascii=False)

    assert SECRET not in told
    assert "hunter2" not in told
    assert "\x1b" not in told.replace("\\u001b", "\x1b")
    assert "\u202e" not in told


def test_an_agents_markdown_is_a_tree_of_safe_elements() -> None:
    text = f"**Twice** a day, see [here](https://example.org) <script>alert(1)</script> ![x](http://evil/x) [j](javascript:b) {SECRET}"

    @node
    def says(shared: Any) -> None:
        emit("message", text, role="assistant")
        emit("message", text, role="user")
        emit("message", "Plain words.", role="assistant")
        emit("message", f"# Long\n\n{'word ' * 1_000}", role="assistant")
        emit("message", text, role="assistant", partial=True)

    run, page = Flow(says).launch({}, show=False).wait(20), ConversationPage(TimeTravel())
    marked, user, plain, long, partial = part(page, run)["rows"]

    tree = json.dumps(marked["tree"])
    assert '["strong", {}, ["Twice"]]' in tree
    assert "https://example.org" in tree
    assert "javascript:" not in json.dumps([node for node in marked["tree"] if not isinstance(node, str) and node[0] == "a"])
    assert SECRET not in tree
    assert '"script"' not in tree
    assert '"img"' not in tree
    assert not any("tree" in row for row in (user, plain, long, partial))
    page.ask({"open": long["key"]})
    whole, told = part(page, run)["opened"][long["key"]]
    assert str(whole).startswith("# Long")
    assert told[0][0] == "h1"  # type: ignore[index]  # a list of elements


def test_a_turn_tells_its_visit_where_nothing_of_the_address_is_hidden() -> None:
    run, page = chat(1), ConversationPage(TimeTravel())
    (row,) = page.part([run], None, ["chat"], [3])["rows"]
    hidden = Flow(node(lambda shared: emit("message", "hello")), name=SECRET).launch({}, show=False).wait(20)

    assert row["visit"] == [3, f"{run.events[0].address}/says#1"]
    assert "visit" not in ConversationPage(TimeTravel()).part([hidden], None, ["hidden"], [0])["rows"][0]


def test_the_time_cursor_shows_what_was_said_by_then() -> None:
    model = RunViewModel([chat(3)])
    run = model.runs[0]

    assert texts(model.conversation.part([run], run.state().spans[-1].end, ["chat"])) == ["message 0", "message 1", "message 2"]
    assert texts(model.conversation.part([run], run.events[2].ns, ["chat"])) == ["message 0", "message 1"]


# the view ----------------------------------------------------------------------------------------------------------------
def test_the_tab_stands_there_only_when_there_is_a_conversation() -> None:
    talks, quiet = RunView(chat(2)), RunView(Flow(node(lambda shared: None)).launch({}, show=False).wait(20))

    assert ("conversation" in talks.tabs, "conversation" in quiet.tabs) == (True, False)
    assert talks.tabs.index("diff") == 0
    for view in (talks, quiet):
        view.close()


def test_nothing_of_the_conversation_is_sent_before_its_tab_is_opened() -> None:
    view = RunView(chat(2))

    assert view.conversation == {}
    view._requests.append({"do": "tab", "name": "conversation"})
    view.refresh()
    assert texts(view.conversation) == ["message 0", "message 1"]  # type: ignore[arg-type]  # a trait is a plain dict
    view._requests.append({"do": "talk", "open": view.conversation["rows"][0]["key"]})
    view.refresh()
    assert list(view.conversation["opened"].values()) == [["message 0"]]
    view.close()


def test_a_view_may_have_the_tab_alone_and_a_saved_view_keeps_what_it_showed() -> None:
    view = RunView(chat(2), tabs=["conversation"])
    view._requests.append({"do": "tab", "name": "conversation"})
    view.refresh()

    assert view.tabs == ["conversation"]
    assert len(view.get_state()["conversation"]["rows"]) == 2
    view.close()


@pytest.mark.parametrize("request_", [{}, {"first": "x"}, {"open": None}, {"scope": 3}, {"first": 1e9}, {"open": ["a"]}, {"first": -1.5}])
def test_a_strange_request_does_no_harm(request_: dict[str, Any]) -> None:
    view = RunView(chat(2))
    for each in ({"do": "tab", "name": "conversation"}, {"do": "talk", **request_}):
        view._requests.append(each)
    view.refresh()

    assert len(view.conversation["rows"]) == 2
    view.close()
