"""The chart, rendered by the engine that Helm itself is built on.

python -m tests.support.chart [values.yaml]     prints what would be sent to a cluster
"""

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart, HelmError

Object = dict[str, Any]
ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "faultline"
EXAMPLES = sorted(path.stem for path in (CHART / "examples").glob("*.yaml"))
_NOTES = "faultline/templates/NOTES.txt"


@cache
def _chart() -> Chart:
    return Chart.load(CHART)


def example(name: str) -> dict[str, Any]:
    """The values of an example."""
    values: dict[str, Any] = yaml.safe_load((CHART / "examples" / f"{name}.yaml").read_text("utf-8"))
    return values


def render(values: dict[str, Any] | None = None, **options: Any) -> dict[str, str]:
    """Text by template. Raises `HelmError` with what the chart says."""
    return _chart().render(values or {}, **({"name": "faultline", "namespace": "plant"} | options))


def notes(values: dict[str, Any] | None = None) -> str:
    """What Helm prints after an install."""
    return render(values)[_NOTES]


def objects(values: dict[str, Any] | None = None, **options: Any) -> list[Object]:
    """Everything that would be sent to a cluster."""
    texts = [text for path, text in sorted(render(values, **options).items()) if path != _NOTES]
    return [item for text in texts for item in yaml.safe_load_all(text) if item]


def named(rendered: list[Object], kind: str, name: str) -> Object:
    """One object. Raises `ValueError` if there is not exactly one."""
    (found,) = (item for item in rendered if item["kind"] == kind and item["metadata"]["name"] == name)
    return found


def workloads(rendered: list[Object]) -> dict[str, Object]:
    """Deployments, StatefulSets and Jobs by component."""
    kinds = {"Deployment", "StatefulSet", "Job"}
    return {
        item["metadata"]["labels"]["app.kubernetes.io/component"]: item for item in rendered if item["kind"] in kinds
    }


def pod(workload: Object) -> Object:
    """The spec of its pods."""
    spec: Object = workload["spec"]["template"]["spec"]
    return spec


def containers(workload: Object) -> Iterator[Object]:
    """All of its containers, those that run first too."""
    yield from pod(workload).get("initContainers", [])
    yield from pod(workload)["containers"]


def environment(container: Object, secrets: dict[str, str]) -> dict[str, str]:
    """What its process would find; keys of Secrets by these values."""
    found = {}
    for item in container.get("env", []):
        source = item.get("valueFrom", {})
        if "secretKeyRef" in source:
            found[item["name"]] = secrets[item["name"]]
        elif "fieldRef" in source:
            found[item["name"]] = source["fieldRef"]["fieldPath"]
        else:
            found[item["name"]] = item["value"]
    return found


def matches(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a label selector takes these labels."""
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


def main(path: str | None) -> int:
    """Print the objects, with the values of a file if one is named."""
    values = yaml.safe_load(Path(path).read_text("utf-8")) if path else {}
    try:
        rendered = objects(values)
    except HelmError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    yaml.safe_dump_all(rendered, sys.stdout, sort_keys=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(next(iter(sys.argv[1:]), None)))
