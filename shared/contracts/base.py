"""Two manners of reading: what a caller sends is checked to the letter; what we stored or answered, leniently."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Contract(BaseModel):
    """Input at the edge: frozen, unknown fields refused, no text that a database or a file name could not hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, given: Any) -> Any:
        if isinstance(given, dict):
            for field, value in given.items():
                if not _storable(value) or not _storable(field):
                    raise ValueError(f"{str(field)[:60]!r} holds a NUL character or half a surrogate pair")
        return given


def _storable(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" not in value and not any("\ud800" <= sign <= "\udfff" for sign in value)
    if isinstance(value, dict):
        return all(_storable(key) and _storable(item) for key, item in value.items())
    return not isinstance(value, list) or all(_storable(item) for item in value)


class View(BaseModel):
    """Output: frozen; a reader of an older release ignores fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")
