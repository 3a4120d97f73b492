"""Bodies that misbehave towards their machine."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

from shared.contracts.base import View
from shared.contracts.kinds import KINDS, Kind
from shared.contracts.specs import Spec
from shared.runs.body import Reporter, RunArtifacts
from tests.support.bodies import note

#: Room for the interpreter and its libraries, far less than what is asked for.
_MEMORY_BYTES = 4 << 30
_SECOND = 1.0


class WildSpec(Spec):
    """What to do; `journal` is told of every process."""

    journal: str
    deed: Literal["hog", "fork", "deaf"]


class Done(View):
    """It came to an end."""

    deed: str


def wild(spec: WildSpec, reporter: Reporter, artifacts: RunArtifacts) -> Done:
    """See `WildSpec`."""
    note(spec.journal, f"start pid={os.getpid()}")
    if spec.deed == "hog":
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        hoard = bytearray(4 * _MEMORY_BYTES)
        return Done(deed=f"held {len(hoard)} bytes")
    if spec.deed == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    else:
        for _child in range(3):
            child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
            note(spec.journal, f"child pid={child.pid}")
    reporter.progress(0.5, stage=spec.deed)
    while not Path(f"{spec.journal}.go").exists():
        time.sleep(_SECOND / 20)
    return Done(deed=spec.deed)


KINDS["test.wild"] = Kind("test.wild", WildSpec, "test", 300, 310)
