"""The data of the launcher's form, and the equivalent ``%pocketflex run`` line, which starting the form runs."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from IPython.core.error import UsageError

from pocketflex_nb.notebook.requests.option_values import amount, duration
from pocketflex_nb.notebook.shell.cell_errors import usage
from pocketflex_nb.views.text.redaction import masked

__all__ = ["FILES", "LIMITS", "MODES", "LaunchForm", "is_hidden", "kind_of_text", "literal", "source_of"]

#: ways of giving inputs: the same for all, a row for each agent, an item of a variable for each
MODES = ("same", "rows", "variable")
LIMITS = ("steps", "time", "tokens", "cost")
#: what is kept in files, or taken from them: the options of those names
FILES = ("journal", "replay", "cache")


@dataclass(slots=True)
class LaunchForm:
    """A Launcher's form, filled in with texts as a person typed them.

    Attributes
    ----------
    flow : str
        A flow's name in the notebook, or an expression that gives one.
    agents : int
        Runs, where the inputs are the same for all.
    at_once : int
        Runs at once; 0: as many as there are, up to the session's limit.
    values : dict of str to str
        Input of each key, for all runs.
    rows : list of dict
        Inputs of each run, in mode ``"rows"``.
    variable, key : str
        In mode ``"variable"``: whose items, and under which key; no key for items that are mappings.
    limits : dict of str to str
        Of ``steps``, ``time``, ``tokens`` and ``cost``.
    files : dict of str to str
        Of ``journal``, ``replay`` (a tape) and ``cache``.
    durability : {"node", "power", "batch"}
        What a node that the journal keeps survives.
    """

    flow: str = ""
    agents: int = 1
    at_once: int = 0
    name: str = ""
    mode: str = "same"
    values: dict[str, str] = field(default_factory=dict)
    rows: list[dict[str, str]] = field(default_factory=lambda: [{}, {}])
    variable: str = ""
    key: str = ""
    limits: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    durability: str = "node"
    on_error: str = "others"
    watch: list[str] = field(default_factory=list)
    breaks: list[str] = field(default_factory=list)
    takes_agent: bool = False

    def line(self, runs: int) -> str:
        """The magic's line for `runs` runs.

        Raises
        ------
        UsageError
            When the form cannot be said in a line: what is typed in a field cannot be read.
        """
        return " ".join(["%pf run", self.flow, *self.inputs(), *self.terms(runs)])

    def inputs(self) -> list[str]:
        """The words for the stores."""
        if self.mode == "rows":
            shared = {key: text for key, text in self.values.items() if not all(row.get(key, "").strip() for row in self.filled_rows())}
            return [*_seed(shared), "--each", _each(self.filled_rows())]
        words = _seed(self.values if self.mode == "same" else {k: v for k, v in self.values.items() if k != self.key})
        if self.mode == "variable":
            return [*words, "--each", f"{self.key}=@{self.variable}" if self.key else f"@{self.variable}"]
        return [*words, "-n", str(self.agents)] if self.agents > 1 or self.takes_agent else words

    def filled_rows(self) -> list[dict[str, str]]:
        """The rows in which something stands. A cell that is empty there leaves the value that is the same for all."""
        return [row for row in self.rows if any(text.strip() for text in row.values())]

    def terms(self, runs: int) -> list[str]:
        """The words for everything else."""
        words = ["-j", str(self.at_once)] if 0 < self.at_once < runs else []
        words += ["--name", self._name()] if self.name.strip() else []
        words += self._limits()
        for what in FILES:
            words += self._file(what)
        words += ["--durability", self.durability] if self.durability != "node" and self._file("journal") else []
        words += ["--on-error", self.on_error] if self.on_error != "others" else []
        words += [word for text in self.watch if text.strip() for word in ("--watch", _expression(text))]
        return words + [word for node in self.breaks for word in ("--break", node)]

    def _name(self) -> str:
        name = self.name.strip()
        if is_hidden("", name):
            raise usage("name: a secret does not belong in a notebook")
        if not re.fullmatch(r"[\w.\-]+", name) or name.startswith("-"):
            raise usage(f"name {name!r}: the name of a run consists of letters, digits, '_', '-' and '.'")
        return name

    def _limits(self) -> list[str]:
        time = self.limits.get("time", "").strip()
        words = []
        if time:
            duration(time, "time")
            words = ["--timeout", time.replace(" ", "")]
        spent = []
        for what in ("steps", "tokens", "cost"):
            text = self.limits.get(what, "").replace(" ", "")
            if text:
                if not amount(text, what):
                    raise usage(f"{what} {text!r}: must be more than 0")
                spent.append(f"{what}={text}")
        return words + (["--budget", ",".join(spent)] if spent else [])

    def _file(self, what: str) -> list[str]:
        path = self.files.get(what, "").strip()
        if not path:
            return []
        if is_hidden("", path):
            raise usage(f"{what}: a secret does not belong in a notebook")
        if any(sign in path for sign in "\"'\n{}$") or path.startswith("-"):
            raise usage(f"{what} {path!r}: the name of a file must not contain quotes, braces or '$'")
        return [f"--{what}", f'"{path}"' if any(sign.isspace() or sign in "([])" for sign in path) else path]

    def problems(self) -> dict[str, str]:
        """What cannot be read, by place: ``"limit time"``, ``"value topic"``, ``"row 2 topic"``, ``"name"``, ``"watch 0"``."""
        found: dict[str, str] = {}

        def check(place: str, fn: Callable[..., object], *given: object) -> None:
            try:
                fn(*given)
            except UsageError as exc:
                found[place] = str(exc)

        if self.name.strip():
            check("name", self._name)
        for what in LIMITS:
            check(f"limit {what}", LaunchForm(limits={what: self.limits.get(what, "")})._limits)
        for what in FILES:
            check(f"file {what}", self._file, what)
        for number, text in enumerate(self.watch):
            if text.strip():
                check(f"watch {number}", _expression, text)
        if self.mode == "rows":
            for number, row in enumerate(self.rows):
                for key, text in row.items():
                    check(f"row {number} {key}", source_of, key, text)
        for key, text in self.values.items():
            check(f"value {key}", source_of, key, text)
        return found


# texts of fields ------------------------------------------------------------------------------------------------------
def is_hidden(key: str, text: str) -> bool:
    """Whether `text` would be a secret in plain sight: typed for a key that names one, or like a provider's key."""
    return bool(text.strip()) and masked("" if text.strip().startswith("@") else key, text) != text


