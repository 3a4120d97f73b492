"""Commands from the outside: what they print, what they send, how they exit."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import Result

from services.cli.ui import watch
from services.cli.ui.text import short_id
from shared.contracts.specs import ConvNetRecipe, TrainingSpec
from shared.contracts.views import LogLine
from tests.cli.fake_api import FakeApi

Faultline = Callable[..., Result]

#: the backtracking of `re` takes exponential time for it
EVIL_RULE = r"(?P<fault>_(a+)+)\.x"


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A folder as users have it."""
    folder = tmp_path / "records"
    folder.mkdir()
    for name in ("105_ir007_0hp.mat", "118_b007_0hp.MAT", "97_normal_0hp.mat", "README.md", "holiday.csv"):
        (folder / name).write_bytes(b"x" * 100)
    return folder


def one_json(result: Result) -> Any:
    """The only line of stdout, parsed."""
    [line] = result.stdout.splitlines()
    return json.loads(line)


def body(api: FakeApi, path: str) -> Any:
    """What was posted last to a path."""
    return json.loads([request for request in api.requests if request.url.path == path][-1].content)


# -- exit codes


def test_a_command_that_is_done_exits_0(faultline: Faultline):
    assert faultline("runs", "list").exit_code == 0


def test_a_run_that_failed_exits_1_with_its_error_and_remedy(faultline: Faultline, api: FakeApi):
    api.failing = {"dataset.generate"}
    result = faultline("datasets", "generate", "d1", "--wait")
    assert result.exit_code == 1
    assert "One fault only." in result.stderr
    assert "Use more." in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "words",
    [
        ["nope"],
        ["train"],
        ["train", "m", "--dataset", "d", "--model", "gpt"],
        ["runs", "show", "123e4567-e89b-42d3-a456-426614174000"],
        ["runs", "show", "x"],
        ["datasets", "show", "nope"],
        ["datasets", "generate", "Not A Name"],
        ["datasets", "generate", "d", "--severity", "0.9", "0.1"],
        ["datasets", "generate", "d", "--bearing", "9:8"],
        ["datasets", "import", "/does/not/exist", "--name", "d", "--preset", "cwru"],
        ["runs", "list", "--limit", "0"],
    ],
)
def test_wrong_usage_and_refused_input_exit_2_with_what_to_do(faultline: Faultline, words: list[str]):
    result = faultline(*words)
    assert result.exit_code == 2
    assert "why " in result.stderr
    assert "do " in result.stderr
    assert result.stdout == ""


def test_an_api_that_does_not_answer_exits_3(faultline: Faultline, api: FakeApi):
    api.outages = [httpx.ConnectError("refused")] * 99
    result = faultline("workers")
    assert result.exit_code == 3
    assert "faultline up" in result.stderr


def test_without_any_credentials_the_exit_is_3(faultline: Faultline, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("FAULTLINE_URL")
    monkeypatch.delenv("FAULTLINE_API_KEY")
    result = faultline("runs", "list")
    assert result.exit_code == 3
    assert "faultline login" in result.stderr


def test_ctrl_c_leaves_the_run_alone_and_says_how_to_stop_it(
    faultline: Faultline, api: FakeApi, monkeypatch: pytest.MonkeyPatch
):
    run = api.submit("dataset.generate", {"name": "d1"})

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "_follow_plain", interrupted)
    result = faultline("runs", "watch", str(run.id))
    assert result.exit_code == 130
    assert f"faultline runs cancel {short_id(run.id)}" in result.stderr
    assert api.cancelled == []


# -- JSON


