"""Prints what an image is made of, as CycloneDX 1.6: the Python packages of this environment, the packages of Debian.

    /opt/venv/bin/python sbom.py

Runs in the build stage of an image, so it needs nothing but the standard library. The same packages give the same text.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

DPKG = Path("/var/lib/dpkg/status")


def python_packages(found: Iterable[Distribution]) -> Iterator[dict[str, Any]]:
    """One component per distribution."""
    for distribution in found:
        name, version = distribution.metadata["Name"], distribution.version
        licence = distribution.metadata["License-Expression"]
        yield {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{quote(name.lower().replace('_', '-'))}@{quote(version)}",
            **({"licenses": [{"expression": licence}]} if licence else {}),
        }


def debian_packages(status: str) -> Iterator[dict[str, Any]]:
    """One component per package that dpkg says is installed."""
    for paragraph in status.split("\n\n"):
        pairs = (line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and not line.startswith(" "))
        fields = dict(pairs)
        if fields.get("Status") == "install ok installed":
            name, version = fields["Package"], fields["Version"]
            purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={fields['Architecture']}"
            yield {"type": "library", "name": name, "version": version, "purl": purl}


def bill(components: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The document, sorted."""
    ordered = sorted(components, key=lambda component: str(component["purl"]))
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": ordered}


def main() -> None:
    """Print it."""
    status = DPKG.read_text("utf-8") if DPKG.exists() else ""
    json.dump(bill([*python_packages(distributions()), *debian_packages(status)]), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
