"""The description of the API: what the routes say of themselves, and what is true of all of them.

Routes declare paths, parameters, models and a docstring. Added here: the key, the errors that a route can answer with,
and an example of every body, put together from the examples of its fields.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from shared.contracts.views import Problem

Schema = dict[str, Any]
_ID = "0193a5b0-7c1e-7b3a-9d55-2f6a51c0e4d1"
#: asked by machines without a key, or with a link that is one
_OPEN = {"/livez", "/readyz", "/metrics", "/v1/links/{token}"}
_ABOUT = """\
Asynchronous runs for fault diagnosis: every long operation is a **run** that can be watched, cancelled and repeated.
Every error is `application/problem+json` and says what to do. Every answer has an `X-Request-Id`; lists have opaque
cursors; a `GET` has an `ETag`; a `POST` can be repeated under one `Idempotency-Key` where it says so.
"""
_TAGS = {
    "submit": "Ask for a run.",
    "runs": "Find runs, look at them, and decide what becomes of them.",
    "events": "What happens, as it happens.",
    "datasets and models": "What runs have made.",
    "files": "Records in, results out.",
    "access": "Projects, people, and the keys that they hold.",
    "pools": "Where runs wait and work.",
    "workers": "Who works here, and who is to stop.",
    "schedules": "Runs that are submitted again and again.",
    "campaigns": "Searches over the fields of a spec, by many runs.",
    "notices": "Who is told what, where and when.",
    "system": "Who am I, is this server well.",
}
#: Examples for fields whose type alone says too little, by name; a field's own `examples` go first.
_FIELDS: dict[str, Any] = {
    "name": "bearings-2026",
    "kind": "model.train",
    "label_rule": "(?P<fault>[a-z]+)_(?P<load>[0-9])",
    "unit_labels": ["fault"],
    "sample_rate_candidates_hz": [12000.0],
    "uploads": [_ID],
    "model_ids": [_ID],
    "channels": ["DE"],
    "role": "viewer",
    "cursor": "74231.5120",
    "prefix": "fl_8Zk2x",
    "key_prefix": "fl_8Zk2x",
    "project": "bearings",
    "principal": "ada",
    "file_name": "ir_007_1.mat",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "content_type": "application/json",
    "pool": "training-cpu",
    "worker": "training-0",
    "host": "node-1",
    "version": "0.1.0",
    "detail": "There is no such run in this project.",
    "remedy": "Check the id.",
    "title": "Not found",
    "status": 404,
    "cron": "0 3 * * 1",
    "timezone": "Europe/Stockholm",
}
_MODELS: dict[str, Any] = {
    "SubmitRequest": {
        "kind": "dataset.generate",
        "spec": {"name": "synthetic", "units_per_fault": 2, "records_per_unit": 3},
        "labels": {"team": "drives"},
    },
    "CampaignRequest": {
        "spec": {
            "name": "rate-and-width",
            "base": {"dataset_id": _ID, "recipe": {"type": "cnn1d"}},
            "space": {
                "recipe.learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
                "recipe.width": {"type": "int", "low": 8, "high": 32, "step": 8},
            },
            "budget": {"trials": 50},
        },
    },
    "ChannelRequest": {
        "name": "ops-hook",
        "target": {"type": "webhook", "url": "https://hooks.example.org/faultline"},
    },
    "SubscriptionRequest": {"kinds": ["run.failed", "run.quarantined"], "channel": "ops-hook"},
    "SubscriptionChange": {"muted_until": "2027-01-31T12:00:00Z"},
    "ReadRequest": {"all": True},
    "EnqueueRequest": {"params": {"recipe.learning_rate": 0.001}},
    "ForkRequest": {"name": "rate-and-width-2", "changes": {"budget": {"trials": 100}}},
}
_WORDS = {
    400: "The request cannot be read.",
    401: "The key is missing, unknown, expired or revoked.",
    403: "The caller may not do this.",
    404: "There is no such thing in this project.",
    409: "It does not fit the present state.",
    412: "It is not any more as the caller has seen it.",
    413: "The body is too large.",
    415: "The body is of another kind.",
    422: "The request was understood and is not acceptable; `errors` names the fields.",
    429: "Too many requests; `Retry-After` says when to try again.",
    503: "The database or the store does not answer now.",
}


def describe(app: FastAPI) -> Schema:
    """The OpenAPI document of the application as it is now."""
    tags = [{"name": name, "description": words} for name, words in _TAGS.items()]
    document = get_openapi(
        title=app.title, version=app.version, description=_ABOUT, routes=app.routes, tags=tags, summary=None
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema(mode="serialization")
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "An API key of one project."}
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation, schemas)
    return document


def _complete(path: str, method: str, operation: Schema, schemas: Schema) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    operation["security"] = [] if path in _OPEN else [{"key": []}]
    for status in _errors(path, method, operation):
        responses.setdefault(str(status), _problem(status))
    for content in operation.get("requestBody", {}).get("content", {}).values():
        content.setdefault("example", example(content["schema"], schemas))
    for status, response in responses.items():
        content = response.get("content", {}).get("application/json") if status.startswith("2") else None
        if content and content.get("schema"):
            content.setdefault("example", example(content["schema"], schemas))


def _errors(path: str, method: str, operation: Schema) -> list[int]:
    if path in _OPEN:
        return [422, 503]
    found = [400, 401, 403, 422, 429, 503]
    if "{" in path or method != "get":
        found.append(404)
    if method != "get":
        found += [409, 413, 415]
    if any(each["name"].lower() == "if-match" for each in operation.get("parameters", ())):
        found.append(412)
    return sorted(found)


def _problem(status: int) -> Schema:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": _WORDS[status], "content": {"application/problem+json": {"schema": schema}}}


def example(schema: Schema, schemas: Schema, name: str = "") -> Any:
    """A value that the schema allows, from the examples and defaults of its parts."""
    if "$ref" in schema:
        model = schema["$ref"].rsplit("/", 1)[-1]
        return _MODELS[model] if model in _MODELS else example(schemas[model], schemas, name)
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kinds = schema.get("anyOf") or schema.get("oneOf")
    if kinds:
        chosen = next((kind for kind in kinds if kind.get("type") != "null"), kinds[0])
        return example(chosen, schemas, name)
    if name in _FIELDS:
        return _FIELDS[name]
    if schema.get("default") is not None:
        return schema["default"]
    return _by_type(schema, schemas)


def _by_type(schema: Schema, schemas: Schema) -> Any:
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {})
            return {name: example(part, schemas, name) for name, part in fields.items()}
        case "array":
            return [example(schema.get("items", {}), schemas)] * max(1, schema.get("minItems", 1))
        case "integer" | "number":
            least = schema["minimum"] if "minimum" in schema else schema.get("exclusiveMinimum", 0) + 1
            return max(least, 1) if schema.get("maximum", 1) >= 1 else least
        case "boolean":
            return False
        case "string":
            return {"uuid": _ID, "date-time": "2026-01-31T12:00:00Z", "binary": "..."}.get(
                schema.get("format", ""), "text"
            )
        case "null":
            return None
    return {}
