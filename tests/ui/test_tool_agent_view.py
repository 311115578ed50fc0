"""An agent with tools under a person's eyes: drawn, stepped, asked for, stopped in mid-stream, and ended by its budget."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.ui.lab import Lab

_SETUP = '''
%load_ext pocketflex_nb
import time
from pocketflex_nb import Flow, ask, linear, node
from pocketflex_nb.llm import Reply, openai_model, tool, tool_agent
from pocketflex_nb.testing import NotAModel, Stall

@tool
def search(query: str, k: int = 3) -> list[str]:
    """Search the documentation."""
    return [f"result {n} for {query}" for n in range(k)]

tries = []

@tool
async def read(page: str) -> str:
    """Read a page."""
    tries.append(page)
    if len(tries) == 1:
        raise LookupError(f"no page {page!r}")
    return f"All about {page}."

@tool
def ask_person(question: str) -> str:
    """Ask the person."""
    return ask(question, choices=["yes", "no"])

@node
def outline(shared): shared["parts"] = shared["topic"].split()

@node
def join(shared): shared["draft"] = " / ".join(shared["parts"])

write = Flow(linear(outline, join).start_node, name="write", inputs=["topic"], outputs=["draft"])
server = NotAModel([
    Reply("I will look at two places.", [("search", {"query": "asyncio"}), ("read", {"page": "whatsnew"})]),
    Reply("", [("read", {"page": "asyncio"})]),
    Reply("May I write it down?", [("ask_person", {"question": "Write a draft?"})]),
    Reply("", [("write", {"topic": "task groups"})]),
    "**TaskGroup** is the news <b>here</b>.",
    Stall("This is said and then nothing more.", pieces=4),
    Reply("Once more.", [("search", {"query": "again"})], {"input_tokens": 900, "output_tokens": 200}),
]).start()
model = openai_model("not-a-model", base_url=server.url, prices=(1, 4))
desk = tool_agent(model, "You research.", tools=[search, read, ask_person, write], name="desk")
'''


def test_an_agent_with_tools_is_drawn_stepped_asked_stopped_and_budgeted(lab: Lab) -> None:
    lab.open(lab.write([
        _SETUP, "desk", "run = desk.launch({'question': 'What changed in asyncio?'}); run.pause()",
        "halted = desk.launch({'question': 'And then?'})", "server.hung_up, dict(halted.store).get('answer')",
        "spent = desk.launch({'question': 'And more?'}, budget={'tokens': 1000}); spent.wait(20); print(spent.error, spent.usage)",
    ], name="desk"))
    lab.run_cell(0)
    lab.run_cell(1)
    expect(lab.cell(1).locator(".jp-OutputArea-output img")).to_be_visible()

    lab.run_cell(2)
    view = lab.cell(2).locator(".pf-run-view")
    expect(view.locator(".pf-counts")).to_contain_text("paused")
    view.get_by_role("button", name="Step", exact=True).click()
    expect(view.locator('g.pf-node[data-node="think"][data-state="done"]')).to_be_visible()
    for name in ("search", "read", "ask_person", "write/outline", "write/join"):
        expect(view.locator(f'g.pf-node[data-node="{name}"]')).to_be_attached()
    view.get_by_role("button", name="Resume", exact=True).click()
    view.get_by_role("button", name="yes", exact=True).click(timeout=20_000)
    expect(view.locator(".pf-counts")).to_contain_text("done", timeout=20_000)

    view.get_by_role("tab", name="Conversation").click()
    talk = view.locator(".pf-panel")
    for told in ("What changed in asyncio?", "I will look at two places.", "no page 'whatsnew'", "ask_person(question=", "task / groups"):
        expect(talk).to_contain_text(told)
    expect(talk).to_contain_text("is the news <b>here</b>.")
    lab.screenshot("desk-conversation")

    lab.run_cell(3)
    halted = lab.cell(3).locator(".pf-run-view")
    expect(halted.locator(".pf-lines")).to_contain_text("This is said and")
    halted.get_by_role("button", name="Stop", exact=True).click()
    expect(halted.locator(".pf-counts")).to_contain_text("cancelled")
    lab.run_cell(4)
    expect(lab.cell(4).locator(".jp-OutputArea-output")).to_contain_text("(1, None)")

    lab.run_cell(5)
    expect(lab.cell(5).locator(".jp-OutputArea-output").last).to_contain_text("has spent 1100 of 1000 tokens; the store is kept")
    lab.screenshot("desk-budget")
