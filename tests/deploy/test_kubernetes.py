"""The manifests fit Kubernetes' schemas, KEDA's rules, the app's settings, the memory formula and each other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from storage.pipeline import messages
from storage.settings import DEFAULTS, SETTINGS, Settings
from tests.deploy.test_container import environment, instructions

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
DOCUMENT = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
HOST: dict[str, Any] = json.loads((ROOT / "host.json").read_text())
OLDEST, NEWEST = "1.31", "1.37"
MIB = 1024 * 1024

# From KEDA's documentation (2.17: ScaledObject spec, azure-queue scaler, workload identity). KEDA's schema accepts any
# metadata, so only a cluster would find a misspelt name.
AZURE_QUEUE = {
    "type": "object",
    "required": ["type", "metadata", "authenticationRef"],
    "additionalProperties": False,
    "properties": {
        "type": {"const": "azure-queue"},
        "metadata": {
            "type": "object",
            "required": ["accountName", "queueName"],
            "additionalProperties": False,
            "properties": {
                "accountName": {"type": "string", "pattern": "^[a-z0-9]{3,24}$"},
                "queueName": {"type": "string", "pattern": "^[a-z0-9](-?[a-z0-9])+$", "maxLength": 63},
                "queueLength": {"type": "string", "pattern": "^[1-9][0-9]*$"},
                "queueLengthStrategy": {"enum": ["all", "visibleonly"]},
            },
        },
        "authenticationRef": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    },
}
SCALED_OBJECT = {
    "type": "object",
    "required": ["scaleTargetRef", "triggers"],
    "additionalProperties": False,
    "properties": {
        "scaleTargetRef": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        "minReplicaCount": {"type": "integer", "minimum": 0},
        "maxReplicaCount": {"type": "integer", "minimum": 1},
        "pollingInterval": {"type": "integer", "minimum": 1},
        "triggers": {"type": "array", "minItems": 1, "items": AZURE_QUEUE},
    },
}

# Settings of the Functions host and its worker.
IDENTITY = ("blobServiceUri", "queueServiceUri", "tableServiceUri", "credential")
HOSTS_OWN = {"AzureFunctionsWebHost__hostid", "PYTHON_THREADPOOL_THREAD_COUNT"} | {
    f"AzureWebJobsStorage__{name}" for name in IDENTITY
}
SOURCES = tuple(path.name for path in sorted(FOLDER.glob("*.yaml")) if path.name != "kustomization.yaml")


def resources() -> list[dict[str, Any]]:
    return [each for name in SOURCES for each in yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8"))]


def the(kind: str) -> dict[str, Any]:
    (found,) = [each for each in resources() if each["kind"] == kind]
    return found


def container() -> dict[str, Any]:
    (found,) = the("Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def settings() -> dict[str, str]:
    data = the("ConfigMap")["data"]
    assert isinstance(data, dict)
    return data


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("kind", ["Namespace", "ServiceAccount", "ConfigMap", "Deployment"])
def test_kubernetes_accepts_every_field(kind: str, version: str) -> None:
    kubernetes_validate.validate(the(kind), version, strict=True)


def test_the_schemas_find_mistakes() -> None:
    wrong = the("Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, NEWEST, strict=True)


def test_keda_accepts_its_objects() -> None:
    jsonschema.validate(the("ScaledObject")["spec"], SCALED_OBJECT)
    assert the("ScaledObject")["apiVersion"] == the("TriggerAuthentication")["apiVersion"] == "keda.sh/v1alpha1"
    assert the("TriggerAuthentication")["spec"] == {"podIdentity": {"provider": "azure-workload"}}


def test_one_kustomization_applies_everything_in_one_namespace() -> None:
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    assert sorted(kustomization["resources"]) == sorted(SOURCES)
    named = {each["metadata"].get("namespace", each["metadata"]["name"]) for each in resources()}
    assert named == {kustomization["namespace"]}


def test_the_objects_refer_to_each_other() -> None:
    deployment = the("Deployment")
    pod = deployment["spec"]["template"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert pod["spec"]["serviceAccountName"] == the("ServiceAccount")["metadata"]["name"]
    assert pod["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert "azure.workload.identity/client-id" in the("ServiceAccount")["metadata"]["annotations"]
    assert container()["envFrom"] == [{"configMapRef": {"name": the("ConfigMap")["metadata"]["name"]}}]
    scaling = the("ScaledObject")["spec"]
    assert scaling["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    authentication = the("TriggerAuthentication")["metadata"]["name"]
    assert {trigger["authenticationRef"]["name"] for trigger in scaling["triggers"]} == {authentication}
    assert "replicas" not in deployment["spec"], "an apply would undo what KEDA has decided"


def test_every_setting_is_read_by_the_app_or_by_the_host() -> None:
    declared = {each.name for each in SETTINGS} | {f"ImageStorage__{part}" for part in IDENTITY}
    assert settings().keys() - declared - HOSTS_OWN == set()


def test_the_settings_are_valid_and_select_polling() -> None:
    read = Settings.from_environ(settings())
    assert read.blob_trigger_source == "LogsAndContainerScan", "the cluster has no public endpoint for a webhook"
    assert read.image_storage.connection_string is None
    assert read.decode_budget_mib == int(settings()["DECODE_BUDGET_MIB"])
    stated = {name: value for name, value in settings().items() if name in DEFAULTS and name != "MAX_IMAGE_PIXELS"}
    assert stated.items() <= DEFAULTS.items()


def test_keda_measures_the_queues_that_the_app_reads() -> None:
    uploads, asked_for = the("ScaledObject")["spec"]["triggers"]
    host_id = settings()["AzureFunctionsWebHost__hostid"]
    assert re.fullmatch(r"[a-z0-9-]{1,32}", host_id), "the host would cut or change it"
    assert uploads["metadata"]["queueName"] == f"azure-webjobs-blobtrigger-{host_id}"
    assert asked_for["metadata"]["queueName"] == messages.QUEUE
    for trigger, connection in ((uploads, "AzureWebJobsStorage"), (asked_for, "ImageStorage")):
        account = trigger["metadata"]["accountName"]
        assert settings()[f"{connection}__queueServiceUri"] == f"https://{account}.queue.core.windows.net"


def test_it_never_scales_to_zero() -> None:
    assert the("ScaledObject")["spec"]["minReplicaCount"] == 1


def test_the_probes_use_the_port_of_the_host() -> None:
    (port,) = container()["ports"]
    assert [str(port["containerPort"])] == instructions("EXPOSE")
    for probe in ("startupProbe", "livenessProbe"):
        assert container()[probe]["httpGet"] == {"path": "/admin/host/ping", "port": port["name"]}


def test_it_runs_as_the_user_of_the_image_without_capabilities() -> None:
    pod, own = the("Deployment")["spec"]["template"]["spec"]["securityContext"], container()["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert [f"{pod['runAsUser']}:{pod['runAsGroup']}"] == instructions("USER")
    assert own == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert "command" not in container(), "the image's own start script starts the host"
    assert environment()["AzureWebJobsScriptRoot"] == "/home/site/wwwroot"


def stated(text: str) -> int:
    """Return a number that the document states."""
    found = re.search(text, DOCUMENT)
    assert found, f"docs/kubernetes.md does not say {text}"
    return int(found[1])


def test_the_memory_limit_fits_the_documented_formula() -> None:
    """Peak = host + process + the larger of the whole budget, and an eighth of it plus the most expensive image."""
    resources = container()["resources"]
    assert resources["limits"]["memory"] == resources["requests"]["memory"] == "2Gi"
    host, process = stated(r"Functions host, (\d+) MiB"), stated(r"app's process, (\d+) MiB")
    budget = int(settings()["DECODE_BUDGET_MIB"])
    dearest_bytes_per_pixel = 24  # JPEG 2000 with alpha, docs/images.md
    dearest = int(settings()["MAX_IMAGE_PIXELS"]) * dearest_bytes_per_pixel / MIB
    peak = host + process + max(budget, budget / 8 + dearest)
    assert peak <= 2048
    assert budget == stated(r"DECODE_BUDGET_MIB`, (\d+) MiB")


def test_the_thread_pool_has_a_thread_per_concurrent_blob() -> None:
    assert settings()["PYTHON_THREADPOOL_THREAD_COUNT"] == str(HOST["extensions"]["blobs"]["maxDegreeOfParallelism"])


def test_the_comment_on_the_second_queue_is_true() -> None:
    remark = (FOLDER / "scaling.yaml").read_text()
    assert f"up to {messages.MAX_BLOBS} images in a message" in remark
    assert the("ScaledObject")["spec"]["triggers"][1]["metadata"]["queueLength"] == str(
        HOST["extensions"]["queues"]["batchSize"]
    )
