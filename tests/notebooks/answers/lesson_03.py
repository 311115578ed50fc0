"""Answers to lesson 03: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["RIGHT", "SOLUTIONS", "WRONG"]

_SUSPECTS = '''
added = {c.node: c.new - (c.old if isinstance(c.old, int) else 0) for c in queued.store.history("total")}
guilty = next(name for name, module in books.items() if added[name] != functions_in(module))
'''
_CLERK = '''
class CarefulClerk(Clerk):
    def prep(self, shared):
        {look}

    def exec(self, total):
        return {exec}

    def post(self, shared, prep_res, exec_res):
        {post}
'''
_COUNT = "functions_in(self.module)"


def _clerk(post: str, exec: str = _COUNT, look: str = 'return shared["total"]') -> str:
    return _CLERK.format(exec=exec, post=post, look=look)


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
        (_SUSPECTS + 'culprit = next(name for name in ("anna", "ben") if name != guilty)', "which is right"),
        ('culprit = "cleo" if clumsy != "cleo" else "ben"', "added the least|which is right"),
        ('culprit = "calendar"', "There is no clerk"),
        ("culprit = 3", "in quotation marks"),
        ('culprit = ["anna"]', "in quotation marks"),
        ('culprit = "Anna"', "There is no clerk 'Anna'"),
        ('culprit = "clumsy"', "There is no clerk"),
        ("culprit = None", "in quotation marks"),
        ('culprit = "anna, ben"', "There is no clerk"),
    ],
    "03.2": [
        (_clerk("shared[\"total\"] = exec_res", f"total + {_COUNT}"), "counts of two clerks are lost"),
        (_clerk("shared[\"total\"] = exec_res"), "writes only its own count"),
        (_clerk("shared[\"total\"] += exec_res"), "by chance"),
        (_clerk("pass"), "Nothing is added"),
        (_clerk('shared.update("total", lambda total: total + exec_res)', f"total + {_COUNT}"), "adds it again"),
        (_clerk('shared.update("total", lambda total: total + exec_rse)'), "exec_rse"),
        (_clerk("pass") + "CarefulClerk = CarefulClerk('argparse')", "has to be the class"),
        (_clerk("shared[\"total\"] = exec_res + shared[\"total\"]", look="pass"), "by chance"),
        (_clerk('shared.update("total", lambda total: exec_res)'), "writes only its own count"),
        (_clerk('shared.update("total", lambda _: exec_res)', f"total + {_COUNT}"), "counts of two clerks are lost"),
        (_clerk('shared.update(total=shared["total"] + exec_res)', look="pass"), "by chance"),
        (_clerk('shared.update("total", lambda total: total + 1)'), "and should be"),
    ],
    "03.3": [
        (_ledger('{"total": 0}'), "A plain dict has no rules"),
        (_ledger("operator.add"), "make a Store(...)"),
        (_ledger('Store({"total": 0})'), "They overwrite each other"),
        (_ledger('Store({"total": 0}, on_conflict="ignore")'), "They overwrite each other"),
        (_ledger('Store(merge={"total": operator.add})'), "no initial"),
        (_ledger('Store({"total": 0}, merge={"total": max})'), "such as the rule max"),
        (_ledger('Store({"total": 0}, merge={"total": operator.mul})'), "multiplied"),
        (_ledger('Store({"total": 5}, merge={"total": operator.add})'), "and not with 0"),
        (_ledger('Store({"total": 0}, merge={"total": lambda theirs, mine: mine})'), "One of them is left|They overwrite each other"),
        (_ledger('Store({"total": 0}, merge={"totals": operator.add})'), "They overwrite each other"),
        (_ledger('Store({"total": 0}, merge={"total": lambda theirs, mine: 12})'), "write 20 and 50"),
        (_ledger('Store({"total": 0}, merge={"total": sum})'), "int"),
    ],
    "03.4": [
        ("rescued = stock.store.at(2)", "under a key"),
        ('rescued = stock.store.at(3)["packages"]', "one version too late"),
        ('rescued = stock.store["packages"]', "one version too late"),
        ('rescued = stock.store.at(2)["count"]', "not the dict of packages"),
        ("rescued = {}", "too early"),
        ('rescued = list(stock.store.at(2)["packages"])', "is of type list"),
        ('rescued = {name: None for name in stock.store.at(2)["packages"]}', "but not their versions"),
        ('rescued = {n: v for n, v in stock.store.at(2)["packages"].items() if n not in stock.store["packages"]}', "take all of one "
         "version"),
        ('rescued = stock.store.history("packages")', "is of type list"),
        ("rescued = stock.store.diff(2, 3)", "is of type"),
    ],
}
RIGHT = {
    "03.1": ["culprit = clumsy"],
    "03.2": [_clerk('shared.increment("total", exec_res)', look="pass"),
             _clerk('shared.update("total", lambda total: exec_res + total)')],
    "03.3": [_ledger('Store({"total": 0}, merge={"total": lambda theirs, mine: theirs + mine})')],
    "03.4": ['rescued = stock.store.at(1)["packages"]', 'rescued = dict(stock.store.at(2)["packages"])'],
}