def source_of(key: str, text: str) -> str | None:
    """Python source of what was typed for `key`: a value as Python writes it, ``@expression``, else the text itself; None for nothing.

    Raises
    ------
    UsageError
        For an expression that Python cannot read, and for a secret: it would stand in the line, and in the saved notebook.
    """
    text = text.strip()
    if not text:
        return None
    if is_hidden(key, text):
        raise usage(f"a secret does not belong in a notebook: keep it in a variable, and write its @NAME for {key}")
    if text.startswith("@"):
        try:
            ast.parse(text[1:].strip(), mode="eval")
        except (SyntaxError, ValueError):
            raise usage(f"{key}: {text[1:].strip()!r} is not a Python expression") from None
        return text
    return literal(_value(text))


def kind_of_text(key: str, text: str) -> str:
    """How `text` is read, in a word: ``text``, ``int``, ``list``, ``from the notebook``."""
    text = text.strip()
    if not text:
        return ""
    if is_hidden(key, text):
        return "secret"
    if text.startswith("@"):
        return "from the notebook"
    value = _value(text)
    return "text" if isinstance(value, str) else "nothing" if value is None else type(value).__name__


def _value(text: str) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # a text with a backslash
            value = ast.literal_eval(text)
        literal(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
    return value


def literal(value: object) -> str:
    """`value` as Python source that can be written in a magic's line: quotes inside of texts are escaped by number."""
    if isinstance(value, str):
        quote = '"' if "'" in value and '"' not in value else "'"
        body = repr(f'"{value}')[2:-1] if quote == "'" else repr(value)[1:-1]
        if quote == "'":
            body = body.replace("\\'", "'").replace("'", "\\x27")
        return f"{quote}{body}{quote}"
    if isinstance(value, bytes):
        return "b'" + "".join(f"\\x{byte:02x}" for byte in value) + "'"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, set):
        return "{" + ", ".join(map(literal, value)) + "}" if value else "set()"
    return repr(value)


# words of the line ----------------------------------------------------------------------------------------------------
def _sources(values: Mapping[str, str]) -> dict[str, str]:
    found = {key: source_of(key, text) for key, text in values.items()}
    return {key: source for key, source in found.items() if source is not None}


def _seed(values: Mapping[str, str]) -> list[str]:
    sources = _sources(values)
    if not sources:
        return []
    if all(re.fullmatch(r"\w+", key) for key in sources):
        return ["--seed", ",".join(f"{key}={_seeded(source)}" for key, source in sources.items())]
    return ["--seed", f"@[{_row(sources)}][0]"]  # keys that no KEY=EXPR can spell


def _seeded(source: str) -> str:
    """An expression keeps together by its brackets."""
    if not source.startswith("@"):
        return source
    inner = source[1:].strip()
    return f"@{inner}" if re.fullmatch(r"[\w.]+", inner) else f"@({_one_quote(inner)})"


def _row(sources: Mapping[str, str]) -> str:
    pairs = (f"{literal(key)}: {_seeded(source).removeprefix('@')}" for key, source in sources.items())
    return "{" + ", ".join(pairs) + "}"


def _each(rows: Iterable[Mapping[str, str]]) -> str:
    made = [sources for sources in map(_sources, rows) if sources]
    if not made:
        raise usage("inputs: fill in a row for each agent")
    keys = {key for sources in made for key in sources}
    only = next(iter(keys))
    if len(keys) == 1 and only.isidentifier():
        return f"{only}=@[{', '.join(_seeded(sources[only]).removeprefix('@') for sources in made)}]"
    return f"@[{', '.join(map(_row, made))}]"


def _one_quote(expression: str) -> str:
    """An expression in a form whose quotes a line's reader can pair: every text as `literal` writes it."""

    class Texts(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.AST:
            if not isinstance(node.value, (str, bytes)):
                return node
            marks.append(literal(node.value))
            return ast.Name(f"pfx_text_{len(marks) - 1}_", ast.Load())

    if not any(sign in expression for sign in "'\""):
        return " ".join(expression.split())
    marks: list[str] = []
    tree = ast.parse(expression.strip(), mode="eval")
    if any(isinstance(node, ast.JoinedStr) for node in ast.walk(tree)):
        return " ".join(expression.split())
    text = ast.unparse(Texts().visit(tree))
    return re.sub(r"pfx_text_(\d+)_", lambda match: marks[int(match[1])], text)


def _expression(text: str) -> str:
    """An expression of `store` as one word of the line."""
    try:
        ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError):
        raise usage(f"watch: {text.strip()!r} is not a Python expression") from None
    if is_hidden("", text):
        raise usage("watch: a secret does not belong in a notebook; keep it in a variable")
    written = _one_quote(text.strip())
    return written if not re.search(r"\s", written) and written[0] not in "'\"-" else f"({written})"
