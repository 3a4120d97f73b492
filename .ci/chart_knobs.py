"""Every knob of the chart, once: name, default, type and what it is for. `.ci/chart_values.py` writes them down."""

from typing import Any

from shared.settings import Settings

Schema = dict[str, Any]

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
#: set by the chart itself, from knobs of their own
_BY_CHART = {
    "database_url", "database_direct_url", "broker_url", "result_backend", "always_eager", "artifact_store_url",
    "s3_endpoint", "s3_public_endpoint", "s3_region", "s3_path_style", "s3_allow_http", "s3_access_key_id",
    "s3_secret_access_key", "pools", "worker_name", "worker_pools", "worker_slots", "work_dir", "api_host", "api_port",
    "api_fd", "graceful_shutdown_s", "public_url", "bootstrap_key", "bootstrap_project", "secret_keys", "seal_keys",
    "smtp_password", "metrics_port", "eager_task_modules",
}  # fmt: skip
SETTINGS = sorted(set(Settings.model_fields) - _BY_CHART)
_PORT = {"minimum": 1, "maximum": 65_535}
_SIZE = {"pattern": r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$"}


def knob(description: str, default: Any, **more: Any) -> Schema:
    """One value."""
    return {"type": _TYPES[type(default)], "description": description, "default": default, **more}


def group(description: str, **knobs: Schema) -> Schema:
    """A block of knobs, and nothing else."""
    return {
        "type": "object", "description": description, "default": {}, "additionalProperties": False, "properties": knobs,
    }  # fmt: skip


def words(description: str, **default: str) -> Schema:
    """A map from words to words."""
    return knob(description, default, additionalProperties={"type": "string"})


def objects(description: str) -> Schema:
    """A list of objects as Kubernetes spells them."""
    return knob(description, [], items={"type": "object"})


def _resources(cpu: str, memory: str, memory_limit: str, cpu_limit: str = "") -> Schema:
    part = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}
    limits = {"memory": memory_limit} | ({"cpu": cpu_limit} if cpu_limit else {})
    return knob(
        "Requests and limits of the container.", {"requests": {"cpu": cpu, "memory": memory}, "limits": limits},
        additionalProperties=False,
        properties={
            "requests": {**part, "description": "What the scheduler sets aside.", "default": {}},
            "limits": {**part, "description": "What the container may not exceed.", "default": {}},
        },
    )  # fmt: skip


def _tag(description: str, default: str) -> Schema:
    return knob(description, default, pattern="^[A-Za-z0-9._-]*$") | {"not": {"const": "latest"}}


def _image(repository: str, tag: str = "", of_tag: str = "Empty: image.tag.") -> Schema:
    return group(
        "Its image.",
        repository=knob("Name of the image, after image.registry.", repository, minLength=1),
        tag=_tag(f"Its tag. {of_tag}", tag),
        digest=knob("Its digest, which wins over the tag.", "", pattern="^(sha256:[0-9a-f]{64})?$"),
    )


def _placement() -> dict[str, Schema]:
    return {
        "nodeSelector": words("Labels that a node must have."),
        "tolerations": objects("Taints that its pods bear."),
        "affinity": knob("Affinity, as Kubernetes spells it.", {}),
        "priorityClassName": knob("A priority class that exists.", ""),
        "podAnnotations": words("Annotations of its pods."),
        "podLabels": words("Labels of its pods, besides those that select them."),
    }


def _workload(
    image: str, resources: Schema, *, replicas: int = 1, grace_s: int = 0, of_grace: str = ""
) -> dict[str, Schema]:
    return {
        "replicas": knob("How many pods; not used where autoscaling is on.", replicas, minimum=0),
        "image": _image(image),
        "resources": resources,
        **_placement(),
        "topologySpreadConstraints": objects(
            "How its pods are spread; empty: over zones and nodes as far as that goes, GPU pods not at all."
        ),
        "podDisruptionBudget": group(
            "What a drained node may take away at once.",
            enabled=knob("Make the budget.", True),
            maxUnavailable=knob("So many pods.", 1, minimum=1),
        ),
        "terminationGracePeriodSeconds": knob(
            f"Between SIGTERM and SIGKILL. {of_grace}".strip(), grace_s, minimum=0, maximum=7200
        ),
        "env": words("More environment variables."),
        "serviceAccount": group(
            "Its service account, which has no token.",
            annotations=words("For workload identity of a cloud."),
        ),
    }


