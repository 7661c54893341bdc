"""The provisioned resources are those that the code needs, of the measured size, closed to other users."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest

from inference.resources import memory
from storage.pipeline import messages
from storage.settings import DEFAULTS, Settings
from storage.settings import SETTINGS as DECLARED
from tests.infra.bicep import FILES, INFRA, ROOT, Expression, Resource, evaluate, read
from tests.triggers import TRIGGERS

MAIN = read(INFRA / "main.bicep")
APP = read(INFRA / "app.bicep")
CONTENTS = read(INFRA / "images" / "contents.bicep")
SITE: dict[str, Any] = APP.resources["app"].body["properties"]
CONFIG: dict[str, Any] = SITE["functionAppConfig"]
HOST: dict[str, Any] = json.loads((ROOT / "host.json").read_text())["extensions"]
MEMORY = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")

# main.bicep's defaults as it passes them on, with placeholders for values that only Azure knows.
PASSED = {name: MAIN.params.get(str(written), written) for name, written in MAIN.modules["app"].params.items()}
KNOWN = PASSED | {
    "imageBlobUri": "https://a.blob.core.windows.net/",
    "imageQueueUri": "https://a.queue.core.windows.net/",
    "imageTableUri": "https://a.table.core.windows.net/",
    "identityClientId": "11111111-2222-3333-4444-555555555555",
}
SETTINGS = {name: evaluate(each, KNOWN) for name, each in APP.resources["settings"].body["properties"].items()}
IDENTITY = ("blobServiceUri", "queueServiceUri", "tableServiceUri", "credential", "clientId")
OF_THE_HOST = {
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "AzureFunctionsWebHost__hostid",
    "PYTHON_THREADPOOL_THREAD_COUNT",
    "ORT_DISABLE_TELEMETRY",
    *(f"AzureWebJobsStorage__{each}" for each in IDENTITY),
}
# Settings that the deployment leaves at the code's default.
LEFT_TO_THE_CODE = {
    *("MAX_IMAGE_BYTES", "MAX_IMAGE_PIXELS", "MODEL_CACHE_DIR", "MODEL_REFRESH_SECONDS"),
    *("KEEP_LOCATION", "KEEP_SCORES", "TAKEN_AT_FROM_NAME"),
}


def names_of(kind: str) -> set[str]:
    """Return the names of containers, queues or tables with main.bicep's defaults."""
    known = MAIN.params | MAIN.variables
    found = [each for each in CONTENTS.resources.values() if each.type.endswith(f"/{kind}")]
    return {evaluate(each.body["name"], known) for each in found} - {""}  # an empty name: its condition does not hold


def accounts() -> list[Resource]:
    made = [each for file in map(read, FILES) for each in file.resources.values() if not each.existing]
    return [each for each in made if each.type == "Microsoft.Storage/storageAccounts"]


def test_the_containers_queues_and_tables_are_those_of_the_code() -> None:
    settings = Settings.from_environ({name: str(each) for name, each in SETTINGS.items()})
    assert names_of("containers") == {settings.incoming_container, settings.results_container, "models", "dead-letters"}
    assert settings.requests_queue == messages.QUEUE
    assert settings.notify_queue is None
    assert (
        "resource notifications 'Microsoft.Storage/storageAccounts/queueServices/queues@2023-05-01' = if (!empty("
        in (CONTENTS.path.read_text(encoding="utf-8"))
    )
    assert names_of("queues") == {
        *(messages.QUEUE, messages.POISON_QUEUE, messages.BLOB_POISON_QUEUE, messages.REFUSED_QUEUE)
    }
    assert names_of("queues") - {messages.REFUSED_QUEUE} == {
        each["queueName"] for each in TRIGGERS.values() if "queueName" in each
    }
    assert names_of("tables") == {settings.results_table, settings.index_table}