@pytest.mark.parametrize(
    "words",
    [
        ["runs", "list"],
        ["runs", "show", "last"],
        ["runs", "cancel", "last"],
        ["datasets", "list"],
        ["datasets", "show", "d1"],
        ["datasets", "generate", "d2"],
        ["datasets", "generate", "d2", "--wait"],
        ["train", "m2", "--dataset", "d1"],
        ["train", "m2", "--dataset", "d1", "--wait"],
        ["models", "list"],
        ["models", "show", "m1-rf-x"],
        ["evaluate", "m1-rf-x", "--wait"],
        ["workers"],
        ["version"],
    ],
)
def test_json_is_one_document_on_stdout_and_nothing_else(faultline: Faultline, api: FakeApi, words: list[str]):
    api.submit("dataset.generate", {"name": "d1"})
    api.submit("model.train", {"name": "m1-rf-x", "dataset_id": str(api.datasets[0].id), "recipe": {"type": "rf"}})
    result = faultline(*words, "--json")
    assert result.exit_code == 0, result.output
    one_json(result)
    assert result.stderr == ""


def test_json_of_an_import_is_pure_too(faultline: Faultline, records: Path):
    result = faultline("datasets", "import", str(records), "--name", "d", "--preset", "cwru", "--json", "--wait")
    assert result.exit_code == 0, result.output
    assert one_json(result)["state"] == "succeeded"


def test_json_watching_is_one_event_per_line(faultline: Faultline, api: FakeApi):
    api.submit("dataset.generate", {"name": "d1"})
    result = faultline("runs", "watch", "last", "--json")
    assert [json.loads(line)["seq"] for line in result.stdout.splitlines()] == [1, 2, 3, 4, 5, 6, 7]


def test_json_errors_are_json_on_stderr_and_leave_stdout_empty(faultline: Faultline):
    result = faultline("datasets", "show", "nope", "--json")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert json.loads(result.stderr)["error"]["why"] == "There is no dataset named 'nope'."


def test_a_failed_run_is_still_given_as_json_before_exit_1(faultline: Faultline, api: FakeApi):
    api.failing = {"dataset.generate"}
    result = faultline("datasets", "generate", "d1", "--wait", "--json")
    assert result.exit_code == 1
    assert one_json(result)["state"] == "failed"


# -- what is sent


def test_a_training_is_sent_as_it_was_asked_for(faultline: Faultline, api: FakeApi):
    api.submit("dataset.generate", {"name": "d1"})
    words = "train m1 --dataset d1 --model cnn1d --split-by size_mils --held-out 014 --held-out 021 --set epochs=5"
    result = faultline(
        *words.split(), "--set", "augment=false", "--label", "why=test", "--priority", "3", "--pool", "gpu"
    )
    assert result.exit_code == 0, result.output
    sent = body(api, "/v1/runs")
    assert sent["labels"] == {"why": "test"}
    assert (sent["priority"], sent["pool"]) == (3, "gpu")
    spec = sent["spec"]
    assert isinstance(spec, dict)
    assert spec["dataset_id"] == str(api.datasets[0].id)
    assert spec["split"]["held_out"] == ["014", "021"]
    assert (spec["recipe"]["epochs"], spec["recipe"]["augment"]) == (5, False)


def test_the_shape_of_a_network_and_synthetic_records_are_sent_as_they_were_asked_for(
    faultline: Faultline, api: FakeApi
):
    api.submit("dataset.generate", {"name": "d1"})
    blocks = '[{"type": "residual", "width": 32, "attention": "squeeze"}, {"stride": 4}]'
    words = "train m1 --dataset d1 --model convnet --synthetic mode=only --synthetic severity=[0.5,1]"
    result = faultline(*words.split(), "--set", f"blocks={blocks}", "--set", 'stem={"width": 8}')
    assert result.exit_code == 0, result.output
    spec = TrainingSpec.model_validate(body(api, "/v1/runs")["spec"])
    assert isinstance(spec.recipe, ConvNetRecipe) and spec.synthetic is not None
    assert [(block.type, block.width, block.stride) for block in spec.recipe.blocks] == [
        ("residual", 32, 1),
        ("plain", 64, 4),
    ]
    assert (spec.recipe.stem.width, spec.synthetic.mode, spec.synthetic.severity) == (8, "only", (0.5, 1.0))


def test_a_setting_that_the_recipe_does_not_have_is_refused_before_anything_is_sent(faultline: Faultline, api: FakeApi):
    result = faultline("train", "m1", "--dataset", "d1", "--model", "rf", "--set", "epochs=5")
    assert result.exit_code == 2
    assert "epochs" in result.stderr
    assert api.requests == []


