"""`faultline version`."""

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import Annotated

import typer

from services.cli.session import Session
from services.cli.ui.result import facts
from shared.version import VERSION

#: what the results of a run depend on
LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "pydantic", "httpx", "rich", "typer")


def versions() -> dict[str, str]:
    """Version of Faultline, of Python and of the libraries that are installed here."""
    found = {"faultline": VERSION, "python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version_of(library)
        except PackageNotFoundError:
            continue
    return found


def version(
    as_json: Annotated[bool, typer.Option("--json", help="Results as JSON on stdout, nothing else there.")] = False,
) -> None:
    """Show the version and what it runs on."""
    found = versions()
    Session(as_json=as_json).show(found, facts(*found.items()))