def test_the_app_can_read_its_deployed_settings() -> None:
    settings = Settings.from_environ({name: str(each) for name, each in SETTINGS.items()})
    assert settings.blob_trigger_source == "EventGrid"
    assert settings.image_storage.managed_identity
    assert settings.image_storage.client_id == KNOWN["identityClientId"]
    assert settings.image_storage.connection_string is None
    unchanged = {name: DEFAULTS[name] for name in DEFAULTS.keys() & SETTINGS.keys() - {"BLOB_TRIGGER_SOURCE"}}
    assert {name: str(SETTINGS[name]) for name in unchanged} == unchanged


def test_the_settings_are_exactly_those_of_the_app_and_the_host() -> None:
    read_by_the_app = {each.name for each in DECLARED} - {"ImageStorage"}
    read_by_the_app |= {f"ImageStorage__{each}" for each in IDENTITY}
    assert SETTINGS.keys() - read_by_the_app == OF_THE_HOST
    assert read_by_the_app - SETTINGS.keys() == LEFT_TO_THE_CODE
    assert "FUNCTIONS_WORKER_RUNTIME" not in SETTINGS, "Flex takes it from functionAppConfig"


def test_every_connection_of_the_triggers_is_set() -> None:
    connections = {str(each["connection"]) for each in TRIGGERS.values() if "connection" in each}
    for connection in connections | {"AzureWebJobsStorage"}:
        for setting in ("blobServiceUri", "queueServiceUri", "tableServiceUri", "clientId"):
            assert SETTINGS[f"{connection}__{setting}"]
        assert SETTINGS[f"{connection}__credential"] == "managedidentity"


def test_the_plan_is_flex_consumption_with_python_3_13() -> None:
    plan = APP.resources["plan"].body
    assert (plan["sku"], plan["properties"]["reserved"]) == ({"name": "FC1", "tier": "FlexConsumption"}, True)
    assert CONFIG["runtime"] == {"name": "python", "version": "3.13"}
    assert CONFIG["deployment"]["storage"]["authentication"]["type"] == "UserAssignedIdentity"
    assert "name: 'blob'" in CONFIG["scaleAndConcurrency"]["alwaysReady"]  # azure-facts F: the group's name
    assert SITE["httpsOnly"] is True


def test_the_scale_parameters_have_the_limits_of_the_plan() -> None:
    source = MAIN.path.read_text(encoding="utf-8")
    limits = r"@minValue\(1\)\n@maxValue\(1000\)\n@description\('[^\n]+'\)\nparam maximumInstanceCount int"
    assert re.search(limits, source)
    assert re.search(r"@allowed\(\[2048, 4096\]\)\n@description\('[^\n]+'\)\nparam instanceMemoryMB int", source)
    for name in ("maximumInstanceCount", "instanceMemoryMB"):
        assert CONFIG["scaleAndConcurrency"][name] == Expression(name)


