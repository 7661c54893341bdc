from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.devhost.messages import BlobTriggerMessage, UnreadableMessageError, function_name

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


@given(names)
def test_a_message_survives_the_wire(name: str) -> None:
    message = BlobTriggerMessage("Host.Functions.f", "incoming", name, '"0x8D"')
    assert BlobTriggerMessage.from_wire(message.to_wire()) == message


def test_the_wire_form_is_the_functions_hosts_own() -> None:
    message = BlobTriggerMessage("Host.Functions.f", "incoming", "a/é.jpg", '"0x8D"', "AppendBlob")
    assert base64.b64decode(message.to_wire()).decode() == (
        '{\n  "Type": "BlobTrigger",\n  "FunctionId": "Host.Functions.f",\n  "BlobType": "AppendBlob",\n'
        '  "ContainerName": "incoming",\n  "BlobName": "a/é.jpg",\n  "ETag": "\\"0x8D\\""\n}'
    )


def test_the_short_blob_type_is_understood() -> None:
    fields = {"FunctionId": "f", "ContainerName": "c", "BlobName": "b", "BlobType": "Block", "ETag": "e"}
    assert BlobTriggerMessage.from_wire(base64.b64encode(json.dumps(fields).encode()).decode()).blob_type == "BlockBlob"


@pytest.mark.parametrize("function_id", ["Host.Functions.f", "Functions.f", "f"])
def test_both_forms_of_a_function_id_mean_the_function(function_id: str) -> None:
    assert function_name(function_id) == "f"


@pytest.mark.parametrize(
    "body",
    [b"", b"text", b"[]", b"null", b"7", b'{"FunctionId": "f"}', b"\xff",
     b'{"FunctionId": "f", "ContainerName": "", "BlobName": "b"}',
     b'{"FunctionId": "f", "ContainerName": "c", "BlobName": ["b"]}'],
)  # fmt: skip
def test_anything_else_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableMessageError):
        BlobTriggerMessage.from_wire(base64.b64encode(body).decode())


@given(st.text(max_size=60))
def test_no_text_at_all_raises_anything_else(body: str) -> None:
    try:
        BlobTriggerMessage.from_wire(body)
    except UnreadableMessageError:
        return
