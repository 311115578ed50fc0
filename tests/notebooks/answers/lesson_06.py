"""Answers to lesson 06: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["SOLUTIONS", "WRONG"]


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
        (_doorman("self.visitors = 0", "self.visitors += 1", "return self.visitors"), "the count is in his head"),
        (_doorman("self.book = book; book['visitors'] = 0", 'return self.book.increment("visitors")'), "yours empties the book"),
        (
            _doorman("self.book, self.n = book, 0", "self.n += 1", 'self.book["visitors"] = self.n', "return self.n"),
            "the new one does not look there",
        ),
        (_doorman("pass", "Doorman.n += 1", "return Doorman.n", before="    n = 0\n\n"), "does not stand in the book"),
        (_doorman(_KEEP, _COUNT, first='if visitor == "dragon": return "shoo"'), "fears nothing"),
        (_doorman(_KEEP, _COUNT, first='self.book.increment("visitors")'), "were told 2 and 4"),
        (_doorman(_KEEP, 'return self.book["visitors"]', first='self.book.increment("visitors")'), "counted, too"),
        (_doorman("self.book = book", "return self.bok['visitors']"), "bok"),
        ("Doorman = 3", "has to be the class"),
    ],
    "06.2": [
        (_plan("guests shelf reader", "one_for_one"), "the reader stays"),
        (_plan("guests shelf reader", "one_for_all"), "that is one_for_all"),
        (_plan("shelf reader guests", "rest_for_one"), "Order is half of the plan"),
        (_plan("shelf guests reader", "rest_for_one"), "Order is half of the plan"),
        (_plan("guests reader shelf", "rest_for_one"), "the reader stays"),
        (_plan("guests shelf", "rest_for_one"), "are wanted"),
        ("plan = ['guests', 'shelf', 'reader']", "is a list"),
    ],
    "06.3": [
        (_house(_DESK, _DRAGON), "the house has had enough"),
        (_house(_DESK, _DRAGON, max_restarts="100"), "put somebody between"),
        (_house(f"child(Supervisor, [{_DESK}, {_DRAGON}], id='wing')"), "the desk is another"),
        (_house(_DESK, 'child(Domino, id="dragon", restart="temporary")'), "a dragon is permanent"),
        (_house(f'child(Supervisor, [{_DRAGON}], id="wing")', _DESK, strategy="'one_for_all'"), "the desk is another"),
        (_house(_DESK, f'child(Supervisor, [{_DRAGON}], id="wing", restart="temporary")'), "nobody put it back"),
        (_house(_DESK), "there is no dragon"),
    ],
    "06.4": [
        (_book(), "code_change turns the one into the other"),
        (_change("self.guests = []"), "All three are lost"),
        (_change("self.guests = list(self.guests)"), "Every letter"),
        (_change('self.guests = self.guests.split(",")'), "spaces in the names"),
        (_change("self.guests = [self.guests]"), "a very long name"),
        (_change('return self.guests.split(", ")'), "code_change turns the one into the other"),
        (_book("def code_change(self):", '    self.guests = self.guests.split(", ")'), "takes 1 positional argument"),
        (_book(before='self.guests = ["Ada", "Guido", "Barbara"]'), "says 4"),
    ],
}
