"""Role assignments: exactly the roles listed here, at exactly these scopes."""

from __future__ import annotations

import re

import pytest

from tests.infra.bicep import FILES, INFRA, Resource, read

# From Microsoft's functions-blob-permissions and functions-azurewebjobsstorage-permissions; the readers and Blob Data
# Contributor from its list of built-in roles (role-based-access-control/built-in-roles/storage).
ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "19e7f393-937e-4f77-808e-94535e297925": "Storage Queue Data Reader",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
}
# (file, principal, scope): roles
EXPECTED = {
    ("images/access.bicep", "appPrincipalId", "account"): {
        "Storage Blob Data Owner",
        "Storage Queue Data Contributor",
        "Storage Table Data Contributor",
    },
    ("images/access.bicep", "userPrincipalId", "account"): {
        "Storage Blob Data Contributor",
        "Storage Blob Data Owner",  # with tagImages only
        "Storage Queue Data Contributor",
        "Storage Table Data Contributor",
    },
    ("images/events.bicep", "topic.identity.principalId", "account::blobs::deadLetters"): {
        "Storage Blob Data Contributor"
    },
    ("host-storage.bicep", "appPrincipalId", "account"): {
        "Storage Blob Data Owner",
        "Storage Queue Data Contributor",
        "Storage Table Data Contributor",
    },
    ("host-storage.bicep", "userPrincipalId", "account"): {"Storage Blob Data Reader", "Storage Queue Data Reader"},
    ("monitoring.bicep", "appPrincipalId", "applicationInsights"): {"Monitoring Metrics Publisher"},
}
ASSIGNED = [
    (str(path.relative_to(INFRA)), each)
    for path in FILES
    for each in read(path).resources.values()
    if each.type == "Microsoft.Authorization/roleAssignments"
]
each_one = pytest.mark.parametrize(("file", "assigned"), ASSIGNED, ids=lambda each: getattr(each, "symbol", each))


def role(assigned: Resource) -> str:
    written = assigned.body["properties"]["roleDefinitionId"]
    found = re.fullmatch(
        r"subscriptionResourceId\('Microsoft.Authorization/roleDefinitions', '([0-9a-f-]{36})'\)", written
    )
    assert found, "a role's id is written out where it is given"
    return found[1]


def test_each_identity_has_exactly_the_roles_it_needs() -> None:
    found: dict[tuple[str, str, str], set[str]] = {}
    for file, assigned in ASSIGNED:
        who = str(assigned.body["properties"]["principalId"])
        found.setdefault((file, who, str(assigned.body["scope"])), set()).add(ROLES[role(assigned)])
    assert found == EXPECTED


def test_a_person_owns_blobs_only_where_images_are_tagged() -> None:
    source = (INFRA / "images" / "access.bicep").read_text(encoding="utf-8")
    (owner,) = (line for line in source.splitlines() if line.startswith("resource userTags "))
    assert owner.endswith("= if (!empty(userPrincipalId) && tagImages == 'yes') {")
    main = read(INFRA / "main.bicep")
    assert main.params["tagImages"] == "no"
    assert str(main.modules["imageAccess"].params["tagImages"]) == "tagImages"


@each_one
def test_its_comment_names_the_role_and_the_reason(file: str, assigned: Resource) -> None:
    name = ROLES[role(assigned)]
    assert re.match(rf"{name}(:|, on this container:) \S.{{20,}}", assigned.comment)


@each_one
def test_its_name_is_unique(file: str, assigned: Resource) -> None:
    """A name is a hash. With the wrong inputs two assignments collide, or a second deployment fails."""
    assert f"'{role(assigned)}'" in assigned.body["name"]
    assert re.match(r"guid\((account|applicationInsights)\.id, \w+", assigned.body["name"])


@each_one
def test_the_assignment_waits_for_a_new_identity(file: str, assigned: Resource) -> None:
    """Without a principal type Azure looks the new principal up and may not find it; a user's type is unknown here."""
    kind = assigned.body["properties"].get("principalType")
    assert kind == (None if assigned.body["properties"]["principalId"] == "userPrincipalId" else "ServicePrincipal")
