"""Makes `.venv`: a virtual environment, every requirement at its pinned version, and the command `faultline`.

    python3 .ci/venv_setup.py

Needs Python 3.11 and its standard library only; Debian's python3 comes without ensurepip, so pip is fetched from the
configured package index (PIP_INDEX_URL, pip's configuration, else PyPI) and its hash is compared.

Torch: TORCH_INDEX_URL (default: PyTorch's index of CPU builds, a tenth of the size) is tried first, then the
configured index. TORCH_INDEX_URL= (empty) takes what the configured index has.
"""

from __future__ import annotations  # so that an older Python gets to the message about its age

import configparser
import hashlib
import os
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
CONSTRAINTS = ROOT / ".constraints.txt"
PIP_FILE = "pip-26.3-py3-none-any.whl"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_TIMEOUT_S = 60
#: an index that cannot be reached must not hold up the way to the next
_REACH_TIMEOUT_S = 5
_COMMAND = """#!/bin/sh
exec "$(dirname "$(readlink -f "$0")")/python" -P -m services.cli "$@"
"""


class SetupError(Exception):
    """What went wrong, and what to do about it."""


def main() -> None:
    """Make it, or bring it up to date."""
    if sys.version_info < (3, 11):  # noqa: UP036 - anything may have called it
        raise SetupError(
            f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}.\n"
            "Install it (`apt install python3.11`) or name it: `make setup PYTHON=/path/to/python3.11`."
        )
    if not PYTHON.exists():
        make_environment()
    if not has_pip():
        install_pip()
    install_torch()
    requirements = [*sorted((ROOT / "services").glob("*/requirements.in")), ROOT / "tests" / "requirements.in"]
    pip("install", *(word for path in requirements for word in ("-r", str(path))))
    install_command()


def make_environment() -> None:
    """An environment with pip in it, or without where Python has no ensurepip."""
    try:
        subprocess.run([sys.executable, "-c", "import ensurepip"], check=True, capture_output=True)
        bare = []
    except subprocess.CalledProcessError:
        bare = ["--without-pip"]
    done = subprocess.run([sys.executable, "-m", "venv", "--clear", *bare, str(VENV)], check=False)
    if done.returncode:
        raise SetupError("No virtual environment could be made.\nOn Debian: `apt install python3-venv`.")


def has_pip() -> bool:
    """Whether the environment has a pip."""
    return subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0


def install_pip() -> None:
    """Fetch the pinned pip, compare it, and let it install itself."""
    index = configured("index-url", "PIP_INDEX_URL") or "https://pypi.org/simple"
    try:
        page = f"{index.rstrip('/')}/pip/"
        links = re.findall(r'href="([^"]+)"', fetch(page).decode("utf-8", "replace"))
        link = next(link for link in links if urllib.parse.urlsplit(link).path.endswith(PIP_FILE))
        content = fetch(urllib.parse.urljoin(page, link))
    except (OSError, StopIteration) as error:
        raise SetupError(
            f"{PIP_FILE} could not be fetched from {index} ({error or 'it is not there'}).\n"
            "Set PIP_INDEX_URL to an index that can be reached, or `apt install python3-venv`."
        ) from error
    if hashlib.sha256(content).hexdigest() != PIP_SHA256:
        raise SetupError(f"{PIP_FILE} from {index} is not the file that was expected: its SHA-256 differs.")
    wheel = VENV / PIP_FILE
    wheel.write_bytes(content)
    subprocess.run([PYTHON, f"{wheel}/pip", "install", "--quiet", "--no-index", str(wheel)], check=True)
    wheel.unlink()


def fetch(url: str, timeout_s: float = _TIMEOUT_S) -> bytes:
    """What is at that address."""
    certificates = configured("cert", "PIP_CERT")
    context = ssl.create_default_context(cafile=certificates) if url.startswith("https:") else None
    with urllib.request.urlopen(url, timeout=timeout_s, context=context) as answer:
        content: bytes = answer.read()
    return content


def configured(option: str, variable: str) -> str | None:
    """A setting of pip's: from the environment, else from its files."""
    if os.environ.get(variable):
        return os.environ[variable]
    parser = configparser.RawConfigParser()
    places = [os.environ.get("PIP_CONFIG_FILE", ""), "~/.config/pip/pip.conf", "~/.pip/pip.conf", "/etc/pip.conf"]
    for place in places:
        parser.clear()
        try:
            parser.read(Path(place).expanduser() if place else [], "utf-8")
        except configparser.Error:
            continue
        if parser.has_option("global", option):
            return parser.get("global", option)
    return None


def install_torch() -> None:
    """Torch by itself, from the index of its CPU builds if that can be reached."""
    wanted = next(line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("torch=="))
    version = "import importlib.metadata as m; print('torch==' + m.version('torch').split('+')[0])"
    have = subprocess.run([PYTHON, "-c", version], capture_output=True, text=True, check=False).stdout.strip()
    if have == wanted:
        return
    index = os.environ.get("TORCH_INDEX_URL", CPU_INDEX)
    if index and reachable(f"{index.rstrip('/')}/torch/"):
        pip("install", "--extra-index-url", index, wanted)
    else:
        if index:
            print(f"{index} cannot be reached; torch comes from the configured package index.", flush=True)
        pip("install", wanted)


def reachable(url: str) -> bool:
    """Whether that page can be fetched, quickly."""
    try:
        fetch(url, _REACH_TIMEOUT_S)
    except OSError:
        return False
    return True


def pip(command: str, *arguments: str) -> None:
    """Run the environment's pip with our pins."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    line = [str(PYTHON), "-m", "pip", command, "--quiet", "-c", str(CONSTRAINTS), *arguments]
    if subprocess.run(line, env=environment, check=False).returncode:
        raise SetupError("Packages could not be installed; pip says why above.\nThen: `make setup` again.")


def install_command() -> None:
    """`.venv/bin/faultline` works from every folder: a .pth file puts the checkout on the path."""
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([PYTHON, "-c", where], capture_output=True, text=True, check=True).stdout.strip()
    (Path(site) / "faultline.pth").write_text(f"{ROOT}\n", "utf-8")
    command = VENV / "bin" / "faultline"
    command.write_text(_COMMAND, "utf-8")
    command.chmod(0o755)


if __name__ == "__main__":
    try:
        main()
    except SetupError as problem:
        sys.exit(f"\n{problem}")
