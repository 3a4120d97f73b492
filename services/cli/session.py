"""What every command that talks to the API shares: where it is, how to answer, `--json`.

@command(app, "show")
def show(session: Session, name: Annotated[str, typer.Argument()]) -> None: ...
"""

import inspect
import json
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console, RenderableType

from services.cli.credentials import Credentials, resolve
from services.cli.sdk import Client
from services.cli.ui.text import console, safe
from shared.errors import UserError

Url = Annotated[str | None, typer.Option("--url", metavar="URL", help="Address of the API.", show_default=False)]
Key = Annotated[str | None, typer.Option("--key", metavar="KEY", help="API key.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Results as JSON on stdout, nothing else there.")]


def connect(credentials: Credentials) -> Client:
    """The client of a command; tests put their own here."""
    return Client(credentials.url, credentials.api_key)


class Session:
    """One call of one command."""

    def __init__(self, url: str | None = None, key: str | None = None, *, as_json: bool = False) -> None:
        self.url = url
        self.key = key
        self.as_json = as_json

    @cached_property
    def client(self) -> Client:
        """The API, opened when first used."""
        return connect(resolve(self.url, self.key))

    @cached_property
    def out(self) -> Console:
        """For results."""
        return console()

    @cached_property
    def err(self) -> Console:
        """For what happens meanwhile: never mixed into results."""
        return console(stderr=True)

    def show(self, result: BaseModel | Sequence[BaseModel] | dict[str, Any], *picture: RenderableType) -> None:
        """Give a result: as JSON, or as its picture."""
        if self.as_json:
            self.emit(result)
        else:
            self.out.print(*picture, sep="\n")

    def emit(self, result: BaseModel | Sequence[BaseModel] | dict[str, Any]) -> None:
        """One JSON document on one line of stdout."""
        self.out.file.write(json.dumps(_plain(result)) + "\n")
        self.out.file.flush()

    def say(self, line: RenderableType) -> None:
        """A line that is no result; silent under `--json`."""
        if not self.as_json:
            self.out.print(line)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before what cannot be undone. Raises `typer.Abort`, and `UserError` where nobody can answer."""
        if yes:
            return
        if self.as_json or not sys.stdin.isatty():
            raise UserError(f"{question} Nobody is there to answer.", remedy="Add --yes if that is meant.")
        typer.confirm(safe(question), abort=True, err=True)

    def close(self) -> None:
        """Close the client if it was opened."""
        if "client" in self.__dict__:
            self.client.close()


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function whose first parameter is a `Session`; `--url`, `--key` and `--json` are added."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        plain = with_session(function)
        app.command(name)(plain)
        return plain

    return register


def with_session(function: Callable[..., None]) -> Callable[..., None]:
    """The function as typer wants it: the session replaced by the three options that make it."""

    given = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    groups = {parameter.name: parameter.annotation for parameter in given if _is_group(parameter)}

    def call(*, url: str | None, key: str | None, as_json: bool, **values: Any) -> None:
        session = Session(url, key, as_json=as_json)
        try:
            for name, group in groups.items():
                values[name] = group(session, **{option: values.pop(option) for option in _options(group)})
            function(session, **values)
        finally:
            session.close()

    own = [
        option
        for parameter in given
        for option in (_options(parameter.annotation).values() if parameter.name in groups else [parameter])
    ]
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter("url", keyword, default=None, annotation=Url),
        inspect.Parameter("key", keyword, default=None, annotation=Key),
        inspect.Parameter("as_json", keyword, default=False, annotation=Json),
    ]
    parameters = [parameter.replace(kind=keyword) for parameter in own] + shared
    call.__name__, call.__doc__, call.__module__ = function.__name__, function.__doc__, function.__module__
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    vars(call)["__signature__"] = inspect.Signature(parameters)
    return call


class OptionGroup:
    """Options that belong together, as one parameter of a command: what its `__init__` takes after the session."""


def _is_group(parameter: inspect.Parameter) -> bool:
    return isinstance(parameter.annotation, type) and issubclass(parameter.annotation, OptionGroup)


def _options(group: type[OptionGroup]) -> dict[str, inspect.Parameter]:
    parameters = list(inspect.signature(group.__init__, eval_str=True).parameters.values())[2:]
    return {parameter.name: parameter for parameter in parameters}


def _plain(result: BaseModel | Sequence[BaseModel] | dict[str, Any]) -> Any:
    if isinstance(result, BaseModel):
        return result.model_dump(mode="json")
    if isinstance(result, dict):
        return result
    return [item.model_dump(mode="json") for item in result]
