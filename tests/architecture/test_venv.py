"""`.ci/venv_setup.py` where Python has no ensurepip: pip comes from the index, and only the expected file."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import venv_setup
from venv_setup import PIP_FILE, SetupError, configured, install_pip, reachable


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder behind a package index that is configured; its address is in PIP_INDEX_URL."""
    folder = tmp_path / "index"
    (folder / "simple" / "pip").mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    monkeypatch.setattr(venv_setup, "VENV", tmp_path)
    yield folder
    server.shutdown()
    server.server_close()


def test_a_pip_with_another_hash_is_refused(index: Path) -> None:
    (index / "simple" / "pip" / "index.html").write_text(f'<a href="../../{PIP_FILE}#sha256=0">pip</a>')
    (index / PIP_FILE).write_bytes(b"something else")
    with pytest.raises(SetupError, match="SHA-256 differs"):
        install_pip()


def test_an_index_without_that_pip_is_told_with_a_remedy(index: Path) -> None:
    (index / "simple" / "pip" / "index.html").write_text('<a href="pip-1.0-py3-none-any.whl">pip</a>')
    with pytest.raises(SetupError, match=r"could not be fetched(.|\n)*PIP_INDEX_URL"):
        install_pip()


def test_an_index_that_is_away_is_told_with_a_remedy(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(SetupError, match="PIP_INDEX_URL"):
        install_pip()
    assert not reachable("http://127.0.0.1:9/simple/torch/")


def test_the_environment_comes_before_pips_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://mirror.example/simple\n")
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert configured("index-url", "PIP_INDEX_URL") == "https://mirror.example/simple"
    monkeypatch.setenv("PIP_INDEX_URL", "https://other.example/simple")
    assert configured("index-url", "PIP_INDEX_URL") == "https://other.example/simple"
