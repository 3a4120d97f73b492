"""The report of a campaign: what it holds, and that nothing a user wrote acts in it."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from sqlalchemy import text

from services.hpo.report import write_report
from shared.artifacts import ArtifactStore
from shared.campaigns.cells import cell
from shared.campaigns.pinning import pin_campaign
from shared.contracts.campaign_report import ReportResult, ReportSpec
from shared.contracts.views import SubmitRequest
from shared.db.session import transaction
from shared.errors import NotFound
from shared.runs.body import Put, RunArtifacts
from shared.runs.submit import Request, submit
from tests.conftest import MakePlatform
from tests.hpo.recorded import record, record_many
from tests.hpo.support import Campaigns
from tests.training.support import RecordingReporter

HOSTILE = "<script>alert(1)</script>"
BOTH = [{"result": "value", "goal": "minimize"}, {"result": "other", "goal": "maximize"}]


def report(campaigns: Campaigns, campaign_id: UUID, folder: Path) -> tuple[ReportResult, dict[str, bytes]]:
    """Pin and write, in this process; the result and the files."""
    with transaction(campaigns.platform.engine) as session:
        pinned = pin_campaign(session, campaigns.platform.caller.project_id, campaign_id)
    store, puts = ArtifactStore("memory://"), list[Put]()
    inputs = {str(campaign_id): json.loads(json.dumps(pinned))}
    artifacts = RunArtifacts(store, "runs/r", folder / "work", inputs, puts.append)
    result = write_report(ReportSpec(campaign_id=campaign_id), RecordingReporter(), artifacts)
    return result, {put.name: store.read(put.stored.key) for put in puts}


def rows_of(files: dict[str, bytes]) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(files["trials.csv"].decode())))


def test_a_report_holds_the_page_the_pictures_and_the_table(campaigns: Campaigns, tmp_path: Path) -> None:
    campaign_id = campaigns.submit(budget={"trials": 30}, pruner={"type": "asha"})
    trials = campaigns.drive(campaign_id)
    result, files = report(campaigns, campaign_id, tmp_path)
    for name in ("history", "parallel", "importance", "slice", "contour", "rungs", "timeline"):
        assert ET.fromstring(files[f"{name}.svg"]).tag.endswith("svg")
        assert files[f"{name}.png"].startswith(b"\x89PNG")
        json.loads(files[f"{name}.json"])
    best = min(trials, key=lambda trial: trial["scores"][0])
    html = files["report.html"].decode()
    assert f"Trial {best['number']}: value {best['scores'][0]:.6g}" in html
    assert html.count("<svg ") == 7
    assert not re.search(r"<script|src=\"http|href=\"http", html)
    rows = rows_of(files)
    assert [float(row["x"]) for row in rows] == [trial["params"]["x"] for trial in trials]
    assert (result.trials, result.trials_left_out, result.best) == (30, 0, best["scores"])
    assert sorted(result.files) == sorted(files)
    assert "All 30 trials are in trials.csv" in html


def test_the_best_of_a_report_is_a_file_that_runs_again_what_it_names(campaigns: Campaigns, tmp_path: Path) -> None:
    campaign_id = campaigns.submit(budget={"trials": 3}, base={"cost": 3.0})
    trials = campaigns.drive(campaign_id)
    _result, files = report(campaigns, campaign_id, tmp_path)
    written = files["best.yaml"].decode()
    best = min(trials, key=lambda trial: trial["scores"][0])
    assert written.startswith(f"# Trial {best['number']} of the campaign search, the best of 3.\n# value: ")
    request = SubmitRequest.model_validate(yaml.safe_load(written))
    platform = campaigns.platform
    (made_by,) = platform.rows("SELECT kind, spec, pool FROM runs WHERE id = :id", id=best["run_id"])
    assert (request.kind, request.spec, request.pool) == (made_by["kind"], made_by["spec"], made_by["pool"])
    assert request.spec["x"] == best["params"]["x"]


def test_the_page_says_where_all_trials_are_when_the_table_holds_some(campaigns: Campaigns, tmp_path: Path) -> None:
    campaign_id = campaigns.submit(budget={"trials": 3000})
    record_many(campaigns, campaign_id, 2500)
    result, files = report(campaigns, campaign_id, tmp_path)
    assert len(rows_of(files)) == 2500 - result.trials_left_out < 2500
    html = files["report.html"].decode()
    assert f"holds {len(rows_of(files)):,} of 2,500 trials" in html
    assert "faultline campaigns export search -o all.csv" in html


def test_what_users_wrote_does_nothing_in_a_report(campaigns: Campaigns, tmp_path: Path) -> None:
    choices = [HOSTILE, "=1+1", "$x^{", "a --> b ]]> <!--", "\u202e\u0007", [1.0, 2.0], None]
    space = {
        "kind": {"type": "categorical", "choices": ["a", "b"]},
        "z": {"type": "categorical", "choices": [[1.0], [2.0]]},
        "extra": {"type": "float", "low": 0, "high": 1},
    }
    campaign_id = campaigns.submit(space=space)
    spec = campaigns.platform.rows("SELECT spec FROM runs WHERE id = :id", id=campaign_id)[0]["spec"]
    spec["space"]["kind"]["choices"] = choices
    change(campaigns, "UPDATE runs SET spec = CAST(:spec AS jsonb) WHERE id = :id", campaign_id, spec=json.dumps(spec))
    points = [{"kind": choices[n % 7], "z": [[1.0], [2.0]][n % 2], "extra": n / 30} for n in range(30)]
    record(campaigns, campaign_id, [{"params": p, "scores": [float(n)]} for n, p in enumerate(points)], [(0, [0.0])])
    change(campaigns, "UPDATE trials SET error = :error WHERE campaign_id = :id", campaign_id, error="@SUM(1)")
    _result, files = report(campaigns, campaign_id, tmp_path)
    html = files["report.html"].decode()
    assert "<script" not in html.lower()
    assert "&lt;script&gt;" in html
    for name, content in files.items():
        if name.endswith(".svg"):
            assert not [node for node in ET.fromstring(content).iter() if node.tag.endswith("script")]
            assert b"<script" not in content
    rows = rows_of(files)
    assert [row["kind"] for row in rows[:2]] == [HOSTILE, "'=1+1"]
    assert rows[0]["error"] == "'@SUM(1)"


def change(campaigns: Campaigns, sql: str, campaign_id: UUID, **values: Any) -> None:

    with transaction(campaigns.platform.engine) as session:
        session.execute(text(sql), {"id": campaign_id, **values})


def test_a_number_is_no_formula_and_a_text_that_looks_like_one_is_marked() -> None:
    assert [cell(value) for value in (-1.5, "-1+2", "+a", True, None, [1.0], "fine")] == [
        "-1.5",
        "'-1+2",
        "'+a",
        "true",
        "",
        "[1.0]",
        "fine",
    ]


def test_a_campaign_of_several_objectives_has_its_front(campaigns: Campaigns, tmp_path: Path) -> None:
    campaign_id = campaigns.submit(objectives=BOTH, budget={"trials": 12}, sampler={"type": "random"})
    campaigns.drive(campaign_id)
    _result, files = report(campaigns, campaign_id, tmp_path)
    assert "pareto.svg" in files
    assert "the best of the front" in files["report.html"].decode()


def test_a_campaign_without_a_complete_trial_has_a_report_that_says_so(campaigns: Campaigns, tmp_path: Path) -> None:
    campaign_id = campaigns.submit(pruner={"type": "asha"})
    result, files = report(campaigns, campaign_id, tmp_path)
    assert (result.trials, result.best) == (0, None)
    assert "No trial that keeps to the limits is complete yet." in files["report.html"].decode()


def test_what_is_pinned_of_fifty_thousand_trials_stays_small(campaigns: Campaigns) -> None:
    campaign_id = campaigns.submit(budget={"trials": 50_000})
    record_many(campaigns, campaign_id, 50_000)
    with transaction(campaigns.platform.engine) as session:
        pinned = pin_campaign(session, campaigns.platform.caller.project_id, campaign_id)
    assert len(json.dumps(pinned)) < 1_500_000
    assert (len(pinned["result"]["trials"]), pinned["result"]["trials_total"]) == (1999, 50_000)


def test_a_campaign_of_nobody_is_refused_at_submit(campaigns: Campaigns) -> None:
    spec = ReportSpec(campaign_id=UUID(int=1))
    platform = campaigns.platform
    with pytest.raises(NotFound), transaction(platform.engine) as session:
        submit(session, platform.settings, platform.caller, Request("campaign.report", spec))


def test_a_report_is_a_run_like_any_other(make_platform: MakePlatform) -> None:
    campaigns = Campaigns(make_platform())
    campaigns.start()
    platform = campaigns.platform
    campaign_id = campaigns.submit(budget={"trials": 4})
    campaigns.ended(campaign_id)
    platform.start_worker("reporter", "tests.support.hpo_worker", FAULTLINE_WORKER_POOLS='["hpo"]')
    with transaction(platform.engine) as session:
        request = Request("campaign.report", ReportSpec(campaign_id=campaign_id))
        run_id = submit(session, platform.settings, platform.caller, request)
    run = platform.finished(run_id)
    assert run["state"] == "succeeded", run["envelope"]
    names = platform.rows("SELECT name FROM artifacts WHERE run_id = :id AND role = 'artifact'", id=run_id)
    assert {"report.html", "trials.csv", "history.svg"} <= {row["name"] for row in names}
