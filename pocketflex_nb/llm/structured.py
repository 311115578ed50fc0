"""`Shape`: the type that an answer must have, as JSON schema for the model and as a check of what it replies."""

from __future__ import annotations

import dataclasses
import json
import re
import typing
from collections.abc import Mapping
from typing import Any

from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.engine.control.answer_conversion import fitted
from pocketflex_nb.llm.errors import WrongShape
from pocketflex_nb.llm.tools.json_schema import NoSchema, type_schema

__all__ = ["Shape"]

_FENCE = re.compile(r"```(?:json)?\s*\n?(.*?)```", re.DOTALL)


class Shape:
    """What `returns=` asks for: a dataclass, a `TypedDict` or a pydantic model.

    Parameters
    ----------
    kind : type
        The class.
    what : str
        Who asks, for messages.

    Raises
    ------
    TypeError
        It is none of these, or a field has a type that JSON has no form for.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Verdict:
    ...     ok: bool
    ...     why: str = ""
    >>> Shape(Verdict).value('{"ok": true}')
    Verdict(ok=True, why='')
    """

    def __init__(self, kind: Any, what: str = "Chat") -> None:
        is_class = isinstance(kind, type)
        if not is_class or not (dataclasses.is_dataclass(kind) or typing.is_typeddict(kind) or hasattr(kind, "model_json_schema")):
            raise TypeError(
                f"{what}(returns={value_text(kind, 60)}): a dataclass, a TypedDict or a pydantic model is needed, the class and not one "
                "of its values"
            )
        self.kind = kind
        try:
            schema = type_schema(kind)
        except NoSchema as exc:
            raise TypeError(f"{what}(returns={kind.__name__}): {exc}") from None
        self.schema: dict[str, Any] = {"title": kind.__name__, **schema}

    def request(self) -> str:
        """The request for an answer of this shape, for models that take no schema."""
        return f"Answer with JSON only, which fits this schema: {json.dumps(self.schema, ensure_ascii=False)}"

    def value(self, text: str) -> Any:
        """The value that `text` stands for.

        Raises
        ------
        WrongShape
            It is no JSON, or does not fit; the message says where.
        """
        try:
            read = json.loads(_bare(text))
        except ValueError as exc:
            raise WrongShape(f"the reply is not valid JSON ({exc}): {value_text(text, 80)}", text=text) from None
        if not isinstance(read, Mapping):
            raise WrongShape(f"the reply must be a JSON object, not {value_text(read, 60)}", text=text)
        try:
            return fitted(dict(read), self.kind)
        except ValueError as exc:
            told = str(exc).replace("the answer needs", "the reply must be", 1).replace("the answer", "the reply", 1)
            raise WrongShape(f"the reply does not fit {self.kind.__name__}: {told}", text=text) from None

    def correction(self, error: WrongShape) -> str:
        """What the model is told about a reply that does not fit."""
        return f"That cannot be used: {error}. Answer again, with JSON only."


def _bare(text: str) -> str:
    """JSON without the fence that models like to put around it."""
    fenced = _FENCE.search(text)
    return fenced[1] if fenced is not None else text
