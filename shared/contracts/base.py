"""Two manners of reading: what a caller sends is checked to the letter; what we stored or answered, leniently."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, model_validator

_MAX_DEPTH = 64


class Contract(BaseModel):
    """Input at the edge: frozen, unknown fields refused, no text that a database or a file name could not hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, given: Any) -> Any:
        if isinstance(given, dict):
            for field, value in given.items():
                if not _storable(value) or not _storable(field):
                    raise ValueError(
                        f"{str(field)[:60]!r} holds a NUL character, half a surrogate pair or more than "
                        f"{_MAX_DEPTH} levels"
                    )
        return given

    @classmethod
    def stored(cls, value: Any) -> Self:
        """As some release has stored it: fields that this one does not know are left out."""
        return cls.model_validate(value, extra="ignore")


def _storable(value: Any) -> bool:
    """Whether a database takes every text in `value`; not by recursion, which a hostile nesting would exhaust."""
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, str) and item != storable(item):
            return False
        if isinstance(item, dict | list) and depth >= _MAX_DEPTH:
            return False
        if isinstance(item, dict):
            waiting += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list):
            waiting += [(part, depth + 1) for part in item]
    return True


def storable(text: str) -> str:
    """`text` with NUL characters and halves of surrogate pairs written out, so that every store takes it."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


class View(BaseModel):
    """Output: frozen; a reader of an older release ignores fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")
