"""What is wrong with a reply: nothing, or an error that says why it is no answer."""

from __future__ import annotations

from pocketflex_nb.core.value_text import value_text
from pocketflex_nb.llm.errors import CutOff, EmptyReply, NoAnswer, Refusal
from pocketflex_nb.llm.messages import Reply

__all__ = ["problem_of"]


def problem_of(reply: Reply, what: str) -> NoAnswer | None:
    """Why `reply` is no answer; None when it is one, or asks for tools."""
    if reply.refusal or reply.finish == "content_filter":
        said = reply.refusal or reply.text or "its content was filtered"
        return Refusal(f"{what}: the model refused: {value_text(said, 200)}; ask differently, or draw an error edge", text=said)
    if reply.tool_calls:
        return None
    if reply.finish == "length":
        return CutOff(
            f"{what}: the reply was cut off after {len(reply.text)} characters: it ends with {reply.text[-40:]!r}; raise the model's limit "
            "(max_tokens=), or ask for less",
            text=reply.text,
        )
    if not reply.text.strip():
        return EmptyReply(f"{what}: the model replied with nothing; ask again with max_retries=2, or look at the prompt")
    return None
