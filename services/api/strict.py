"""What a route did not ask for is refused, not ignored: unknown or repeated parameters, other kinds of body, JSON that
names a field twice. A misspelt filter would otherwise show everything.
"""

import difflib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from fastapi import Request, params
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from shared.errors import Unsupported, UserError

#: Two of these would mean two things; who reads first and who reads last would not agree.
_ONCE = ("authorization", "idempotency-key", "if-match", "last-event-id", "content-type")


@dataclass(frozen=True)
class _Declared:
    """What a route takes: query parameters and whether each may be repeated, headers, the kind of its body."""

    query: dict[str, bool]
    headers: frozenset[str]
    body: str | None  #: `json` or `form`


async def strict(request: Request) -> None:
    """A dependency of every route. Raises `UserError` or `Unsupported`."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    declared = _known.get(route.endpoint) or _known.setdefault(route.endpoint, _declared(route))
    _check_headers(request, declared)
    _check_query(request, declared)
    if declared.body is not None:
        await _check_body(request, declared.body)


#: Routes do not change, so what one takes is looked up once.
_known: dict[Callable[..., Any], _Declared] = {}


def _declared(route: APIRoute) -> _Declared:
    query: dict[str, bool] = {}
    headers: set[str] = set()
    for dependant in _all(route.dependant):
        query |= {field.alias: _is_list(field.field_info.annotation) for field in dependant.query_params}
        headers |= {field.alias.lower() for field in dependant.header_params}
    if route.body_field is None:
        return _Declared(query, frozenset(headers), None)
    form = isinstance(route.body_field.field_info, params.Form)
    return _Declared(query, frozenset(headers), "form" if form else "json")


def _all(dependant: Dependant) -> list[Dependant]:
    return [dependant, *(inner for each in dependant.dependencies for inner in _all(each))]


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(get_origin(part) is list for part in get_args(annotation))


def _check_headers(request: Request, declared: _Declared) -> None:
    given = Counter(name.lower() for name in request.headers.keys())  # noqa: SIM118 - items are told apart by position
    for name in _ONCE:
        if given[name] > 1:
            raise UserError(f"The header {name} is given twice.", remedy="Send it once.")
    if given["if-match"] and "if-match" not in declared.headers:
        raise UserError("If-Match: this route does not look at it.", remedy="Send the request without it.")


def _check_query(request: Request, declared: _Declared) -> None:
    given = Counter(name for name, _value in request.query_params.multi_items())
    for name, times in given.items():
        if name not in declared.query:
            near = difflib.get_close_matches(name, declared.query, 1)
            known = ", ".join(sorted(declared.query)) or "none"
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise UserError(f"{name[:60]!r} is no query parameter here.", remedy=f"{hint}Known are: {known}.")
        if times > 1 and not declared.query[name]:
            raise UserError(f"The query parameter {name!r} is given {times} times.", remedy="Give it once.")


async def _check_body(request: Request, kind: str) -> None:
    type_ = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "form":
        if type_ not in {"multipart/form-data", "application/x-www-form-urlencoded"}:
            raise Unsupported(f"Content-Type: {type_[:60]!r} is no form.", remedy="Send multipart/form-data.")
        return
    body = await request.body()  # read already, and kept
    if not body:
        return
    if type_ != "application/json" and not (type_.startswith("application/") and type_.endswith("+json")):
        raise Unsupported(f"Content-Type: {type_[:60]!r} is not JSON.", remedy="Send `Content-Type: application/json`.")
    json.loads(body, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        twice = next(name for name, times in Counter(name for name, _value in pairs).items() if times > 1)
        raise UserError(f"The body names the field {twice[:60]!r} twice.", remedy="Name it once.")
    return fields
