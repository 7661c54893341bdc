"""Checks of a compiler on the Bicep files, as far as a parse tree allows: no errors, no undeclared or unused names."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.infra.bicep import FILES, INFRA, leaves, read, text, walk

if TYPE_CHECKING:
    from pathlib import Path

    import tree_sitter

MAIN = read(INFRA / "main.bicep")
MODULES = [(file, module) for file in map(read, FILES) for module in file.modules.values()]
PARAMETERS: dict[str, Any] = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]

# Bicep's functions and namespaces that these files use.
FUNCTIONS = {
    *(
        "description",
        "minLength",
        "maxLength",
        "minValue",
        "maxValue",
        "allowed",
        "metadata",
        "empty",
        "split",
        "replace",
    ),
    *("resourceGroup", "subscription", "subscriptionResourceId", "environment", "guid", "uniqueString", "toLower"),
    *("string", "union", "loadTextContent"),
}
# Public templates use each with the same properties (November 2026); only a deployment would reveal a wrong one.
API_VERSIONS = {
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.EventGrid/systemTopics": "2025-02-15",
    "Microsoft.Insights/actionGroups": "2023-01-01",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.Insights/metricAlerts": "2018-03-01",
    "Microsoft.Insights/scheduledQueryRules": "2023-12-01",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "2023-01-31",
    "Microsoft.Network/privateDnsZones": "2020-06-01",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": "2020-06-01",
    "Microsoft.Network/privateEndpoints": "2024-01-01",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": "2024-01-01",
    "Microsoft.Network/virtualNetworks": "2024-01-01",
    "Microsoft.OperationalInsights/workspaces": "2023-09-01",
    "Microsoft.Resources/resourceGroups": "2024-03-01",
    "Microsoft.Storage/storageAccounts": "2023-05-01",
    "Microsoft.Storage/storageAccounts/blobServices": "2023-05-01",
    "Microsoft.Storage/storageAccounts/blobServices/containers": "2023-05-01",
    "Microsoft.Storage/storageAccounts/managementPolicies": "2023-05-01",
    "Microsoft.Storage/storageAccounts/queueServices": "2023-05-01",
    "Microsoft.Storage/storageAccounts/queueServices/queues": "2023-05-01",
    "Microsoft.Storage/storageAccounts/tableServices": "2023-05-01",
    "Microsoft.Storage/storageAccounts/tableServices/tables": "2023-05-01",
    "Microsoft.Web/serverfarms": "2024-04-01",
    "Microsoft.Web/sites": "2024-04-01",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": "2024-04-01",
    "Microsoft.Web/sites/config": "2024-04-01",
}
NESTED = {"blobServices", "containers", "subnets"}  # written inside their parent, whose version is theirs

by_name = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(INFRA)))


def symbols_used(path: Path) -> set[str]:
    """Yield every identifier that refers to a declaration, without object keys and declared names."""
    used = set()
    for node in walk(read(path).root):
        if node.type == "identifier" and not names_something(node):
            used.add(text(node))
    return used


def names_something(node: tree_sitter.Node) -> bool:
    parent = node.parent
    assert parent is not None
    others = [child for child in parent.named_children if child.type != "comment"]
    if parent.type == "object_property":
        return others[0] == node and len(others) > 1
    return parent.type.endswith("_declaration") and others[0] == node


def declared(path: Path) -> set[str]:
    file = read(path)
    loops = {
        name
        for node in walk(file.root)
        if node.type == "for_statement"
        for name in re.findall(r"for \(?(\w+)(?:, (\w+)\))? in", text(node))[0]
    }
    return {*file.params, *file.variables, *file.resources, *file.modules, *loops}


@by_name
def test_it_parses_completely(path: Path) -> None:
    faults = [node for node in walk(read(path).root) if node.type == "ERROR" or node.is_missing]
    assert [(node.start_point.row + 1, text(node)[:60]) for node in faults] == []


@by_name
def test_it_begins_with_its_purpose(path: Path) -> None:
    assert re.match(r"// [A-Z].{30,}", path.read_text(encoding="utf-8"))


@by_name
def test_every_name_is_declared(path: Path) -> None:
    assert symbols_used(path) - declared(path) - FUNCTIONS == set()


@by_name
def test_every_parameter_and_variable_is_used(path: Path) -> None:
    file = read(path)
    assert {*file.params, *file.variables} - symbols_used(path) == set()


@by_name
def test_the_api_versions_have_the_properties_used(path: Path) -> None:
    for resource in read(path).resources.values():
        if resource.type not in NESTED:
            assert API_VERSIONS[resource.type] == resource.api_version, resource.symbol


@pytest.mark.parametrize(("file", "module"), MODULES, ids=lambda each: getattr(each, "symbol", ""))
def test_a_module_gets_its_parameters(file: Any, module: Any) -> None:
    taken = read(module.path).params
    assert module.params.keys() - taken.keys() == set(), "it does not take these"
    assert {name for name, default in taken.items() if default is None} - module.params.keys() == set(), (
        "it lacks these"
    )


@by_name
def test_every_output_read_from_a_module_exists(path: Path) -> None:
    file = read(path)
    for symbol, output in re.findall(r"\b(\w+)!?\.outputs\.(\w+)", path.read_text(encoding="utf-8")):
        assert output in read(file.modules[symbol].path).outputs, f"{symbol}.outputs.{output}"


def test_main_uses_every_file() -> None:
    assert {module.path for _, module in MODULES} | {MAIN.path} == set(FILES)


def test_a_conditional_module_is_read_only_under_its_condition() -> None:
    source = MAIN.path.read_text(encoding="utf-8")
    conditional = {
        name for name, condition in re.findall(r"^module (\w+) '[^']+' = (if)?", source, re.MULTILINE) if condition
    }
    assert conditional == {"imageStorage", "network", "imageEndpoints", "hostEndpoints"}
    assert set(re.findall(r"(\w+)!\.outputs", source)) == {"network"}
    assert not re.findall(rf"\b({'|'.join(conditional)})\.outputs", source)


def test_azd_passes_the_parameters_of_main() -> None:
    assert PARAMETERS.keys() == MAIN.params.keys()
    for name, default in MAIN.params.items():
        written = re.fullmatch(r"\$\{(\w+)(?:=(.*))?\}", PARAMETERS[name]["value"])
        assert written, name
        if default not in (None, ""):
            assert written[2] == (str(default).lower() if isinstance(default, bool) else str(default)), name


def test_an_output_that_is_also_an_input_has_the_same_meaning() -> None:
    """azd writes outputs into the environment from which it reads parameters."""
    inputs = {re.findall(r"\w+", each["value"])[0]: name for name, each in PARAMETERS.items()}
    both = inputs.keys() & MAIN.outputs.keys()
    assert {MAIN.outputs[name] for name in both} == {inputs[name] for name in both}
    assert both == {
        "INCOMING_CONTAINER",
        "RESULTS_CONTAINER",
        "RESULTS_TABLE",
        "REQUESTS_QUEUE",
        "MODEL_DIR",
        "TAG_IMAGES",
        "NOTIFY_QUEUE",
        "NOTIFY_LABELS",
        "MODEL_BLOB",
    }


@by_name
def test_no_key_is_read_and_no_secret_is_passed_on(path: Path) -> None:
    file = read(path)
    called = {text(node.named_children[0]) for node in walk(file.root) if node.type == "call_expression"}
    called |= {text(node) for node in walk(file.root) if node.type == "property_identifier"}
    assert {name for name in called if re.match(r"list[A-Z]|getSecret", name)} == set()
    secret = re.compile(
        r"AccountKey|SharedAccess|sharedKey|InstrumentationKey|ConnectionString|password", re.IGNORECASE
    )
    assert [name for name, written in file.outputs.items() if secret.search(f"{name} {written}")] == []
    found = {str(leaf) for each in file.resources.values() for leaf in leaves(each.body) if secret.search(str(leaf))}
    # The address of Application Insights, which is no secret because local authentication is disabled.
    insights = {"APPLICATIONINSIGHTS_CONNECTION_STRING", "applicationInsights.properties.ConnectionString"}
    assert found - insights - {"allowSharedKeyAccess"} == set()
