"""`faultline login`."""

import sys
from typing import Annotated

import typer
from rich.text import Text

from services.cli import session as sessions
from services.cli.arguments import WrongArguments
from services.cli.credentials import DEFAULT_URL, Credentials, read, stack_file, store
from services.cli.session import Session
from services.cli.ui.text import safe


def login(
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help=f"Address of the API [{DEFAULT_URL}].")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", metavar="KEY", help="API key; `-` reads it from stdin.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Results as JSON on stdout, nothing else there.")] = False,
) -> None:
    """Check an API key and remember it, readable by you only."""
    session = Session(as_json=as_json)
    address = (url or DEFAULT_URL).rstrip("/")
    api_key = _key(key)
    with sessions.connect(Credentials(address, api_key, "login")) as client:
        me = client.me()
    path = store(address, api_key)
    document = {**me.model_dump(mode="json"), "url": address, "stored": str(path)}
    words = Text.assemble("Logged in to ", (safe(address), "key"), " as ", (safe(me.principal), "name"))
    session.show(document, words.append(f", project {safe(me.project)}. The key is in {path}."))
    local = read(stack_file())
    if local is not None and local.url.rstrip("/") != address:
        session.say(Text(f"The local stack at {safe(local.url)} is asked first as long as it is up.", style="wait"))


def _key(given: str | None) -> str:
    if given is None and sys.stdin.isatty():
        given = str(typer.prompt("API key", hide_input=True, err=True))
    elif given in {None, "-"}:
        given = sys.stdin.readline()
    key = (given or "").strip()
    if not key:
        raise WrongArguments(
            "No API key was given.", remedy="Give --key KEY, or pipe it into `faultline login --key -`."
        )
    return key
