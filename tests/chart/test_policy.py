"""Every pod is restricted, bounded, watched and given its time; what may be reached is what is needed."""

import re
from typing import Any

import pytest
import yaml

from shared.observability import metrics
from shared.settings import Settings
from tests.support.chart import (
    CHART,
    EXAMPLES,
    Object,
    containers,
    environment,
    example,
    matches,
    named,
    objects,
    pod,
    workloads,
)

_PORTS = {"postgres": 5432, "valkey": 6379, "store": 8333}
_HOSTS = {"faultline-postgres": "postgres", "faultline-valkey": "valkey", "faultline-store": "store"}
_GPU = example("gpu-pool")


@pytest.fixture(params=EXAMPLES)
def rendered(request: pytest.FixtureRequest) -> list[Object]:
    return objects(example(request.param))


def test_every_pod_is_restricted(rendered: list[Object]) -> None:
    for name, item in workloads(rendered).items():
        context = pod(item)["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod(item).keys(), name
        assert {kind for volume in pod(item).get("volumes", []) for kind in volume} <= {"name", "emptyDir", "secret"}
        for container in containers(item):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, (name, container["name"])


def test_no_pod_and_no_account_has_a_token(rendered: list[Object]) -> None:
    accounts = {item["metadata"]["name"]: item for item in rendered if item["kind"] == "ServiceAccount"}
    for name, item in workloads(rendered).items():
        assert pod(item)["automountServiceAccountToken"] is False, name
        assert accounts[pod(item)["serviceAccountName"]]["automountServiceAccountToken"] is False, name


def test_every_container_has_requests_and_a_limit_of_memory(rendered: list[Object]) -> None:
    for item in workloads(rendered).values():
        for container in containers(item):
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), container["name"]
            assert "memory" in container["resources"]["limits"], container["name"]


def test_every_scratch_volume_has_a_limit(rendered: list[Object]) -> None:
    for item in workloads(rendered).values():
        for volume in pod(item).get("volumes", []):
            assert "emptyDir" not in volume or "sizeLimit" in volume["emptyDir"], volume


def test_every_service_has_all_probes_and_none_asks_the_broker(rendered: list[Object]) -> None:
    for name, item in workloads(rendered).items():
        if item["kind"] != "Job":
            (container,) = pod(item)["containers"]
            assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys(), name
            assert "inspect" not in str(container)


def test_no_image_is_without_a_version(rendered: list[Object]) -> None:
    for item in workloads(rendered).values():
        for container in containers(item):
            assert re.search(r"(:[0-9][\w.-]*|@sha256:[0-9a-f]{64})$", container["image"]), container["image"]


def test_production_runs_digests_only() -> None:
    for item in workloads(objects(example("production-external"))).values():
        for container in containers(item):
            assert "@sha256:" in container["image"]


@pytest.mark.parametrize("seconds", [None, 1, 90.5, 600])
def test_a_worker_has_longer_than_a_checkpoint_may_take(seconds: float | None) -> None:
    values: dict[str, Any] = {"settings": {} if seconds is None else {"checkpoint_grace_s": seconds}}
    checkpoint_s = seconds or Settings.model_fields["checkpoint_grace_s"].default
    for name, item in workloads(objects(values)).items():
        if name in {"generation", "hpo", "notifier"} or name.startswith("pool-"):
            assert pod(item)["terminationGracePeriodSeconds"] >= checkpoint_s + 60, name


def test_the_api_has_longer_than_its_open_requests() -> None:
    api = pod(workloads(objects({"api": {"preStopSeconds": 20, "gracefulShutdownSeconds": 40}}))["api"])
    assert api["terminationGracePeriodSeconds"] == 70
    assert (
        environment(api["containers"][0], dict.fromkeys(_secret_names(api), ""))["FAULTLINE_GRACEFUL_SHUTDOWN_S"]
        == "40"
    )


def _secret_names(spec: Object) -> list[str]:
    return [variable["name"] for variable in spec["containers"][0]["env"]]


def test_a_gpu_pool_waits_for_its_gpu() -> None:
    deployment = workloads(objects(_GPU))["pool-training-gpu"]
    (container,) = pod(deployment)["containers"]
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert "replicas" not in deployment["spec"]
    assert container["resources"]["limits"] == {"memory": "24Gi", "nvidia.com/gpu": "1"}
    assert "topologySpreadConstraints" not in pod(deployment)
    assert pod(deployment)["runtimeClassName"] == "nvidia"
    shm = next(volume for volume in pod(deployment)["volumes"] if volume["name"] == "shm")
    assert shm["emptyDir"] == {"medium": "Memory", "sizeLimit": "8Gi"}


