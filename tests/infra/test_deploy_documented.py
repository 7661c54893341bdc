"""docs/deploy.md names every choice, and its commands work with the provisioned resources."""

from __future__ import annotations

import json
import re
from typing import Any

from storage.connection import read_connection
from storage.settings import Settings
from tests.infra.bicep import INFRA, ROOT, evaluate, read

GUIDE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
MAIN = read(INFRA / "main.bicep")
PARAMETERS: dict[str, Any] = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
CHOICES = {re.findall(r"\w+", each["value"])[0]: name for name, each in PARAMETERS.items()}


def test_the_guide_lists_exactly_the_existing_choices() -> None:
    by_azd = {"AZURE_ENV_NAME", "AZURE_LOCATION", "AZURE_PRINCIPAL_ID"}
    table = GUIDE.partition("## Choices")[2].partition("###")[0]
    listed = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert listed == CHOICES.keys() - by_azd
    assert set(re.findall(r"azd env set (\w+)", GUIDE)) - {"NAME"} <= listed


def test_the_guide_states_the_defaults() -> None:
    table = GUIDE.partition("## Choices")[2].partition("###")[0]
    for name in ("MODEL_DIR", "MAXIMUM_INSTANCE_COUNT", "INSTANCE_MEMORY_MB", "ALWAYS_READY_INSTANCES"):
        assert f"| `{name}` | `{MAIN.params[CHOICES[name]]}` |" in table


def test_the_tools_can_use_the_values_of_azd() -> None:
    """``azd env get-values`` prints the outputs of main.bicep under their own names."""
    known = MAIN.params | {
        "imageContents.outputs.blobUri": "https://a.blob.core.windows.net/",
        "imageContents.outputs.queueUri": "https://a.queue.core.windows.net/",
        "imageContents.outputs.tableUri": "https://a.table.core.windows.net/",
        "hostStorage.outputs.accountName": "sthost",
    }
    printed = {name: str(evaluate(each, known)) for name, each in MAIN.outputs.items()}
    settings = Settings.from_environ(printed)
    assert settings.image_storage.table_uri == "https://a.table.core.windows.net"
    assert not settings.image_storage.managed_identity  # a person's own login
    assert settings.blob_trigger_source == "EventGrid"
    assert read_connection(printed, "AzureWebJobsStorage").queue_uri == "https://sthost.queue.core.windows.net"


def test_the_guide_lists_the_resources_that_remain() -> None:
    remaining = GUIDE.partition("These resources remain")[2]
    contents = read(INFRA / "images" / "contents.bicep")
    names = {evaluate(each.body["name"], MAIN.params | MAIN.variables) for each in contents.resources.values()}
    kept = {name for name in names if f"`{name}`" in remaining}
    without_queue = {""}  # NOTIFY_QUEUE is empty by default
    assert kept == names - without_queue - {
        *("default", "accountName", "incoming", "classifications", "classificationsindex"),
    }
    assert "`NOTIFY_QUEUE`" in remaining


def test_the_guide_has_the_headings_that_the_scripts_name() -> None:
    for script in sorted((INFRA / "hooks").iterdir()):
        for heading in re.findall(r'docs/deploy\.md lists under [\\`]*"(.+?)[\\`]*"', script.read_text()):
            assert f"## {heading}\n" in GUIDE
    assert '"Delete the deployment' in (INFRA / "hooks" / "spare.sh").read_text().replace("\\", "")
