"""Answers to lesson 05: what is right, and what people write first."""

from __future__ import annotations

__all__ = ["SOLUTIONS", "WRONG"]

_GATHER = '''
def gather(group):
    done, failed = {{}}, {{}}
    for run in group:
        {body}
    return {given}
'''
_COUNT = '''
def count(store, module, functions):
    {body}
'''
_BRANCH = '''if run.status == "done":
            done[{key}] = run.store["facts"]
        else:
            failed[{key}] = {told}'''
_MODULE = 'run.store["module"]'


def _gather(key: str = _MODULE, told: str = "str(run.error)", given: str = "done, failed") -> str:
    return _GATHER.format(body=_BRANCH.format(key=key, told=told), given=given)


def _of_all(body: str) -> str:
    return _GATHER.format(body=body, given="done, failed")


def _count(body: str) -> str:
    return _COUNT.format(body=body)


def _choice(press: str, labs: str, desk: str) -> str:
    return f'choice = {{"press": "{press}", "labs": "{labs}", "desk": "{desk}"}}'


SOLUTIONS = {
    "05.1": _gather(),
    "05.2": _count('if store.insert_new(f"counted/{module}", True):\n        store.increment("total", functions)'),
    "05.3": _choice("orchestrator", "queue", "agents"),
}
WRONG = {
    "05.1": [
        ("def gather(group):\n    return dict(zip(MODULES, group.results())), {}", "`results()` does that|first error of the group"),
        (_of_all('done[run.store["module"]] = run.store["facts"]'), "look at run.status"),
        (_of_all('done[run.store["module"]] = run.store.get("facts")'), "stand among the done"),
        (_gather(key="run"), "The keys are runs"),
        (_gather(key="run.name"), "the runs' names"),
        (_gather(told="run.error"), "The errors themselves"),
        (_gather(told="run.status"), "is in run.error"),
        (_gather(given="done"), "two dicts"),
        (_of_all("pass"), "Both are empty"),
        (_of_all('if run.status == "done": done[run.store["module"]] = run.store["facts"]'), "nobody"),
        (_gather(key='run.store["modul"]'), "modul"),
    ],
    "05.2": [
        (_count('store["total"] = functions'), "taken the place of the first"),
        (_count('store["total"] = store.get("total", 0) + functions'), "counted again"),
        (_count('if store.insert_new("counted", True):\n        store.increment("total", functions)'), "another one, is not counted"),
        (_count('if store.get(module) is None:\n        store[module] = 1\n        store.increment("total", functions)'), "same moment"),
        (_count('store.insert_new(f"counted/{module}", functions)'), "Nothing is counted"),
        (_count('seen = store.setdefault("seen", [])\n    if module not in seen:\n        seen.append(module)\n'
                '        store["total"] = store.get("total", 0) + functions'), "same moment"),
        (_count('if module not in store:\n        store[module] = 1\n        store.increment("total", functions)'), "same moment"),
        (_count('if module not in store.keys():\n        store[module] = 1\n        store.increment("total", functions)'), "same moment"),
        (_count('if module not in list(store):\n        store[module] = 1\n        store.increment("total", functions)'), "same moment"),
        (_count('if not any(key == module for key, _ in store.items()):\n        store[module] = 1\n'
                '        store.increment("total", functions)'), "same moment"),
        (_count('seen = dict(store.get("seen", {}))\n    if module not in seen:\n        store["seen"] = {**seen, module: 1}\n'
                '        store.increment("total", functions)'), "same moment"),
        (_count('try:\n        store[module]\n    except KeyError:\n        store[module] = 1\n'
                '        store.increment("total", functions)'), "same moment"),
        (_count('if not store.pop(module, None):\n        store.increment("total", functions)\n    store[module] = 1'), "same moment"),
        (_count('if store.insert_new(f"counted/{module}", True):\n        store["total"] = store.get("total", 0) + functions'),
         "two modules at the same moment"),
        (_count('store.incremnt("total", functions)'), "incremnt"),
    ],
    "05.3": [
        (_choice("queue", "queue", "agents"), "who gathers them"),
        (_choice("orchestrator", "orchestrator", "agents"), "lives in one program"),
        (_choice("orchestrator", "queue", "orchestrator"), "open all day"),
        (_choice("agents", "queue", "agents"), "stay when the work is done"),
        (_choice("orchestrator", "agents", "agents"), "mailbox is lost"),
        (_choice("orchestrator", "queue", "queue"), "some time"),
        (_choice("orchestrator", "queue", "agent"), "there are orchestrator"),
        ('choice = {"press": "orchestrator", "labs": "queue"}', "Nothing is chosen for desk"),
    ],
}
