"""Files of runs onto this disk: in blocks, resumed where a connection broke off, checked, complete or not there.

What has come lies in a hidden file beside the target, named by the artifact, so that a later call goes on with it.
"""

import io
from pathlib import Path
from uuid import UUID

import httpx

from services.cli.sdk.errors import ApiError, Damaged
from services.cli.sdk.files import Report, sha256_of
from services.cli.sdk.patience import RETRIED_STATUS, pause_s
from services.cli.sdk.transport import Transport, parse
from shared.contracts.files import LinkRequest, LinkView
from shared.contracts.views import ArtifactView

#: Tries in a row that bring no byte, until it is given up.
_MOST_EMPTY = 6


class DownloadCalls:
    """Fetch artifacts."""

    http: Transport

    def download(self, artifact: ArtifactView, target: Path, report: Report | None = None) -> Path:
        """Write one artifact to `target`, whole and checked, or not at all; `report` is told the bytes so far.

        for artifact in client.artifacts(run.id):
            client.download(artifact, folder / artifact.name)

        Raises `Damaged` if its SHA-256 is not the one that the server has, `NotReachable`, `ApiError`, `OSError`.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        part = _part(target, artifact.id)
        if part.exists() and part.stat().st_size > artifact.size_bytes:
            part.unlink()
        try:
            with part.open("ab") as file:
                _fetch(self.http, artifact, file, report)
            if sha256_of(part) != artifact.sha256:
                raise Damaged(f"{artifact.name} did not come as the server has it: its SHA-256 differs.")
        except Damaged:
            part.unlink()
            raise
        part.replace(target)
        return target

    def link(self, artifact_id: UUID, expires_in_s: int = 3600) -> LinkView:
        """A URL at which whoever has it may read the file without a key, for 1 to 86,400 seconds."""
        body = LinkRequest(expires_in_s=expires_in_s).model_dump(mode="json")
        return parse(LinkView, self.http.post(f"/v1/artifacts/{artifact_id}/link", body))


def _part(target: Path, artifact_id: UUID) -> Path:
    return target.with_name(f".{target.name[:100]}.{artifact_id}.part")


def _fetch(http: Transport, artifact: ArtifactView, file: io.BufferedWriter, report: Report | None) -> None:
    """Append what is missing, over as many connections as it takes."""
    empty = 0
    while file.tell() < artifact.size_bytes:
        before = file.tell()
        try:
            _append(http, artifact, file, report)
            lost: Exception = httpx.ReadError("the connection ended early")
        except httpx.RequestError as error:
            lost = error
        except ApiError as error:
            if error.status not in RETRIED_STATUS:
                raise
            lost = error
        if file.tell() >= artifact.size_bytes:
            return
        empty = 0 if file.tell() > before else empty + 1
        if empty >= _MOST_EMPTY:
            raise http.not_reachable(lost) from lost
        http.sleep(pause_s(empty))


def _append(http: Transport, artifact: ArtifactView, file: io.BufferedWriter, report: Report | None) -> None:
    begin = file.tell()
    headers = {"Accept-Encoding": "identity"}
    if begin:
        headers |= {"Range": f"bytes={begin}-", "If-Range": f'"{artifact.sha256}"'}
    with http.stream(f"/v1/artifacts/{artifact.id}", headers) as response:
        if begin and response.status_code != httpx.codes.PARTIAL_CONTENT:
            file.truncate(0)  # a server that gives the whole
            file.seek(0)
        for block in response.iter_bytes():
            if file.tell() + len(block) > artifact.size_bytes:
                raise Damaged(f"{artifact.name} is longer than the {artifact.size_bytes} bytes that the server told.")
            file.write(block)
            if report is not None:
                report(file.tell())