_GRACE = "0: checkpoint_grace_s of the settings and a minute."


def _worker(image: str, resources: Schema, *, slots: int, work: str = "4Gi") -> dict[str, Schema]:
    return _workload(image, resources, of_grace=_GRACE) | {
        "slots": knob("Runs or steps that one pod works on at a time.", slots, minimum=1, maximum=256),
        "threads": knob("Threads of the numerical libraries, for each slot.", 1, minimum=1),
        "workDirSize": knob("Scratch space of the attempts of one pod.", work, **_SIZE),
    }


def _pool() -> dict[str, Schema]:
    knobs = _worker("faultline-training", _resources("1", "1Gi", "4Gi"), slots=1, work="20Gi")
    return knobs | {
        "resourceClass": knob("What a slot of it is.", "cpu", enum=["cpu", "gpu"]),
        "gpuResource": knob(
            "The resource that stands for one GPU, or a part of one (nvidia.com/mig-1g.10gb); for gpu pools.",
            "nvidia.com/gpu", pattern="^[a-z0-9.-]+/[A-Za-z0-9._-]+$",
        ),
        "runtimeClassName": knob("A runtime class that exists, e.g. nvidia.", ""),
        "shmSize": knob("Shared memory for data loaders; it counts towards the memory limit.", "1Gi", **_SIZE),
        "pricePerHour": knob("Of one slot, in the currency of the budgets of campaigns.", 0.0, minimum=0),
        "lead": knob("Messages sent ahead of a free slot.", 0, minimum=0, maximum=1000),
        "autoscaling": group(
            "KEDA follows the rows of runs. KEDA must be there.",
            enabled=knob("Make the ScaledObject.", False),
            minReplicas=knob("Fewest pods; 0: none while nothing is to do.", 0, minimum=0),
            maxReplicas=knob("Most pods.", 4, minimum=1),
            pollingSeconds=knob("Between two looks.", 15, minimum=5),
            scaleIn=knob(
                "whenIdle: all pods go when nothing is to do, never a busy one. gradual: pods go one by one, a busy "
                "one makes a checkpoint first. auto: whenIdle for gpu, gradual for cpu.",
                "auto", enum=["auto", "whenIdle", "gradual"],
            ),
        ),
    }  # fmt: skip


def _partly(knobs: dict[str, Schema]) -> dict[str, Schema]:
    """The same knobs where each may be left out."""
    return {name: {**schema, "default": {} if "properties" in schema else schema["default"]}
            for name, schema in knobs.items()}  # fmt: skip


def _bundled(what: str, image: str, tag: str, storage: str, resources: Schema) -> Schema:
    return group(
        f"{what} of one pod, for evaluation: no replica, no backup.",
        enabled=knob("Run it. Off: name one of your own.", True),
        image=_image(image, tag, "Used as it is, without image.registry and image.tag."),
        storage=group(
            "Its volume.",
            size=knob("How large.", storage, **_SIZE),
            storageClassName=knob("Empty: the cluster's default.", ""),
        ),
        resources=resources,
        **_placement(),
    )


def _peers(description: str, port: int) -> Schema:
    return group(
        description,
        to=objects("Peers as a NetworkPolicy spells them; empty: any address. Not used for the bundled one."),
        port=knob("Its port.", port, **_PORT),
    )


def _labelled(description: str, **more: Schema) -> Schema:
    return group(
        description,
        enabled=knob("Make it. Its kind must be there.", False),
        labels=words("Labels that Prometheus selects by, e.g. release: kube-prometheus-stack."),
        **more,
    )


