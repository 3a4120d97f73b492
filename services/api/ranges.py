"""What a client asks of one file: all of it, a part, or only whether it has changed (RFC 9110, 13 and 14)."""

import re
from collections.abc import Mapping
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from shared.artifacts import ArtifactStore
from shared.db.models import Artifact

_RANGE = re.compile(r"bytes=(?P<first>\d{0,18})-(?P<last>\d{0,18})")


def serve(artifact: Artifact, store: ArtifactStore, asked: Mapping[str, str], *, head: bool) -> Response:
    """The answer for one file: 200, 206, 304 or 416. Never something that a browser would run or show."""
    etag, size = f'"{artifact.sha256}"', artifact.size_bytes
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(artifact.name, safe='')}",
        "Content-Security-Policy": "sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    if _known(asked.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    part = _part(asked.get("range"), size) if asked.get("if-range", etag) == etag else None
    if part == (0, 0):
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{size}"})
    first, end = part or (0, size)
    if part is not None:
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    headers |= {"Content-Length": str(end - first), "Content-Type": "application/octet-stream"}
    status = 200 if part is None else 206
    if head:
        return Response(status_code=status, headers=headers)
    content = store.stream(artifact.key, first, None if part is None else end)
    return StreamingResponse(content, status, headers=headers)


def _known(header: str | None, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in (header or "").split(",")]
    return etag in tags or "*" in tags


def _part(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last. None: all of it; also for what we do not serve, such as several parts.

    (0, 0): there are no such bytes.
    """
    match = _RANGE.fullmatch((header or "").replace(" ", ""))
    if match is None or match["first"] == match["last"] == "":
        return None
    if match["first"] == "":
        length = min(int(match["last"]), size)
        return (size - length, size) if length else (0, 0)
    first = int(match["first"])
    end = min(int(match["last"]) + 1, size) if match["last"] else size
    if match["last"] and int(match["last"]) < first:
        return None
    return (first, end) if first < size else (0, 0)
