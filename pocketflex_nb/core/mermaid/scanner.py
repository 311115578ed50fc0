"""The scanner of Mermaid text: ids, bracketed and quoted texts, and arrows, each with line and column."""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from typing import NoReturn

from pocketflex_nb.core.errors import DiagramError

__all__ = ["ID", "NOTHING", "STATEMENT", "Scanner", "decoded", "said"]

#: stands before an empty text in quotes, since Mermaid's own parser refuses to read none
NOTHING = "\u200b"

#: the rest of a statement: up to a line end or a semicolon that ends no entity and stands in no quotation, or a comment
STATEMENT = re.compile(r'(?:#(?:\d{1,7}|[A-Za-z][A-Za-z0-9]{0,31});|"[^"\n]*"|(?!%%)[^;\n])*')

ID = re.compile(r"\w+(?:[.\-](?=\w)\w+)*")
#: opening bracket, closing ones with their shapes; longest first
_BRACKETS: tuple[tuple[str, dict[str, str]], ...] = (
    ("(((", {")))": "double_circle"}), ("((", {"))": "circle"}), ("([", {"])": "stadium"}), ("[[", {"]]": "subroutine"}),
    ("[(", {")]": "cylinder"}), ("{{", {"}}": "hexagon"}), ("[/", {"/]": "lean_right", "\\]": "trapezoid"}),
    ("[\\", {"\\]": "lean_left", "/]": "trapezoid_alt"}), ("[", {"]": "rect"}), ("(", {")": "round"}), ("{", {"}": "diamond"}),
    (">", {"]": "asymmetric"}),
)
_ARROW = re.compile(r"(?P<action>-{2,}>)|(?P<error>-\.+->)|(?P<detached>={2,}>)")
_OPENED = re.compile(r"(?P<action>--)|(?P<error>-\.)|(?P<detached>==)")
_CLOSED = {"action": re.compile(r"-{2,}>"), "error": re.compile(r"\.+->"), "detached": re.compile(r"={2,}>")}
_BAR, _BRACE = re.compile(r"\|"), re.compile(r"\}")
_QUOTED, _QUOTED_LINES = re.compile(r'"[^"\n]*"'), re.compile(r'"[^"]*"')
_ENTITY = re.compile(r"#(\d{1,7}|[A-Za-z][A-Za-z0-9]{0,31});")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_NAMED_SHAPES = {
    "rect": "rect", "rounded": "round", "event": "round", "stadium": "stadium", "terminal": "stadium", "pill": "stadium",
    "diam": "diamond", "diamond": "diamond", "decision": "diamond", "question": "diamond", "circle": "circle", "circ": "circle",
    "dbl-circ": "double_circle", "double-circle": "double_circle", "hex": "hexagon", "hexagon": "hexagon",
    "prepare": "hexagon",
    "cyl": "cylinder", "cylinder": "cylinder", "database": "cylinder", "db": "cylinder", "subproc": "subroutine",
    "fr-rect": "subroutine", "subprocess": "subroutine", "subroutine": "subroutine",
    "lean-r": "lean_right", "lean-l": "lean_left",
    "trap-b": "trapezoid", "trap-t": "trapezoid_alt", "odd": "asymmetric",
}


