"""The manifests are what Kubernetes accepts, what Pod Security calls restricted, and what the services need.

Nothing here asks a cluster: the schemas are those of the package kubernetes-validate.

Task: T-059 · Spec: plan.md#kubernetes
"""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values
from kubernetes_validate import ValidationError, validate  # type: ignore[import-untyped]  # it has no types
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import SecretStr
from todo_gateway.settings import GatewaySettings
from todo_service.metrics import HttpMetrics
from todo_service.settings import SECRETS_DIR, load
from todo_tasks.settings import DatabaseSettings, TasksSettings

FOLDER = Path(__file__).parents[1]
VERSIONS = ("1.31", "1.37")
"""The oldest that has every field used here turned on, and the newest that there are schemas for."""
SERVICES: Mapping[str, type[GatewaySettings] | type[TasksSettings]] = {
    "gateway": GatewaySettings,
    "tasks": TasksSettings,
}
SECRETS = {
    "gateway": {"identity_secret": "0123456789abcdef0123456789abcdef"},
    "tasks": {
        "identity_secret": "0123456789abcdef0123456789abcdef",
        "database_url": "postgresql://todo:secret@ep-x-pooler.example.com/todo?sslmode=require",
    },
    "migrate": {"database_url": "postgresql://todo:secret@ep-x.example.com/todo?sslmode=require"},
}
"""The files that docs/kubernetes.md has made of each Secret."""
ENDING_S = 5
"""What a service may take to end after its drain (`todo_service.server`)."""

Manifest = dict[str, Any]


def documents(text: str) -> list[Manifest]:
    """The manifests in a stream of YAML."""
    return [document for document in yaml.safe_load_all(text) if document]


def written() -> Iterator[Manifest]:
    """The manifests as they stand in the folder, in the kustomization's order."""
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    for name in kustomization["resources"]:
        yield from documents((FOLDER / name).read_text())


MANIFESTS = list(written())


def of(kind: str) -> dict[str, Manifest]:
    """The manifests of a kind, by name."""
    return {manifest["metadata"]["name"]: manifest for manifest in MANIFESTS if manifest["kind"] == kind}


def pods() -> dict[str, Manifest]:
    """The specifications of all pods, by what makes them."""
    return {
        name: manifest["spec"]["template"]["spec"]
        for kind in ("Deployment", "Job")
        for name, manifest in of(kind).items()
    }


def environment(name: str) -> dict[str, str | None]:
    """What a service's ConfigMap says."""
    return dotenv_values(FOLDER / f"{name}.env")