def _api() -> Schema:
    knobs = _workload(
        "faultline-api", _resources("250m", "256Mi", "512Mi"), of_grace="0: what is needed to end open requests."
    )
    return group(
        "The API.",
        **knobs,
        preStopSeconds=knob("Still served after the pod left the Service, for proxies to notice.", 5, minimum=0),
        gracefulShutdownSeconds=knob("For requests that are open when it ends.", 5, minimum=1),
        forwardedAllowIps=knob(
            "Addresses of proxies whose X-Forwarded-For is believed; without, their clients share one rate.", ""
        ),
        service=group(
            "How it is reached in the cluster.",
            type=knob("Its type.", "ClusterIP", enum=["ClusterIP", "NodePort", "LoadBalancer"]),
            port=knob("Its port.", 80, **_PORT),
            annotations=words("Annotations of the Service."),
        ),
        autoscaling=group(
            "More pods while the API is busy.",
            enabled=knob("Make the HorizontalPodAutoscaler.", False),
            minReplicas=knob("Fewest pods.", 2, minimum=1),
            maxReplicas=knob("Most pods.", 6, minimum=1),
            cpuPercent=knob("Of the requested CPU that is aimed at.", 70, minimum=1, maximum=100),
        ),
        ingress=group(
            "How it is reached from outside.",
            enabled=knob("Make the Ingress.", False),
            className=knob("An ingress class that exists; empty: the default one.", ""),
            host=knob("The name that it answers to.", ""),
            tlsSecret=knob("A Secret with the certificate (kubernetes.io/tls); empty: no TLS.", ""),
            annotations=words("For the ingress controller, e.g. long read time-outs for event streams."),
            paths=knob("What is let in.", ["/v1"], items={"type": "string", "pattern": "^/"}),
        ),
    )  # fmt: skip


def _training() -> Schema:
    base = _pool()
    pools: Schema = {
        "training-cpu": {},
        "analysis": {"resources": {"requests": {"cpu": "250m", "memory": "768Mi"}, "limits": {"memory": "2Gi"}}},
    }
    return group(
        "Workers that train and evaluate, in pools.",
        base=group("What every pool is, where the pool says nothing else.", **base),
        pools=knob(
            "Name, which is also the name of its queue -> what differs from base. training-cpu and analysis take the "
            "runs that name no pool. Null takes one away.",
            pools,
            propertyNames={"pattern": "^[a-z0-9][a-z0-9-]{0,29}$", "not": {"enum": ["generation", "hpo"]}},
            additionalProperties={
                "type": ["object", "null"],
                "additionalProperties": False,
                "properties": _partly(base),
            },
        ),
    )


def _services() -> dict[str, Schema]:
    loop = _resources("100m", "192Mi", "384Mi")
    return {
        "api": _api(),
        "dispatcher": group("Sends queued runs and steps.", **_workload("faultline-api", loop, grace_s=30)),
        "reconciler": group("Takes back what was lost.", **_workload("faultline-api", loop, grace_s=30)),
        "generation": group(
            "Workers that import and generate datasets.",
            **_worker("faultline-generation", _resources("500m", "768Mi", "3Gi"), slots=1, work="20Gi"),
        ),
        "hpo": group(
            "The coordinator of campaigns.",
            **_worker("faultline-hpo", _resources("250m", "512Mi", "1Gi"), slots=1),
        ),
        "notifier": group(
            "Tells what happened.",
            **_worker("faultline-notifier", _resources("100m", "384Mi", "768Mi"), slots=2, work="1Gi"),
            smtp=group(
                "The password of settings.smtp_user.",
                existingSecret=knob("A Secret that holds it.", ""),
                passwordKey=knob("Its key in the Secret.", "smtp-password"),
            ),
        ),
        "training": _training(),
    }


def _stores() -> dict[str, Schema]:
    return {
        "database": group(
            "Postgres, which holds the truth.",
            existingSecret=knob("A Secret with the address of yours.", ""),
            urlKey=knob("Its key for postgresql://user:password@host/name.", "url"),
            directUrlKey=knob("Its key for the address past a pooler, if there is a pooler.", ""),
            sslMode=knob(
                "How the server is checked; disable for the bundled one.", "prefer",
                enum=["disable", "prefer", "require", "verify-ca", "verify-full"],
            ),
            bundled=_bundled(
                "Postgres", "docker.io/library/postgres", "18.6", "10Gi", _resources("250m", "256Mi", "1Gi")
            ),
        ),
        "broker": group(
            "Valkey or Redis, which carries messages.",
            existingSecret=knob("A Secret with the address of yours.", ""),
            urlKey=knob("Its key for rediss://:password@host:6379/0?ssl_cert_reqs=required.", "url"),
            mirrorResults=knob("Show progress and results in Celery's result backend too.", True),
            bundled=_bundled("Valkey", "docker.io/valkey/valkey", "9.1.4", "1Gi", _resources("100m", "64Mi", "512Mi")),
        ),
        "store": group(
            "An S3 store, which holds files.",
            url=knob("s3://bucket/prefix of yours.", "", pattern="^(s3://.+)?$"),
            endpoint=knob("https://host; empty: that of AWS.", ""),
            publicEndpoint=knob("For links handed to clients, where they know the store by another address.", ""),
            region=knob("Its region.", ""),
            pathStyle=knob("Bucket in the path, not in the host name.", True),
            allowHttp=knob("Without TLS keys and files can be read on the way.", False),
            existingSecret=knob("A Secret with its keys; empty: workload identity.", ""),
            accessKeyIdKey=knob("Its key for the access key.", "access-key-id"),
            secretAccessKeyKey=knob("Its key for the secret key.", "secret-access-key"),
            bundled=_bundled(
                "SeaweedFS", "docker.io/chrislusf/seaweedfs", "4.48", "20Gi", _resources("100m", "256Mi", "1Gi")
            ),
        ),
    }  # fmt: skip