class Scanner:
    """A position in a text, and the tokens that can be read there."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.lines = [0, *(m.end() for m in re.finditer("\n", text))]  # where each line begins

    def place(self, at: int | None = None) -> tuple[int, int]:
        """Line and column of a position, from 1."""
        at = self.at if at is None else at
        line = bisect_right(self.lines, at)
        return line, at - self.lines[line - 1] + 1

    def fail(self, message: str, at: int | None = None) -> NoReturn:
        """Raise a `DiagramError` about a position."""
        line, column = self.place(at)
        raise DiagramError(message, line=line, column=column, source=self.text.split("\n")[line - 1])

    def line_end(self) -> int:
        """Where the line ends."""
        line = bisect_right(self.lines, self.at)
        return self.lines[line] - 1 if line < len(self.lines) else len(self.text)

    def rest(self) -> str:
        """The rest of the line."""
        return self.text[self.at : self.line_end()]

    def blank(self) -> None:
        """Skip blanks within the line."""
        while self.at < len(self.text) and self.text[self.at] in " \t\f\v\u00a0\u3000":
            self.at += 1

    def is_ended(self) -> bool:
        """Whether a statement ends here."""
        self.blank()
        return self.at >= len(self.text) or self.text[self.at] in "\n;" or self.text.startswith("%%", self.at)

    def bracket(self) -> tuple[str | None, str]:
        """The text and the shape after an id, if there are any."""
        start = self.at
        spaced = self.at
        while spaced < len(self.text) and self.text[spaced] in " \t":
            spaced += 1
        for opening, closings in _BRACKETS:
            if not self.text.startswith(opening, spaced) or (spaced > start and opening not in ("[", "(", "{")):
                continue
            if opening == ">" and self.text[spaced - 1] in "-=":
                continue
            self.at = spaced + len(opening)
            return self.bracket_text(opening, closings, spaced)
        return None, "rect"

    def bracket_text(self, opening: str, closings: dict[str, str], start: int) -> tuple[str, str]:
        """The text up to a closing bracket, and the shape that the bracket means."""
        self.blank_lines()
        began = self.at
        if self.text.startswith('"', self.at):
            label = self.quoted()
            self.blank_lines()
            for closing, shape in closings.items():
                if self.text.startswith(closing, self.at):
                    self.at += len(closing)
                    return label, shape
            if all(self.text.find(closing, self.at, self.line_end()) < 0 for closing in closings):
                self.fail(f"{next(iter(closings))!r} is needed after the text that {opening!r} opened", self.at)
            self.at = began  # the text only begins with a quotation
        number, end, depth = began, self.line_end(), 0
        while number < end:
            letter = self.text[number]
            quotation = _QUOTED.match(self.text, number, end) if letter == '"' else None
            if quotation is not None:
                number = quotation.end()
                continue
            for closing, shape in closings.items():
                if not depth and self.text.startswith(closing, number, end):
                    self.at = number + len(closing)
                    return said(self.text[began:number]), shape
            depth += (letter == opening) - (depth > 0 and letter in closings)
            number += 1
        wanted = next(iter(closings))
        return self.fail(f"{opening!r} is never closed on this line: write {wanted!r}, or put the text in quotes", start)

    def blank_lines(self) -> None:
        """Skip blanks and line ends."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def quoted(self) -> str:
        """A text in double quotes."""
        end = self.text.find('"', self.at + 1)
        if end < 0:
            self.fail("this quote is never closed: write '\"'; inside a text write #quot;")
        raw = self.text[self.at + 1 : end]
        self.at = end + 1
        if len(raw) > 1 and raw[0] == raw[-1] == "`":
            raw = raw[1:-1]
        return decoded(raw).removeprefix(NOTHING)

    def attributes(self) -> tuple[str | None, str]:
        """``@{ shape: diam, label: "text" }`` after an id."""
        found = _first_outside(_BRACE, _QUOTED_LINES, self.text, self.at, len(self.text))
        if found is None:
            self.fail("'@{' is never closed: write '}'")
        body = self.text[self.at + 2 : found.start()]
        self.at = found.end()
        label = re.search(r"label\s*:\s*(?:\"((?:[^\"\\]|\\.)*)\"|'((?:[^']|'')*)'|([^,}\n]+))", body)
        shape = re.search(r'shape\s*:\s*"?([\w-]+)', body)
        text = None
        if label is not None:
            double, single, bare = label.groups()
            text = re.sub(r"\\(.)", r"\1", double) if double is not None else single.replace("''", "'") if single is not None else bare
            text = decoded(text.strip())
        return text, _NAMED_SHAPES.get(shape[1], "rect") if shape else "rect"

    def arrow(self) -> tuple[str, str] | None:
        """The kind and the action of the arrow that begins here, or None when none does."""
        start = self.at
        if self.text.startswith("<", start) and re.match(r"<(-{2}|-\.|==)", self.text[start : start + 3]):
            self.fail("an arrow runs one way: draw a second one for the way back")
        whole = _ARROW.match(self.text, start)
        if whole is not None:
            self.at = whole.end()
            self.blank()
            return str(whole.lastgroup), self.pipe() if self.text.startswith("|", self.at) else "default"
        opened = _OPENED.match(self.text, start)
        if opened is None:
            if self.text.startswith("~~~", start):
                self.fail("'~~~' is an invisible link and says nothing about the flow: write '-->' or leave it out")
            return None
        if re.match(r"-{3,}|--[xo](?=\s|$)|-\.+-|={3,}", self.text[start : start + 40]):
            shown = re.match(r"[-.=]+[xo]?", self.text[start:])
            what = shown[0] if shown else "---"
            self.fail(f"{what!r} has no arrow head: write '-->', '-.->' (on error) or '==>' (not waited for)")
        return self.worded_arrow(opened)

    def worded_arrow(self, opened: re.Match[str]) -> tuple[str, str]:
        """``-- text -->`` and its variants."""
        kind, start = str(opened.lastgroup), opened.start()
        self.at = opened.end()
        self.blank()
        closed = _first_outside(_CLOSED[kind], _QUOTED, self.text, self.at, self.line_end())
        if closed is None and self.text.startswith('"', self.at):  # a quoted text may have several lines
            action = self.quoted()
            self.blank()
            closed = _CLOSED[kind].match(self.text, self.at)
        else:
            action = said(self.text[self.at : closed.start()]) if closed else ""
        if closed is None:
            wanted = {"action": "-->", "error": ".->", "detached": "==>"}[kind]
            self.fail(f"this arrow is never finished: write {wanted!r} behind its text", start)
        self.at = closed.end()
        return kind, action or "default"

    def pipe(self) -> str:
        """The action between two bars."""
        start = self.at
        self.at += 1
        self.blank()
        end = _first_outside(_BAR, _QUOTED, self.text, self.at, self.line_end())
        if end is None and self.text.startswith('"', self.at):  # a quoted text may have several lines
            action = self.quoted()
            self.blank()
            if not self.text.startswith("|", self.at):
                self.fail("'|' is needed behind the action", self.at)
            self.at += 1
            return action
        if end is None:
            self.fail("this '|' is never closed: write '-->|action|'", start)
        written = self.text[self.at : end.start()].strip()
        self.at = end.end()
        return said(written) if written else "default"