def rendered() -> list[Manifest]:
    """What `kubectl apply -k` would send; without kubectl the test is skipped."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not on PATH: what kustomize makes of the manifests is not looked at")
    made = subprocess.run([kubectl, "kustomize", str(FOLDER)], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return documents(made.stdout)


def test_every_file_of_the_folder_is_applied_or_named_as_another_programs() -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    others = {"kustomization.yaml", "prometheus-adapter.yaml"}
    assert {file.name for file in FOLDER.glob("*.yaml")} == {*kustomization["resources"], *others}


def test_the_images_are_of_the_version_in_the_sources() -> None:
    [version] = re.findall(
        r'^VERSION = "(.+)"$', (FOLDER.parents[1] / "libs" / "version.py").read_text(), re.M
    )
    images = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["images"]
    assert {image["name"]: image["newTag"] for image in images} == {
        f"todo-{name}": version for name in SERVICES
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_one_to_the_schemas_of_kubernetes(version: str) -> None:
    for manifest in MANIFESTS:
        validate(manifest, version, strict=True)


def test_the_schemas_notice_a_field_that_does_not_exist() -> None:
    wrong = yaml.safe_load(yaml.safe_dump(of("Deployment")["gateway"]))
    wrong["spec"]["template"]["spec"]["containers"][0]["readyProbe"] = {}
    with pytest.raises(ValidationError):
        validate(wrong, VERSIONS[-1], strict=True)


def test_what_kustomize_makes_of_them_is_valid_too_and_every_reference_is_met() -> None:
    manifests = rendered()
    assert len(manifests) == len(MANIFESTS) + len(SERVICES)  # and the generated ConfigMaps
    for manifest in manifests:
        if manifest["kind"] in ("ConfigMap", "Deployment", "Job"):  # what kustomize makes or changes
            validate(manifest, VERSIONS[-1], strict=True)
    configured = {each["metadata"]["name"] for each in manifests if each["kind"] == "ConfigMap"}
    templates = [each["spec"]["template"] for each in manifests if each["kind"] in ("Deployment", "Job")]
    containers = [container for template in templates for container in template["spec"]["containers"]]
    named = {source["configMapRef"]["name"] for each in containers for source in each.get("envFrom", [])}
    assert named == configured and len(named) == len(SERVICES)
    assert all(re.fullmatch(r"\S+/todo-(gateway|tasks):\d\S*", each["image"]) for each in containers)


@pytest.mark.parametrize("name", pods())
def test_every_pod_keeps_to_the_restricted_standard_and_more(name: str) -> None:
    """The fields are those of the Pod Security Standards, level restricted, on top of baseline."""
    pod = pods()[name]
    assert of("Namespace")["todo"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostAliases"} & set(pod)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert {kind for volume in pod["volumes"] for kind in volume if kind != "name"} <= {"secret", "emptyDir"}
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
        assert set(context) == {"allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem"}
        assert not any("hostPort" in port for port in container.get("ports", []))
        assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"]


@pytest.mark.parametrize("name", SERVICES)
def test_the_services_start_with_what_the_manifests_give_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in environment(name).items():
        assert key.lower() in SERVICES[name].model_fields, key
        monkeypatch.setenv(key, value or "")
    for key, value in SECRETS[name].items():
        (tmp_path / key).write_text(value + "\n")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    fields = load(SERVICES[name]).model_dump()
    container = pods()[name]["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": fields[f"{name}_port"], "metrics": fields[f"{name}_metrics_port"]}
    assert fields[f"{name}_host"] == fields[f"{name}_metrics_host"] == "0.0.0.0"
    template = of("Deployment")[name]["spec"]["template"]
    assert template["metadata"]["annotations"]["prometheus.io/port"] == str(ports["metrics"])
    assert container["args"] == ["serve"]


def test_the_migration_starts_with_its_secret_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in SECRETS["migrate"].items():
        (tmp_path / key).write_text(value)
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    for variable in pods()["migrate"]["containers"][0]["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    assert load(DatabaseSettings).env == "production"


@pytest.mark.parametrize("name", pods())
def test_each_pod_gets_its_own_secret_as_files_where_the_services_look_for_them(name: str) -> None:
    pod = pods()[name]
    secret, *_ = [volume["secret"] for volume in pod["volumes"] if volume["name"] == "secrets"]
    mounts = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert secret["secretName"] == name
    assert mounts["secrets"] == {"name": "secrets", "mountPath": str(SECRETS_DIR), "readOnly": True}
    # Others may not read it, and the process may: its group is the volume's.
    assert secret["defaultMode"] == 0o440
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]


def test_no_secret_stands_in_the_folder() -> None:
    assert of("Secret") == {}
    secret = {
        field.upper()
        for model in SERVICES.values()
        for field, about in model.model_fields.items()
        if SecretStr.__name__ in repr(about.annotation)
    } | {"IDENTITY_SECRET"}
    assert {"DATABASE_URL", "REDIS_URL", "BETTER_AUTH_SECRET"} <= secret
    assert secret & {key for name in SERVICES for key in environment(name)} == set()


@pytest.mark.parametrize("name", SERVICES)
def test_a_pod_that_ends_is_given_the_time_that_its_drain_takes(name: str) -> None:
    pod, given = pods()[name], environment(name)
    delay, timeout = float(given["DRAIN_DELAY"] or 0), float(given["DRAIN_TIMEOUT"] or 0)
    assert pod["terminationGracePeriodSeconds"] >= delay + timeout + ENDING_S
    container = pod["containers"][0]
    ready = container["readinessProbe"]
    assert delay >= 2 * ready["periodSeconds"] * ready["failureThreshold"]
    asked = {
        kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")
    }
    assert asked == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_its_door_its_budget_and_its_autoscaler(name: str) -> None:
    deployment = of("Deployment")[name]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selector = {"app.kubernetes.io/name": name}
    assert selector.items() <= labels.items()
    assert deployment["spec"]["selector"] == of("PodDisruptionBudget")[name]["spec"]["selector"]
    assert of("Service")[name]["spec"]["selector"] == selector
    scaler = of("HorizontalPodAutoscaler")[name]["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    assert "replicas" not in deployment["spec"]
    # Two pods, of which a drained node may take one, and a new version takes none.
    assert scaler["minReplicas"] >= 2
    assert of("PodDisruptionBudget")[name]["spec"]["maxUnavailable"] == 1
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_the_autoscalers_go_by_a_metric_that_the_services_really_have() -> None:
    [rule] = yaml.safe_load((FOLDER / "prometheus-adapter.yaml").read_text())["rules"]["custom"]
    [series] = re.findall(r"^\w+", rule["seriesQuery"])
    registry = CollectorRegistry()
    HttpMetrics(registry).ended("GET", "/api/tasks", 200, 0.01)
    assert re.search(rf"^{series}\{{", generate_latest(registry).decode(), re.MULTILINE)
    for scaler in of("HorizontalPodAutoscaler").values():
        [metric] = scaler["spec"]["metrics"]
        assert metric["type"] == "Pods"
        assert metric["pods"]["metric"]["name"] == rule["name"]["as"]


def policies() -> Mapping[str, Manifest]:
    return {name: manifest["spec"] for name, manifest in of("NetworkPolicy").items()}


def test_nothing_flows_but_what_a_policy_names() -> None:
    deny = policies()["default-deny"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, policy in policies().items():
        for rule in [*policy.get("ingress", []), *policy.get("egress", [])]:
            assert rule.get("from") or rule.get("to"), f"{name}: a rule without a peer lets everybody in"
            assert rule["ports"], f"{name}: a rule without ports opens all of them"


def test_the_tasks_service_is_reached_by_the_gateway_and_the_monitoring_alone() -> None:
    gateway = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "gateway"}}}
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    allowed = [
        (rule["from"], [port["port"] for port in rule["ports"]]) for rule in policies()["tasks"]["ingress"]
    ]
    assert allowed == [([gateway], [8001]), ([monitoring], [9001])]
    assert "ingress" not in policies()["migrate"]
    out = [port["port"] for rule in policies()["tasks"]["egress"] for port in rule["ports"]]
    assert out == [5432]
    [ingress] = of("Ingress").values()
    paths = [path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
    assert {path["backend"]["service"]["name"] for path in paths} == {"gateway"}