def test_an_import_sends_records_only_and_says_what_is_left_out(faultline: Faultline, api: FakeApi, records: Path):
    result = faultline("datasets", "import", str(records), "--name", "cwru", "--preset", "cwru")
    assert result.exit_code == 0, result.output
    assert sorted(name for name, _ in api.uploads) == ["105_ir007_0hp.mat", "118_b007_0hp.MAT", "97_normal_0hp.mat"]
    assert "README.md" in result.stdout
    assert "holiday.csv" in result.stdout
    sent = body(api, "/v1/datasets/import")
    assert sent["sample_rate_candidates_hz"] == [12000, 48000]
    assert sent["single_unit_blocks"] == 6
    assert isinstance(sent["uploads"], list)
    assert len(sent["uploads"]) == 3


def test_options_win_over_the_preset(faultline: Faultline, api: FakeApi, records: Path):
    words = ["--preset", "cwru", "--rate", "48000", "--fault-name", "ir=inner", "--blocks", "3"]
    faultline("datasets", "import", str(records), "--name", "cwru", *words)
    sent = body(api, "/v1/datasets/import")
    assert sent["sample_rate_candidates_hz"] == [48000]
    assert sent["target_sample_rate_hz"] is None
    assert sent["fault_names"] == {"ir": "inner"}
    assert sent["single_unit_blocks"] == 3


@pytest.mark.parametrize(
    ("names", "words", "reason"),
    [
        ([], ["--preset", "cwru"], "holds no .mat or .csv"),
        (["notes.txt"], ["--preset", "cwru"], "holds no .mat or .csv"),
        (["a.mat"], ["--preset", "cwru"], "No file name fits"),
        (["a.mat"], ["--rule", "(?P<fault>a)"], "sampling rate is not said"),
        (["a.mat"], ["--rate", "12000"], "labelled is not said"),
        (["a.mat"], ["--rate", "12000", "--rule", "(a)"], "no group named"),
        (["a.mat"], ["--preset", "dcase"], "no preset 'dcase'"),
        (["a.mat"], ["--preset", "cwru", "--fault-name", "ir"], "NAME=VALUE"),
    ],
)
def test_an_import_that_cannot_work_sends_nothing(
    faultline: Faultline, api: FakeApi, tmp_path: Path, names: list[str], words: list[str], reason: str
):
    for name in names:
        (tmp_path / name).touch()
    result = faultline("datasets", "import", str(tmp_path), "--name", "d", *words)
    assert result.exit_code == 2
    assert reason in " ".join(result.stderr.replace("│", " ").split())
    assert api.requests == []


def test_an_evaluation_names_its_models_by_id(faultline: Faultline, api: FakeApi):
    api.submit("dataset.generate", {"name": "d1"})
    for name in ("m-rf-1", "m-rf-2"):
        api.submit("model.train", {"name": name, "dataset_id": str(api.datasets[0].id), "recipe": {"type": "rf"}})
    result = faultline("evaluate", "m-rf-1", "m-rf-2", "--wait")
    assert result.exit_code == 0, result.output
    assert body(api, "/v1/evaluations")["model_ids"] == [str(model.id) for model in api.models]
    assert "records right" in result.stdout


# -- runs


def test_a_run_is_found_by_the_end_of_its_id(faultline: Faultline, api: FakeApi):
    run = api.submit("dataset.generate", {"name": "d1"})
    api.submit("dataset.generate", {"name": "d2"})
    assert str(run.id) in faultline("runs", "show", short_id(run.id)).stdout


def test_cancel_asks_the_api(faultline: Faultline, api: FakeApi):
    run = api.submit("dataset.generate", {"name": "d1"})
    assert faultline("runs", "cancel", str(run.id)).exit_code == 0
    assert api.cancelled == [run.id]