def test_an_instance_has_the_memory_of_the_formula() -> None:
    measured = re.search(r"`process` is (\d+) MiB", MEMORY)
    assert measured
    process, budget = int(measured[1]), int(SETTINGS["DECODE_BUDGET_MIB"])
    assert budget * 2**20 == 2 * memory._BYTES_PER_CPU, "more buys nothing on two CPUs, less slows them down"
    files = max(budget // 8, int(DEFAULTS["MAX_IMAGE_BYTES"]) // 2**20)
    decoding = budget * 7 // 8
    instance = PASSED["instanceMemoryMB"] * 10**6 // 2**20
    webp = math.ceil(16 * 90_000_000 / 2**20)  # docs/images.md: bytes per pixel
    peak, alone = process + files + decoding, process + files + webp
    assert alone + 128 < instance, "the host needs something too"
    source = APP.path.read_text(encoding="utf-8")
    assert f"{process} + {files} + {decoding} = {peak:,} MiB of {instance:,} MiB (2,048 MB)" in source
    assert f"{instance - peak:,} MiB are for larger models and the host" in source
    assert f"{process} + {files} + 16 bytes x 90 megapixels (WebP) = {alone:,} MiB" in source
    assert f"512 MB would leave {512 * 10**6 // 2**20 - process - files} MiB" in source


def test_there_is_a_thread_per_concurrent_blob() -> None:
    threads = int(SETTINGS["PYTHON_THREADPOOL_THREAD_COUNT"])
    assert threads == HOST["blobs"]["maxDegreeOfParallelism"]
    assert threads >= HOST["queues"]["batchSize"] + HOST["queues"]["newBatchThreshold"]
    assert "host.json allows 8" in APP.path.read_text(encoding="utf-8")


@pytest.mark.parametrize("account", accounts(), ids=lambda each: str(each.body["name"]))
def test_an_account_has_no_keys_no_public_blobs_and_tls_1_2(account: Resource) -> None:
    properties = account.body["properties"]
    assert properties["allowSharedKeyAccess"] is False
    assert properties["allowBlobPublicAccess"] is False
    assert properties["minimumTlsVersion"] == "TLS1_2"
    assert properties["supportsHttpsTrafficOnly"] is True
    assert properties["networkAcls"]["bypass"] == "AzureServices"
    assert properties["networkAcls"]["defaultAction"] == Expression("closed ? 'Deny' : 'Allow'")
    assert account.body["kind"] == "StorageV2"


def test_exactly_two_accounts_are_created() -> None:
    assert len(accounts()) == 2
    assert {each.body["properties"].get("publicAccess", "None") for each in containers()} == {"None"}


def containers() -> list[Resource]:
    files = [CONTENTS, read(INFRA / "host-storage.bicep")]
    return [each for file in files for each in file.resources.values() if each.type.endswith("/containers")]


def test_an_existing_account_keeps_its_rules() -> None:
    """Lifecycle rules and retention are one document per account; writing ours would remove the owner's."""
    assert MAIN.modules["imageStorage"].path.name == "account.bicep"
    assert "module imageStorage 'images/account.bicep' = if (empty(existingImageAccount))" in MAIN.path.read_text()
    for name in ("contents", "access", "events"):
        kept = {each.type for each in read(INFRA / "images" / f"{name}.bicep").resources.values() if not each.existing}
        assert not {each for each in kept if each.endswith(("storageAccounts", "blobServices", "managementPolicies"))}


def test_telemetry_requires_an_identity() -> None:
    monitoring = read(INFRA / "monitoring.bicep")
    assert monitoring.only("Microsoft.Insights/components").body["properties"]["DisableLocalAuth"] is True
    assert (
        SETTINGS["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"]
        == f"ClientId={KNOWN['identityClientId']};Authorization=AAD"
    )


def test_the_system_topic_belongs_to_the_image_account() -> None:
    topic = read(INFRA / "images" / "events.bicep").only("Microsoft.EventGrid/systemTopics")
    assert topic.body["properties"] == {"source": "account.id", "topicType": "Microsoft.Storage.StorageAccounts"}
    assert topic.body["identity"] == {"type": "SystemAssigned"}
    assert MAIN.modules["imageEvents"].body["scope"] == MAIN.modules["imageContents"].body["scope"]


def test_a_private_network_reaches_every_service_of_both_accounts() -> None:
    endpoints = read(INFRA / "private-endpoints.bicep")
    services = endpoints.variables["services"]
    zones = read(INFRA / "network.bicep").variables["zoneNames"]
    assert services == ["blob", "queue", "table"]
    assert [
        re.findall(r"privatelink\.(\w+)\.\$\{environment\(\)\.suffixes\.storage\}", zone)[0] for zone in zones
    ] == services
    network = read(INFRA / "network.bicep").resources["network"].body["properties"]
    assert (
        network["subnets"][0]["properties"]["delegations"][0]["properties"]["serviceName"]
        == "Microsoft.App/environments"
    )