def _first_outside(pattern: re.Pattern[str], quotation: re.Pattern[str], text: str, at: int, end: int) -> re.Match[str] | None:
    """The first match that does not begin within a quotation, else the first match, else None."""
    first = hit = pattern.search(text, at, end)
    while hit is not None:
        quote = text.find('"', at, hit.start())
        if quote < 0:
            return hit
        quoted = quotation.match(text, quote, end)
        at = quoted.end() if quoted else quote + 1
        while hit is not None and hit.start() < at:
            hit = pattern.search(text, hit.end(), end)
    return first


def said(text: str) -> str:
    """A text as written; if it is one quotation, without the quotes."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        inner = text[1:-1]
        if len(inner) > 1 and inner[0] == inner[-1] == "`":
            inner = inner[1:-1]
        if '"' not in inner:
            return decoded(inner).removeprefix(NOTHING)
    return decoded(text)


def decoded(text: str) -> str:
    """`text` with Mermaid's entities (``#quot;``, ``#35;``) and line breaks decoded."""
    text = _BREAK.sub("\n", text)
    return _ENTITY.sub(lambda m: _entity(m[1], m[0]), text)


def _entity(name: str, raw: str) -> str:
    if name.isdigit():
        return chr(int(name)) if int(name) <= 0x10FFFF else raw
    found = html.unescape(f"&{name};")
    return raw if found == f"&{name};" else found