def test_watching_in_a_pipe_is_plain_lines_and_then_the_result(faultline: Faultline, api: FakeApi):
    api.submit("dataset.generate", {"name": "d1"})
    result = faultline("runs", "watch", "last")
    lines = result.stdout.splitlines()
    assert [line.split("  ")[1] for line in lines[:4]] == ["queued", "dispatched", "running", "succeeded"]
    assert "\x1b" not in result.stdout
    assert "24 of 10 units" in result.stdout


def test_logs_are_lines_with_level_and_message(faultline: Faultline, api: FakeApi):
    run = api.submit("dataset.generate", {"name": "d1"})
    api.log = [LogLine(attempt=1, line={"timestamp": "10:00", "level": "warning", "event": "slow disk"})]
    assert faultline("runs", "logs", str(run.id)).stdout.split() == ["10:00", "WARNING", "slow", "disk"]


# -- names of others


HOSTILE = "[red]x[/red] \x1b[31m\x9b31m\u202etxt\r\n[link=file:///etc]y"


@pytest.mark.parametrize(
    "words", [["datasets", "list"], ["datasets", "show", "evil"], ["runs", "list"], ["runs", "show", "last"]]
)
def test_names_of_others_are_shown_and_never_obeyed(faultline: Faultline, api: FakeApi, words: list[str]):
    run = api.submit("dataset.generate", {"name": HOSTILE})
    api.runs[run.id] = run.model_copy(update={"wait_reason": HOSTILE, "worker": HOSTILE, "labels": {HOSTILE: HOSTILE}})
    result_of = {
        **(api.datasets[0].result or {}),
        "notes": [HOSTILE],
        "faults": {HOSTILE: 1},
        "labels": {HOSTILE: [HOSTILE]},
    }
    api.datasets.append(api.datasets[0].model_copy(update={"name": "evil", "result": result_of}))
    result = faultline(*words)
    assert result.exit_code == 0, result.output
    for sign in ("\x1b", "\x9b", "\u202e", "\r"):
        assert sign not in result.stdout
    flat = "".join(result.stdout.split())
    assert "[red]" in flat
    assert "\\x1b[31m" in flat


def test_an_error_of_the_server_cannot_paint_the_terminal(faultline: Faultline, api: FakeApi):
    result = faultline("datasets", "show", "[bold]\x1b]0;owned\x07")
    assert result.exit_code == 2
    assert "\x1b" not in result.stderr
    assert "\x07" not in result.stderr
    assert "[bold]" in result.stderr


@pytest.mark.parametrize("word", ["", ".", "..", "../runs", "a/b?c", "\udcff", "\x1b[31m"])
@pytest.mark.parametrize("noun", ["datasets", "models"])
def test_a_word_that_can_be_no_name_is_not_found_and_asks_nothing_else(
    faultline: Faultline, api: FakeApi, noun: str, word: str
):
    result = faultline(noun, "show", word)
    assert result.exit_code == 2
    assert "Nothing can be named" in result.stderr
    assert api.requests == []


def test_a_rule_is_matched_as_the_server_does_and_never_takes_exponential_time(
    faultline: Faultline, api: FakeApi, tmp_path: Path
):
    (tmp_path / f"ball_{'a' * 60}!.csv").write_text("1")
    started = time.monotonic()
    result = faultline("datasets", "import", str(tmp_path), "--name", "d", "--rate", "12000", "--rule", EVIL_RULE)
    assert time.monotonic() - started < 5
    assert result.exit_code == 2
    assert "No file name fits the rule" in result.stderr


@pytest.mark.parametrize("name", ["ball\x1b[31m.csv", "ball\u202e.csv", f"ball{'b' * 210}.csv"])
def test_a_file_name_that_the_api_would_refuse_is_told_before_anything_is_sent(
    faultline: Faultline, api: FakeApi, tmp_path: Path, name: str
):
    (tmp_path / "ok.csv").write_text("1")
    (tmp_path / name).write_text("1")
    words = ["--name", "d", "--rate", "12000", "--rule", "(?P<fault>[a-z]+)"]
    result = faultline("datasets", "import", str(tmp_path), *words)
    assert result.exit_code == 2
    assert "Rename it" in result.stderr
    assert "\x1b[31m" not in result.stderr
    assert api.requests == []
