"""A client in a process of its own: `carrier URL KEY upload PATH` or `carrier URL KEY download RUN FOLDER`.

Prints by how many bytes its memory grew.
"""

import os
import sys
from pathlib import Path
from uuid import UUID

from services.cli.sdk import Client
from tests.support.memory import Peak


def main(url: str, key: str, what: str, *words: str) -> None:
    """See the module."""
    with Client(url, key) as client:
        client.me()
        peak = Peak(os.getpid())
        if what == "upload":
            client.upload(Path(words[0]))
        else:
            [artifact] = client.artifacts(UUID(words[0]))
            client.download(artifact, Path(words[1]) / artifact.name)
    sys.stdout.write(str(peak.growth_bytes()))


if __name__ == "__main__":
    main(*sys.argv[1:])
