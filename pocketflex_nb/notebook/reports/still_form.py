"""The still form of runs, by MIME type: what they said, when, on what store and how they failed, as HTML without a script, and as Markdown.

It is what a saved notebook shows where no live view can be: without a kernel, on GitHub, in an export, in a terminal, to a program that
reads cells. Everything is bounded, and what does not fit is counted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from pocketflex_nb.core.units import count_text, duration_text
from pocketflex_nb.notebook.reports.run_story import StoryReader, cut_runs, last_lines, run_story, step_rows
from pocketflex_nb.notebook.reports.still_html import (
    document,
    escaped,
    folded,
    fragment_size,
    image,
    markdown_table,
    markdown_text,
    remark,
    status_word,
)
from pocketflex_nb.notebook.run_data.conversations import has_conversation, run_conversation
from pocketflex_nb.notebook.run_data.error_card import error_card
from pocketflex_nb.notebook.run_data.playback import ViewedRun, engine_side
from pocketflex_nb.notebook.run_data.run_labels import run_label
from pocketflex_nb.notebook.run_data.run_view_model import Header, RunViewModel
from pocketflex_nb.views.conversation.still import conversation_markdown
from pocketflex_nb.views.diagrams.flow_mermaid import mermaid
from pocketflex_nb.views.diagrams.node_colours import colour_numbers
from pocketflex_nb.views.diagrams.timeline import timeline
from pocketflex_nb.views.text.page_text import clean
from pocketflex_nb.views.text.redaction import redacted

__all__ = ["BOUND", "BOUND_LIVE", "as_html", "as_markdown", "diagram_words", "glance", "still_story", "stories"]

#: bytes of a still form in a notebook file at most, all its MIME types and their pictures included: with the live view's output and the
#: cell below 200 KB
BOUND = 190_000
#: the same while runs go on: it is sent again from time to time
BOUND_LIVE = 30_000
#: runs that are told one by one, of at most so many; of more only some, since their end is told while others wait for the processor
_RUNS, _CROWD, _OF_CROWD = 60, 1_000, 12
#: bars of the timeline of them all
_BARS = 240
#: of the Markdown: steps, last lines, nodes of the diagram, and characters of the conversation's end
_STEPS, _LAST, _NODES, _SAID = 12, 10, 40, 1_500


def still_story(
    runs: Sequence[ViewedRun], title: str, pictures: Sequence[str], *, mark: str = "", plain: str = "", room: int = BOUND
) -> dict[str, str]:
    """The story of runs by MIME type: HTML, Markdown, the first diagram as SVG where it fits, and text.

    Parameters
    ----------
    runs : sequence of Run
    title : str
        Heading.
    pictures : sequence of str
        Diagrams of the flows, as SVG.
    mark : str
        For the attribute ``data-static``.
    plain : str
        The text; ``""``: none.
    room : int
        Bytes in the notebook file, all together.
    """
    told = as_markdown(runs, title)
    left = room - fragment_size(told) - fragment_size(plain) - 200
    first = pictures[0].replace("<svg ", f'<svg data-static="{escaped(mark)}" ', 1) if pictures and mark else "".join(pictures[:1])
    is_small = bool(first) and fragment_size(first) <= room // 4
    bundle = {"text/html": as_html(runs, title, pictures, mark=mark, room=left - (fragment_size(first) if is_small else 0))}
    bundle["text/markdown"] = told
    if is_small:
        bundle["image/svg+xml"] = first
    return bundle | ({"text/plain": plain} if plain else {})


def as_html(runs: Sequence[ViewedRun], title: str, pictures: str | Sequence[str], *, mark: str = "", room: int = BOUND) -> str:
    """Runs as HTML: the status, the diagrams, and for each run its error, output, timeline, store, messages, and the runs inside.

    Parameters
    ----------
    runs : sequence of Run
        Of more than 60 so many are told one by one, of more than 1 000 twelve: those that failed before the others. The rest are counted.
    title : str
        Heading.
    pictures : str or sequence of str
        Diagrams, as SVG text; one that would take half of what is left is left out.
    mark : str
        For the attribute ``data-static``.
    room : int
        Bytes in the notebook file.
    """
    head = RunViewModel(list(runs)).header(title)
    drawn, left = [glance(head, _took(runs)), _as_of(runs)], room
    left -= fragment_size(document(mark, drawn)) + 300
    for picture in [pictures] if isinstance(pictures, str) else pictures:
        shown = image(picture, diagram_words(picture))
        if fragment_size(shown) > left // 2:
            shown = remark("A diagram is too large for this form: to_html(path) draws it.")
        drawn.append(shown)
        left -= fragment_size(shown)
    told = cut_runs(runs, _RUNS if len(runs) <= _CROWD else _OF_CROWD)
    if len(told) > 1 and (together := _together(told, left // 3)):
        drawn.append(together)
        left -= fragment_size(together)
    return document(mark, [*drawn, *stories(runs, left)])


def stories(runs: Sequence[ViewedRun], room: int) -> list[str]:
    """Each run as a folded section of HTML, all together at most `room` bytes, and how many were left out.

    Parameters
    ----------
    runs : sequence of Run
        Of more than 60 so many are told, of more than 1 000 twelve: those that failed before the others.
    room : int
        Bytes.
    """
    told = cut_runs(runs, _RUNS if len(runs) <= _CROWD else _OF_CROWD)
    drawn: list[str] = []
    reader, left = StoryReader(), room
    for run in told:
        story = run_story(run, left // (len(told) - len(drawn)), is_open=len(runs) == 1, reader=reader)
        if fragment_size(story) > left:
            break
        drawn.append(story)
        left -= fragment_size(story)
    if len(drawn) < len(runs):
        drawn.append(remark(f"{count_text(len(runs) - len(drawn), 'more run')} not told here: to_html(path) tells all."))
    return drawn


def glance(header: Header, took: str = "") -> str:
    """The status of runs in a line of HTML, with what is wrong with them below it; `took` is how long they took, in words."""
    facts = [status_word(status, f"{number:,} {status}") for status, number in header["counts"].items()]
    facts += [count_text(header["steps"], "step")] if "steps" in header else []
    facts += [took] if took else []
    facts += [count_text(header["tokens"], "token")] if header.get("tokens") else []
    facts += [f"cost {header['cost']:g}"] if header.get("cost") else []
    facts += [escaped(header["origin"])] if header.get("origin") else []
    problems = "".join(f"<p>⚠ {escaped(text)}</p>" for text in header.get("problems", ()))
    return f"<p><strong>{escaped(header['name'])}</strong>: {', '.join(facts)}</p>{problems}"


def _took(runs: Sequence[ViewedRun]) -> str:
    """From the first begin to the last end, when all are over."""
    sides = [engine_side(run) for run in runs]
    begun = [side.started for side in sides if side.started]
    return duration_text((max(side.finished for side in sides) - min(begun)) / 1e9) if begun and all(run.done() for run in runs) else ""


def _as_of(runs: Sequence[ViewedRun]) -> str:
    """When it was written, where runs went on after that."""
    if all(run.done() for run in runs):
        return ""
    return remark(f"As it stood at {time.strftime('%H:%M:%S')}, while it ran. The live view above it, or the cell run again, shows more.")


def diagram_words(picture: str) -> str:
    """The words of an SVG of ours: its ``aria-label``."""
    _, _, rest = picture.partition('aria-label="')
    return _unescaped(rest.partition('"')[0]) or "diagram of the flow"


def _unescaped(text: str) -> str:
    for name, letter in (("&quot;", '"'), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(name, letter)
    return text


def _together(runs: Sequence[ViewedRun], room: int) -> str:
    """The timelines of several runs as one image, where it fits."""
    states = {f"{run_label(run)}{' ' * number}": run.state() for number, run in enumerate(runs)}  # runs of one name are rows of their own
    if not any(state.spans for state in states.values()):
        return ""
    words = f"Timeline of {count_text(len(runs), 'run')}: " + "; ".join(
        f"{name.strip()} {state.status} after {count_text(state.steps, 'step')}" for name, state in list(states.items())[:12]
    )
    shown = image(timeline(states, limit=max(_BARS // len(runs), 4), colours=colour_numbers(run.graph for run in runs)), words)
    return folded("timeline of all", shown) if fragment_size(shown) <= room else ""


def as_markdown(runs: Sequence[ViewedRun], title: str) -> str:
    """One screen of Markdown: the status, the diagram in Mermaid, the latest steps, the last lines, and the first error.

    Parameters
    ----------
    runs : sequence of Run
    title : str
        Heading.
    """
    header = RunViewModel(list(runs)).header(title)
    facts = [f"{n:,} {status}" for status, n in header["counts"].items()]
    facts += [count_text(header["steps"], "step") if "steps" in header else "", _took(runs)]
    facts += [count_text(header["tokens"], "token") if header.get("tokens") else ""]
    parts = [f"**{markdown_text(header['name'])}**: {', '.join(filter(None, facts))}"]
    if not runs:
        return parts[0]
    shown = next((run for run in runs if run.status in ("failed", "asking")), runs[0])
    state = shown.state()
    if len(runs) > 1:
        parts.append(f"Of these {markdown_text(run_label(shown))}: {shown.status}")
    if len(shown.graph.nodes) <= _NODES:
        parts.append(f"```mermaid\n{_fenced(redacted(mermaid(shown.graph, state).rstrip()))}\n```")
    if state.spans:
        parts.append(markdown_table(("step", "action", "time"), [row[:3] for row in step_rows(state, _STEPS)]))
    parts += [f"asks: {markdown_text(str(event['question']))}" for event in list(state.asking.values())[:3]]
    if has_conversation([shown]):
        parts.append(conversation_markdown(run_conversation(shown).turns, room=_SAID))
    if lines := [_fenced(clean(text, 200)) for _, text in last_lines(state, _LAST)]:
        parts.append("\n".join(["```text", *lines, "```"]))
    if shown.status == "failed" and shown.error is not None:
        error = error_card(shown)
        trace = _fenced("\n".join(error["trace"]))
        where = markdown_text(error["node"] or shown.name)
        parts.append(f"**{error['type']}** in {where}: {markdown_text(error['text'])}\n\n```text\n{trace}\n```")
    return "\n\n".join(parts)


def _fenced(text: str) -> str:
    """Text that stays inside of its fence."""
    return text.replace("```", "'''")
