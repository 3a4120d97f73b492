"""`runs artifacts`, `download`, `metrics`; names that are taken are told before uploads."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tests.cli.fake_api import FakeApi

Faultline = Callable[..., Result]


@pytest.fixture(autouse=True)
def a_run(api: FakeApi) -> None:
    api.submit("dataset.generate", {"name": "d1"})
    api.files = {"model.json": b"{}", "plots/roc.svg": b"<svg/>"}


def test_all_files_are_fetched_into_the_folder(faultline: Faultline, tmp_path: Path):
    result = faultline("runs", "download", "last", "--to", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "model.json").read_bytes() == b"{}"
    assert (tmp_path / "out" / "plots" / "roc.svg").read_bytes() == b"<svg/>"


def test_only_the_files_that_are_named_are_fetched(faultline: Faultline, tmp_path: Path):
    faultline("runs", "download", "last", "model.json", "--to", str(tmp_path / "out"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.json"]


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../evil", "..", "a\x1b[31m"])
def test_a_name_that_leads_out_of_the_folder_is_refused_and_nothing_is_written(
    faultline: Faultline, api: FakeApi, tmp_path: Path, name: str
):
    api.files = {"good": b"1", name: b"evil"}
    result = faultline("runs", "download", "last", "--to", str(tmp_path / "deep" / "out"))
    assert result.exit_code == 2
    assert "not written anywhere" in result.stderr
    assert not (tmp_path / "deep").exists()


def test_a_link_inside_the_folder_does_not_lead_out_of_it(faultline: Faultline, tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "plots").symlink_to(tmp_path / "elsewhere")
    result = faultline("runs", "download", "last", "--to", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_that_the_run_does_not_have_is_told(faultline: Faultline):
    result = faultline("runs", "download", "last", "nope")
    assert result.exit_code == 2
    assert "no file 'nope'" in result.stderr


@pytest.mark.parametrize(
    "words", [["artifacts", "last"], ["download", "last"], ["metrics", "last"], ["metrics", "last", "--name", "x"]]
)
def test_json_is_one_document(faultline: Faultline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]):
    monkeypatch.chdir(tmp_path)
    result = faultline("runs", *words, "--json")
    if result.exit_code:
        assert "no metric 'x'" in json.loads(result.stderr)["error"]["why"]
    else:
        json.loads(result.stdout)
        assert len(result.stdout.splitlines()) == 1


def test_metrics_are_curves_with_their_extremes(faultline: Faultline):
    result = faultline("runs", "metrics", "last")
    assert "train loss  0.3333" in result.stdout
    assert "most 1" in result.stdout


def test_a_name_that_is_taken_is_told_before_anything_is_sent(faultline: Faultline, api: FakeApi, tmp_path: Path):
    (tmp_path / "ball_1.csv").write_text("1")
    words = ["--name", "d1", "--rate", "12000", "--rule", "(?P<fault>[a-z]+)"]
    result = faultline("datasets", "import", str(tmp_path), *words)
    assert result.exit_code == 2
    assert "named 'd1' already" in result.stderr
    assert api.uploads == []


def test_a_name_whose_run_failed_is_free(faultline: Faultline, api: FakeApi, tmp_path: Path):
    api.failing = {"dataset.generate"}
    api.submit("dataset.generate", {"name": "d2"})
    (tmp_path / "ball_1.csv").write_text("1")
    words = ["--name", "d2", "--rate", "12000", "--rule", "(?P<fault>[a-z]+)"]
    assert faultline("datasets", "import", str(tmp_path), *words).exit_code == 0
