"""Values have one spelling, a description and a default; what is mistyped or does not fit together is refused."""

from typing import Any

import pytest
import yaml
from chart_knobs import SETTINGS, Schema, chart
from chart_values import defaults, files
from helm_python import HelmError, lint

from shared.settings import Settings
from tests.support.chart import CHART, EXAMPLES, example, objects, render


def _knobs(schema: Schema, path: str = "") -> list[tuple[str, Schema]]:
    found = []
    for name, inner in schema.get("properties", {}).items():
        found += [(f"{path}{name}", inner), *_knobs(inner, f"{path}{name}.")]
    return found


def test_the_files_of_values_are_what_the_knobs_make() -> None:
    for path, text in files().items():
        assert path.read_text("utf-8") == text, f"{path.name}: run .ci/chart_values.py"


def test_values_are_the_defaults_of_the_schema() -> None:
    assert yaml.safe_load((CHART / "values.yaml").read_text("utf-8")) == defaults(chart())


def test_every_knob_has_a_type_a_description_and_a_default() -> None:
    for path, schema in _knobs(chart()):
        assert {"type", "description", "default"} <= schema.keys(), path
        assert schema["description"].endswith("."), path


def test_every_block_is_closed() -> None:
    for path, schema in _knobs(chart()):
        assert schema.get("additionalProperties", True) is not True or "properties" not in schema, path


def test_settings_of_the_chart_are_settings_of_the_processes() -> None:
    assert set(SETTINGS) < set(Settings.model_fields)


def test_lint_finds_nothing() -> None:
    report = lint(CHART, strict=True)
    assert report["errors"] == []
    assert [item for item in report["messages"] if item["severity"] > 1] == []


@pytest.mark.parametrize(
    "values",
    [
        {"replica": 2},
        {"api": {"replicaCount": 2}},
        {"training": {"base": {"gpu": True}}},
        {"training": {"pools": {"training-gpu": {"resourceclass": "gpu"}}}},
        {"training": {"pools": {"Upper": {}}}},
        {"training": {"pools": {"hpo": {}}}},
        {"settings": {"lease": 30}},
        {"settings": {"database_url": "postgresql://somewhere"}},
        {"api": {"replicas": "two"}},
        {"image": {"tag": "latest"}},
    ],
    ids=str,
)
def test_what_is_mistyped_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(HelmError, match="don't meet the specifications"):
        render(values)


_YOURS = {"bundled": {"enabled": False}}
_GPU = {"resourceClass": "gpu", "autoscaling": {"enabled": True, "minReplicas": 1}}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"database": {"existingSecret": "mine"}}, "Set database.bundled.enabled=false"),
        ({"broker": _YOURS}, "Set broker.existingSecret"),
        ({"store": _YOURS}, "Set store.url"),
        ({"store": {**_YOURS, "url": "s3://b", "endpoint": "http://s3"}}, "store.allowHttp=true"),
        ({"database": {"directUrlKey": "direct"}}, "Leave it empty"),
        ({"migrations": {"hook": True}}, "or migrations.hook=false"),
        ({"api": {"ingress": {"enabled": True}}}, "Set the name"),
        ({"settings": {"smtp_user": "me"}}, "Set notifier.smtp.existingSecret"),
        ({"notifier": {"smtp": {"existingSecret": "s"}}}, "Set settings.smtp_user"),
        ({"api": {"terminationGracePeriodSeconds": 12}}, "Set at least 15"),
        ({"generation": {"terminationGracePeriodSeconds": 30}}, "Set at least 40"),
        ({"api": {"autoscaling": {"minReplicas": 9}}}, "minReplicas is above maxReplicas"),
        ({"training": {"pools": {"analysis": None}}}, "Add training.pools.analysis"),
        ({"training": {"pools": {"g": {"resourceClass": "gpu", "slots": 2}}}}, "Set slots: 1"),
        ({"training": {"pools": {"g": _GPU}}}, "Set minReplicas: 0"),
        ({"training": {"pools": {"analysis": {"autoscaling": {"enabled": True}}}}}, "networkPolicy.kedaFrom"),
        ({"production": True}, "production: [a-z]+.bundled is for evaluation"),
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_refused_and_says_what_to_set(values: dict[str, Any], words: str) -> None:
    with pytest.raises(HelmError, match=words):
        render(values)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"secrets": {"existingSecret": ""}}, "secrets.existingSecret is empty"),
        ({"networkPolicy": {"enabled": False}}, "networkPolicy.enabled is false"),
        ({"hpo": {"image": {"digest": ""}}}, "hpo.image.digest is empty"),
        ({"training": {"pools": {"analysis": {"image": {"digest": ""}}}}}, "training.pools.analysis.image.digest"),
    ],
    ids=str,
)
def test_production_refuses_what_is_for_evaluation(block: dict[str, Any], words: str) -> None:
    with pytest.raises(HelmError, match=words):
        render(example("production-external") | block)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_renders(name: str) -> None:
    assert objects(example(name))


def test_a_pool_may_also_say_no_and_none() -> None:
    base = {"replicas": 3, "podDisruptionBudget": {"enabled": True}, "lead": 5}
    own = {"replicas": 0, "podDisruptionBudget": {"enabled": False}, "lead": 0}
    rendered = objects({"training": {"base": base, "pools": {"analysis": own}}})
    kinds = {(item["kind"], item["metadata"]["name"]): item for item in rendered}
    assert kinds["Deployment", "faultline-pool-analysis"]["spec"]["replicas"] == 0
    assert kinds["Deployment", "faultline-pool-training-cpu"]["spec"]["replicas"] == 3
    assert ("PodDisruptionBudget", "faultline-pool-analysis") not in kinds
