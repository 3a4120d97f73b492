"""Words of a command line into specs. What a spec refuses becomes one error that names each option."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from shared.errors import UserError

M = TypeVar("M", bound=BaseModel)
_NAME = "only letters (names: lower-case), digits and . _ - are allowed, and a letter or digit comes first"


class WrongArguments(UserError):
    """The command cannot be carried out with these arguments."""

    remedy = "Correct the arguments and call again; `--help` lists them."


def pairs(given: Sequence[str] | None, option: str) -> dict[str, str]:
    """`name=value` words as a dict."""
    found: dict[str, str] = {}
    for word in given or ():
        name, sign, value = word.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise WrongArguments(f"{option} {word!r} is not of the form NAME=VALUE.")
        found[name.strip()] = value.strip()
    return found


def settings(given: Sequence[str] | None, option: str = "--set") -> dict[str, Any]:
    """`--set` words: values are JSON where they can be, else text."""
    return {name: _value(text) for name, text in pairs(given, option).items()}


def build(make: Callable[..., M], **fields: Any) -> M:
    """Make a spec; fields that are None keep their default. Raises `WrongArguments`."""
    try:
        return make(**{name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        lines = [
            _line(item["loc"], _NAME if item["type"] == "string_pattern_mismatch" else item["msg"])
            for item in error.errors()
        ]
        raise WrongArguments("\n".join(dict.fromkeys(lines))) from error


def _line(place: tuple[int | str, ...], words: str) -> str:
    name = ".".join(str(part) for part in place)
    words = words.removeprefix("Value error, ")
    return f"{name}: {words}" if name else words


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
