"""Answers to lesson 03: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["SOLUTIONS", "WRONG"]

_SUSPECTS = '''
added = {c.node: c.new - (c.old if isinstance(c.old, int) else 0) for c in queued.store.history("total")}
guilty = next(name for name, module in books.items() if added[name] != functions_in(module))
'''
_CLERK = '''
class CarefulClerk(Clerk):
    def prep(self, shared):
        return shared["total"]

    def exec(self, total):
        return {exec}

    def post(self, shared, prep_res, exec_res):
        {post}
'''
_COUNT = "functions_in(self.module)"


def _clerk(post: str, exec: str = _COUNT) -> str:
    return _CLERK.format(exec=exec, post=post)


def _ledger(made: str) -> str:
    return f"import operator\n\nledger = {made}"


SOLUTIONS = {
    "03.1": _SUSPECTS + "culprit = guilty",
    "03.2": _clerk('shared.update("total", lambda total: total + exec_res)'),
    "03.3": _ledger('Store({"total": 0}, merge={"total": operator.add})'),
    "03.4": 'rescued = stock.store.at(2)["packages"]',
}
WRONG = {
    "03.1": [
        ('culprit = "dora"', "who wrote last"),
        (_SUSPECTS + 'culprit = next(name for name in ("anna", "ben") if name != guilty)', "innocent"),
        ('culprit = "cleo" if clumsy != "cleo" else "ben"', "added the least|innocent"),
        ('culprit = "calendar"', "There is no clerk"),
        ("culprit = 3", "in quotation marks"),
    ],
    "03.2": [
        (_clerk("shared[\"total\"] = exec_res", f"total + {_COUNT}"), "counts of two are lost"),
        (_clerk("shared[\"total\"] = exec_res"), "writes its own count down"),
        (_clerk("shared[\"total\"] += exec_res"), "by luck"),
        (_clerk("pass"), "Nothing is added"),
        (_clerk('shared.update("total", lambda total: total + exec_res)', f"total + {_COUNT}"), "adds it once more"),
        (_clerk('shared.update("total", lambda total: total + exec_rse)'), "exec_rse"),
        (_clerk("pass") + "CarefulClerk = CarefulClerk('argparse')", "has to be the class"),
    ],
    "03.3": [
        (_ledger('{"total": 0}'), "A plain dict knows no rules"),
        (_ledger("operator.add"), "make a Store(...)"),
        (_ledger('Store({"total": 0})'), "They overwrite each other"),
        (_ledger('Store({"total": 0}, on_conflict="ignore")'), "They overwrite each other"),
        (_ledger('Store(merge={"total": operator.add})'), "to begin with"),
        (_ledger('Store({"total": 0}, merge={"total": max})'), "that rule is max"),
        (_ledger('Store({"total": 0}, merge={"total": operator.mul})'), "multiplied"),
        (_ledger('Store({"total": 5}, merge={"total": operator.add})'), "and not with 0"),
    ],
    "03.4": [
        ("rescued = stock.store.at(2)", "under a key"),
        ('rescued = stock.store.at(3)["packages"]', "one version too late"),
        ('rescued = stock.store["packages"]', "one version too late"),
        ('rescued = stock.store.at(2)["count"]', "not the dict of packages"),
        ("rescued = {}", "too early"),
    ],
}
