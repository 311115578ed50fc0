"""Answers to lesson 06: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["RIGHT", "SOLUTIONS", "WRONG"]


def _doorman(init: str, *lines: str, before: str = "", first: str = "") -> str:
    falls = ('if visitor == "dragon":', '    raise RuntimeError("a dragon!")')
    body = "\n".join(f"        {line}" for line in (first, *falls, *lines) if line)
    return (
        f"class Doorman(Agent):\n{before}    async def init(self, book):\n        {init}\n\n"
        f"    async def handle_call(self, visitor, caller):\n{body}"
    )


def _plan(order: str, strategy: str) -> str:
    return f"plan = Supervisor([child(Domino, id=name) for name in {order.split()!r}], strategy={strategy!r})"


def _house(*children: str, **options: str) -> str:
    return f"house = Supervisor([{', '.join(children)}]{''.join(f', {name}={value}' for name, value in options.items())})"


def _book(*change: str, before: str = "self.guests = []") -> str:
    lines = "".join(f"    {line}\n" for line in change)
    return (
        f"class GuestBook(Agent):\n    async def init(self):\n        {before}\n\n"
        "    async def handle_call(self, guest, caller):\n        self.guests.append(guest)\n        return len(self.guests)\n\n"
        f"{lines}"
    )


def _change(line: str) -> str:
    return _book("def code_change(self, old_class):", f"    {line}")


_KEEP, _COUNT = "self.book = book", 'return self.book.increment("visitors")'
_DESK, _DRAGON = 'child(Domino, id="desk")', 'child(Domino, id="dragon")'

SOLUTIONS = {
    "06.1": _doorman(_KEEP, _COUNT),
    "06.2": _plan("guests shelf reader", "rest_for_one"),
    "06.3": _house(_DESK, f'child(Supervisor, [{_DRAGON}], id="wing")'),
    "06.4": _change('self.guests = self.guests.split(", ")'),
}
WRONG = {
    "06.1": [
        (_doorman("self.visitors = 0", "self.visitors += 1", "return self.visitors"), "the count is in the agent"),
        (_doorman("self.book = book; book['visitors'] = 0", 'return self.book.increment("visitors")'), "yours empties the book"),
        (
            _doorman("self.book, self.n = book, 0", "self.n += 1", 'self.book["visitors"] = self.n', "return self.n"),
            "the new one does not read it",
        ),
        (_doorman("pass", "Doorman.n += 1", "return Doorman.n", before="    n = 0\n\n"), "it is not in the book"),
        (_doorman(_KEEP, _COUNT, first='if visitor == "dragon": return "shoo"'), "keep the line that raises"),
        (_doorman(_KEEP, _COUNT, first='self.book.increment("visitors")'), "were told 2 and 4"),
        (_doorman(_KEEP, 'return self.book["visitors"]', first='self.book.increment("visitors")'), "counted, too"),
        (_doorman("self.book = book", "return self.bok['visitors']"), "bok"),
        ("Doorman = 3", "has to be the class"),
        (
            _doorman("self.book, self.visitors = book, book['visitors']", "self.visitors += 1", "return self.visitors",
                     before="    async def terminate(self, reason):\n        self.book['visitors'] = self.visitors\n\n"),
            "write each visitor to the book at once",
        ),
        (_doorman(_KEEP, 'return self.book.increment("visitor")'), "it is not in the book"),
        (_doorman(_KEEP, 'self.book["visitors"] + 1', "return self.book['visitors']"), "were told 0 and 0"),
    ],
    "06.2": [
        (_plan("guests shelf reader", "one_for_one"), "the reader has to be replaced"),
        (_plan("guests shelf reader", "one_for_all"), "that is one_for_all"),
        (_plan("shelf reader guests", "rest_for_one"), "change the order of the list"),
        (_plan("shelf guests reader", "rest_for_one"), "change the order of the list"),
        (_plan("guests reader shelf", "rest_for_one"), "the reader has to be replaced"),
        (_plan("guests shelf", "rest_for_one"), "they should be"),
        ("plan = ['guests', 'shelf', 'reader']", "is a list"),
        (_plan("reader shelf guests", "rest_for_one"), "they are after it in the list"),
        (_plan("reader guests shelf", "rest_for_one"), "the reader has to be replaced"),
        (_plan("guests shelf reader desk", "rest_for_one"), "they should be"),
        ("plan = Supervisor([Domino], strategy='rest_for_one')", "they should be"),
    ],
    "06.3": [
        (_house(_DESK, _DRAGON), "the house gives up"),
        (_house(_DESK, _DRAGON, max_restarts="100"), "a supervisor of its own"),
        (_house(f"child(Supervisor, [{_DESK}, {_DRAGON}], id='wing')"), "the desk was replaced"),
        (_house(_DESK, 'child(Domino, id="dragon", restart="temporary")'), "it has to be permanent"),
        (_house(f'child(Supervisor, [{_DRAGON}], id="wing")', _DESK, strategy="'one_for_all'"), "the desk was replaced"),
        (_house(_DESK, f'child(Supervisor, [{_DRAGON}], id="wing", restart="temporary")'), "was not restarted"),
        (_house(_DESK), "there is no dragon"),
        (_house(_DESK, 'child(Supervisor, [child(Domino, id="dragon")], id="wing", max_restarts=100)'), "No supervisor gives up|a "
         "supervisor of its own"),
        (_house(f"child(Supervisor, [{_DESK}], id='wing')", _DRAGON), "the house gives up"),
        (_house(_DRAGON), "there is no desk"),
        (_house(_DESK, _DRAGON, strategy="'one_for_all'"), "the house gives up"),
        ("house = [Domino, Domino]", "is a list"),
    ],
    "06.4": [
        (_book(), "code_change has to convert it"),
        (_change("self.guests = []"), "All three are lost"),
        (_change("self.guests = list(self.guests)"), "Every letter"),
        (_change('self.guests = self.guests.split(",")'), "spaces in the names"),
        (_change("self.guests = [self.guests]"), "one guest, the whole string"),
        (_change('return self.guests.split(", ")'), "code_change has to convert it"),
        (_book("def code_change(self):", '    self.guests = self.guests.split(", ")'), "takes 1 positional argument"),
        (_book(before='self.guests = ["Ada", "Guido", "Barbara"]'), "says 4"),
        (_change("self.guests = self.guests.split()"), "Ada,|spaces|After the upgrade"),
        (_change('self.guests = set(self.guests.split(", "))'), "After the upgrade"),
        (_change('self.guest = self.guests.split(", ")'), "code_change has to convert it"),
        (_change('self.guests = self.guests.split(", ")[:2]'), "After the upgrade"),
    ],
}
RIGHT = {
    "06.1": [_doorman("self.book, self.n = book, book['visitors']", "self.n += 1", 'self.book["visitors"] = self.n', "return self.n"),
             _doorman(_KEEP, 'return self.book.update("visitors", lambda n: n + 1)')],
    "06.2": ["plan = Supervisor([child(Domino, id='guests'), child(Domino, id='shelf'), child(Domino, id='reader')], "
     "strategy='rest_for_one')"],
    "06.3": [_house(f'child(Supervisor, [{_DRAGON}], id="wing")', _DESK),
             _house(f'child(Supervisor, [{_DESK}], id="left")', f'child(Supervisor, [{_DRAGON}], id="right")')],
    "06.4": [_change("self.guests = [name.strip() for name in self.guests.split(',')]"),
             _book("async def code_change(self, old_class):", '    self.guests = self.guests.split(", ")')],
}
