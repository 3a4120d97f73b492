"""What is rendered is valid, the same every time, and starts the processes of this checkout."""

import copy
import importlib.util
import json
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from helm_python import HelmError

from shared.settings import Settings
from tests.support.chart import (
    EXAMPLES,
    Object,
    containers,
    environment,
    example,
    named,
    notes,
    objects,
    pod,
    workloads,
)

_VERSIONS = ("1.25.0", kubernetes_validate.latest_version())
_CUSTOM = {"keda.sh", "monitoring.coreos.com"}
#: stands for what is in Secrets
_SECRETS = {
    "FAULTLINE_DATABASE_URL": "postgresql://u:p@h/d",
    "FAULTLINE_DATABASE_DIRECT_URL": "postgresql://u:p@h/d",
    "CELERY_BROKER_URL": "redis://:p@h:6379/0",
    "CELERY_RESULT_BACKEND": "redis://:p@h:6379/0",
    "FAULTLINE_S3_ACCESS_KEY_ID": "id",
    "FAULTLINE_S3_SECRET_ACCESS_KEY": "key",
    "FAULTLINE_SECRET_KEYS": json.dumps(["s" * 48]),
    "FAULTLINE_SEAL_KEYS": json.dumps(["s" * 48]),
    "FAULTLINE_BOOTSTRAP_KEY": "k" * 40,
    "FAULTLINE_SMTP_PASSWORD": "p",
}
_SELECTORS = {
    name: {
        "app.kubernetes.io/name": "faultline",
        "app.kubernetes.io/instance": "faultline",
        "app.kubernetes.io/component": name,
    }
    for name in (
        "api", "dispatcher", "generation", "hpo", "notifier", "pool-analysis", "pool-training-cpu", "postgres",
        "reconciler", "store", "valkey",
    )
}  # fmt: skip


def _ours(item: Object) -> bool:
    return item["metadata"]["labels"]["app.kubernetes.io/component"] not in {"postgres", "valkey", "store"}


@pytest.mark.parametrize("version", _VERSIONS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_valid_for_the_oldest_and_the_newest_kubernetes(name: str, version: str) -> None:
    for item in objects(example(name)):
        if item["apiVersion"].partition("/")[0] not in _CUSTOM:
            try:
                kubernetes_validate.validate(item, version, strict=True)
            except jsonschema.ValidationError as error:
                pytest.fail(f"{item['kind']} {item['metadata']['name']}: {error.message}")


def _without_made(rendered: list[Object]) -> list[Object]:
    found = copy.deepcopy(rendered)
    for item in found:
        if item["kind"] == "Secret":
            item["stringData"] = sorted(item["stringData"])
    return found


def test_production_renders_twice_to_the_same_bytes() -> None:
    assert json.dumps(objects(example("production-external"))) == json.dumps(objects(example("production-external")))


@pytest.mark.parametrize("name", EXAMPLES)
def test_two_renders_differ_in_nothing_but_made_secrets(name: str) -> None:
    assert _without_made(objects(example(name))) == _without_made(objects(example(name)))


def test_production_makes_no_secret() -> None:
    assert [item for item in objects(example("production-external")) if item["kind"] == "Secret"] == []


def test_an_upgrade_that_does_not_see_its_secrets_makes_no_new_ones() -> None:
    with pytest.raises(HelmError, match="an upgrade makes no new one"):
        objects(is_upgrade=True)


def test_made_secrets_outlive_an_uninstall() -> None:
    made = [item for item in objects() if item["kind"] == "Secret"]
    assert len(made) == 5
    for item in made:
        assert item["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_selectors_are_what_they_were() -> None:
    found = {
        name: item["spec"]["selector"]["matchLabels"]
        for name, item in workloads(objects()).items()
        if item["kind"] != "Job"
    }
    assert found == _SELECTORS


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_process_takes_the_environment_that_it_gets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for component, item in workloads(objects(example(name))).items():
        for container in containers(item) if _ours(item) else ():
            with monkeypatch.context() as patch:
                for key, value in environment(container, _SECRETS).items():
                    patch.setenv(key, value)
                settings = Settings()
            pools = {pool.name for pool in settings.pools}
            assert {"generation", "hpo", "training-cpu", "analysis"} <= pools, component


def test_no_variable_is_there_twice() -> None:
    for name in EXAMPLES:
        for item in workloads(objects(example(name))).values():
            for container in containers(item):
                names = [variable["name"] for variable in container.get("env", [])]
                assert len(names) == len(set(names)), container["name"]


def test_every_command_is_a_module_of_this_checkout() -> None:
    for item in workloads(objects()).values():
        for container in containers(item) if _ours(item) else ():
            program, flag, module, *_ = container["command"]
            assert program == "python"
            if flag == "-m":
                assert importlib.util.find_spec(module), module
            else:
                compile(module, "wait", "exec")


def test_each_worker_serves_its_queue() -> None:
    served = {
        name: json.loads(environment(pod(item)["containers"][0], _SECRETS).get("FAULTLINE_WORKER_POOLS", "null"))
        for name, item in workloads(objects()).items()
        if _ours(item)
    }
    assert {name: pools for name, pools in served.items() if pools is not None} == {
        "generation": ["generation"],
        "hpo": ["hpo"],
        "notifier": [],
        "pool-analysis": ["analysis"],
        "pool-training-cpu": ["training-cpu"],
    }


def test_only_those_who_sign_and_seal_have_the_keys() -> None:
    holders = {
        name
        for name, item in workloads(objects()).items()
        for container in containers(item)
        if any(variable["name"] == "FAULTLINE_SEAL_KEYS" for variable in container.get("env", []))
    }
    assert holders == {"api", "notifier"}


def test_only_the_notifier_logs_in_to_send_mail() -> None:
    senders = {
        name
        for name, item in workloads(objects(example("production-external"))).items()
        for container in containers(item)
        if any(
            variable["name"] in {"FAULTLINE_SMTP_USER", "FAULTLINE_SMTP_PASSWORD"}
            for variable in container.get("env", [])
        )
    }
    assert senders == {"notifier"}


def _job(values: dict[str, Any]) -> Object:
    return workloads(objects(values))["setup"]


def test_the_setup_job_has_another_name_when_it_does_something_else() -> None:
    first, same, other = _job({}), _job({}), _job({"image": {"tag": "0.2.0"}})
    assert first["metadata"]["name"] == same["metadata"]["name"]
    assert first["metadata"]["name"] != other["metadata"]["name"]


def test_the_setup_job_is_no_hook_unless_asked() -> None:
    assert "annotations" not in _job({})["metadata"]
    hook = _job(example("production-external"))["metadata"]
    assert hook["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


def test_a_hook_needs_nothing_that_comes_after_it() -> None:
    rendered = objects(example("production-external"))
    spec = pod(workloads(rendered)["setup"])
    account = named(rendered, "ServiceAccount", spec["serviceAccountName"])
    assert account["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    made = {item["metadata"]["name"] for item in rendered if item["kind"] in {"Secret", "ConfigMap"}}
    assert not made & set(json.dumps(spec).split('"'))


def test_notes_say_where_how_and_what_is_not_secure() -> None:
    text = notes()
    assert "port-forward svc/faultline-api 8000:80" in text
    assert '{{index .data "api-key" | base64decode}}' in text
    assert "The database is the bundled one" in text
    assert _job({})["metadata"]["name"] in text


def test_notes_of_production_have_nothing_to_warn_of() -> None:
    text = notes(example("production-external"))
    assert "https://faultline.example.org" in text
    assert "not secure" not in text