def _around() -> dict[str, Schema]:
    return {
        "networkPolicy": group(
            "Who may talk to whom. All that is not named is refused.",
            enabled=knob("Make the policies.", True),
            apiFrom=objects("Who may reach the API, e.g. the ingress controller; empty: anybody."),
            metricsFrom=objects("Who may read metrics; empty: nobody."),
            kedaFrom=objects("Who may ask the bundled Postgres for scaling; needed with autoscaling of pools."),
            database=_peers("Your Postgres.", 5432),
            broker=_peers("Your Valkey or Redis.", 6379),
            store=_peers("Your S3 store.", 443),
            notices=objects("More places that notices go to, besides public addresses."),
        ),
        "monitoring": group(
            "For the Prometheus operator.",
            interval=knob("Between two scrapes.", "30s", pattern="^[0-9]+(ms|s|m)$"),
            serviceMonitor=_labelled("Of the API."),
            podMonitor=_labelled("Of everything else."),
            rules=_labelled("Alerts.", runbookUrl=knob("Before the name of an alert, in its runbook_url.", "")),
        ),
    }


def chart() -> Schema:
    """The schema of all values."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Values of faultline"} | group(
        "Faultline on Kubernetes.",
        production=knob("Refuse what is for evaluation only: bundled engines, made secrets, images by tag.", False),
        nameOverride=knob("Instead of faultline, in labels.", "", maxLength=63),
        fullnameOverride=knob("Instead of the release's name, in names.", "", maxLength=40),
        commonLabels=words("Labels of every object."),
        publicUrl=knob("How clients reach the API, for links; empty: made from the Ingress, if there is one.", ""),
        image=group(
            "Where images come from.",
            registry=knob("Before every image of Faultline's own, e.g. registry.example.org/faultline.", ""),
            tag=_tag("Empty: the version of the chart's app.", ""),
            pullPolicy=knob("When a node fetches it.", "IfNotPresent", enum=["IfNotPresent", "Always", "Never"]),
            pullSecrets=knob("Names of Secrets for the registry.", [], items={"type": "string"}),
        ),
        settings=knob(
            "Settings of every process by their names in shared/settings.py, e.g. checkpoint_grace_s: 60.", {},
            propertyNames={"enum": SETTINGS},
        ),
        caBundle=group(
            "Certificates of authorities that are believed, instead of those in the images.",
            existingSecret=knob("A Secret that holds them.", ""),
            key=knob("Its key, in PEM.", "ca.crt"),
        ),
        secrets=group(
            "Keys that sign tickets and seal secrets of channels.",
            existingSecret=knob("A Secret with lists of keys in JSON, each of 32 signs or more; empty: made once.", ""),
            secretKeysKey=knob("Its key for FAULTLINE_SECRET_KEYS.", "secret-keys"),
            sealKeysKey=knob("Its key for FAULTLINE_SEAL_KEYS.", "seal-keys"),
        ),
        admin=group(
            "The first API key, of an operator.",
            existingSecret=knob("A Secret that holds it, 24 signs or more; empty: made once.", ""),
            key=knob("Its key in the Secret.", "api-key"),
            project=knob("The project that it opens.", "default", minLength=1),
        ),
        migrations=group(
            "Brings the database to this release's schema, before anything else starts.",
            hook=knob(
                "Run as a Helm hook, so that a failed migration stops an upgrade before any pod; only with a database "
                "and Secrets that are there before.", False,
            ),
            waitSeconds=knob("Pods wait so long for it.", 600, minimum=10),
            resources=_resources("100m", "192Mi", "512Mi"),
        ),
        **_stores(),
        **_services(),
        **_around(),
    )  # fmt: skip