def test_a_part_of_a_gpu_is_asked_for_by_its_name() -> None:
    pools = {"mig": {"resourceClass": "gpu", "gpuResource": "nvidia.com/mig-1g.10gb"}}
    (container,) = pod(workloads(objects({"training": {"pools": pools}}))["pool-mig"])["containers"]
    assert container["resources"]["limits"]["nvidia.com/mig-1g.10gb"] == "1"


def test_a_gpu_pool_goes_down_only_as_a_whole_and_after_its_grace() -> None:
    rendered = objects(_GPU)
    scaled = named(rendered, "ScaledObject", "faultline-pool-training-gpu")["spec"]
    behavior = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    grace_s = pod(workloads(rendered)["pool-training-gpu"])["terminationGracePeriodSeconds"]
    assert behavior["scaleDown"] == {"selectPolicy": "Disabled"}
    assert scaled["minReplicaCount"] == 0
    assert scaled["cooldownPeriod"] > grace_s
    assert named(rendered, "TriggerAuthentication", scaled["triggers"][0]["authenticationRef"]["name"])


def test_what_scales_has_no_number_of_replicas() -> None:
    rendered = objects(example("production-external"))
    for item in rendered:
        if item["kind"] in {"HorizontalPodAutoscaler", "ScaledObject"}:
            assert "replicas" not in named(rendered, "Deployment", item["spec"]["scaleTargetRef"]["name"])["spec"]


def _labels(item: Object) -> dict[str, str]:
    labels: dict[str, str] = item["spec"]["template"]["metadata"]["labels"]
    return labels


def _policies(rendered: list[Object], item: Object) -> list[Object]:
    return [
        policy["spec"]
        for policy in rendered
        if policy["kind"] == "NetworkPolicy" and matches(policy["spec"]["podSelector"], _labels(item))
    ]


def _may_reach(rendered: list[Object], source: Object, target: Object, port: int) -> bool:
    """Whether the policies of both sides let a connection through."""

    def allowed(item: Object, direction: str, peer: str, other: Object) -> bool:
        rules = [rule for policy in _policies(rendered, item) for rule in policy.get(direction, [])]
        return any(
            {"port": port} in rule.get("ports", [])
            and any(matches(side.get("podSelector", {}), _labels(other)) for side in rule.get(peer, []))
            for rule in rules
        )

    return allowed(source, "egress", "to", target) and allowed(target, "ingress", "from", source)


def test_every_pod_is_closed_in_both_directions(rendered: list[Object]) -> None:
    for name, item in workloads(rendered).items():
        types = {direction for policy in _policies(rendered, item) for direction in policy["policyTypes"]}
        assert types == {"Ingress", "Egress"}, name


def test_a_component_reaches_the_engines_that_its_environment_uses_and_no_other() -> None:
    rendered = objects()
    found = workloads(rendered)
    for name, item in found.items():
        if name in _PORTS:
            continue
        used = {"postgres"}
        variables = {variable["name"]: variable for each in containers(item) for variable in each.get("env", [])}
        if "valueFrom" in variables["CELERY_BROKER_URL"]:
            used.add("valkey")
        if "FAULTLINE_S3_ACCESS_KEY_ID" in variables:
            used.add("store")
        reached = {engine for engine, port in _PORTS.items() if _may_reach(rendered, item, found[engine], port)}
        assert reached == used, name


def test_only_the_notifier_may_reach_the_world() -> None:
    rendered = objects()
    out = {
        name
        for name, item in workloads(rendered).items()
        for policy in _policies(rendered, item)
        for rule in policy.get("egress", [])
        if any("ipBlock" in peer for peer in rule.get("to", []))
    }
    assert out == {"notifier"}


def test_yours_are_reached_by_their_ports() -> None:
    policy = named(objects(example("production-external")), "NetworkPolicy", "faultline-generation")["spec"]
    assert policy["egress"] == [
        {"ports": [{"port": 5432}], "to": [{"ipBlock": {"cidr": "10.20.0.0/24"}}]},
        {"ports": [{"port": 6379}]},
        {"ports": [{"port": 443}]},
    ]


def test_every_alert_asks_for_metrics_that_exist() -> None:
    rules = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text("utf-8"))
    names = {sample.name for family in metrics.registry().collect() for sample in family.samples}
    names |= {f"{family.name}{end}" for family in metrics.registry().collect() for end in ("", "_total", "_count")}
    for rule in rules:
        asked = set(re.findall(r"faultline_\w+", rule["expr"]))
        assert asked and asked <= names, rule["alert"]


def test_alerts_are_rendered_with_their_runbooks() -> None:
    (group,) = named(objects(example("production-external")), "PrometheusRule", "faultline-alerts")["spec"]["groups"]
    for rule in group["rules"]:
        assert rule["annotations"]["runbook_url"] == f"https://runbooks.example.org/{rule['alert']}"
        assert rule["labels"]["severity"] in {"warning", "critical"}
