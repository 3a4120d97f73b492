"""Reads specs that are stored: by this release, by an earlier one, or by a later one that runs beside it."""

from typing import Any, TypeVar

from pydantic import ValidationError

from shared.contracts.kinds import KINDS
from shared.contracts.specs import Spec
from shared.errors import Fatal, Retryable

_WAIT_FOR_UPGRADE_S = 10.0


SpecT = TypeVar("SpecT", bound=Spec)


def read_spec(kind: str, version: int, stored: dict[str, Any]) -> Spec:
    """The stored spec of a kind; raises as `read_as` does."""
    return read_as(KINDS[kind].spec, version, stored, kind)


def read_as(spec_type: type[SpecT], version: int, stored: dict[str, Any], kind: str) -> SpecT:
    """A stored spec as this release understands it; fields that it does not know are left out.

    Raises `Retryable` for a version that only a later release reads, whose workers may be there already, and `Fatal`
    for fields that do not make a spec.
    """
    if version > spec_type.spec_version:
        raise Retryable(
            f"{kind} of version {version} waits for a later release; this one reads {spec_type.spec_version}.",
            delay_s=_WAIT_FOR_UPGRADE_S,
        )
    try:
        for step in range(version, spec_type.spec_version):
            stored = spec_type.upcasters[step](dict(stored))
        return spec_type.stored(stored)
    except (ValidationError, LookupError, TypeError) as error:
        raise Fatal(
            f"The stored spec of version {version} is no {kind} that this release can read.",
            remedy="Submit it again with this release.",
        ) from error
