from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.devhost.messages import (
    BlobTriggerMessage,
    FatalMessageError,
    UndecodableMessageError,
    decode_base64,
    function_name,
)

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


def encode(document: object) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


FIELDS = {"FunctionId": "f", "ContainerName": "c", "BlobName": "b", "BlobType": "BlockBlob", "ETag": "e"}


@pytest.mark.parametrize("kind", ["Block", "BlockBlob", "Page", "PageBlob", "Append", "AppendBlob", "7", 1, None])
def test_kinds_of_blobs_that_the_host_reads(kind: object) -> None:
    assert BlobTriggerMessage.from_wire(encode({**FIELDS, "BlobType": kind})).blob_name == "b"


@pytest.mark.parametrize("kind", ["blockblob", "Blob", "", "Nonsense", 1.5, True, ["Block"]])
def test_another_kind_of_blob_ends_the_host(kind: object) -> None:
    with pytest.raises(FatalMessageError, match="BlobType"):
        BlobTriggerMessage.from_wire(encode({**FIELDS, "BlobType": kind}))


@pytest.mark.parametrize("function_id", ["Host.Functions.f", "f"])
def test_both_forms_of_a_function_id_mean_the_function(function_id: str) -> None:
    assert function_name(function_id) == "f"


@pytest.mark.parametrize("function_id", ["Functions.f", "Host.f", "host.functions.f", "F"])
def test_no_other_form_does(function_id: str) -> None:
    assert function_name(function_id) != "f"


def test_names_of_fields_have_no_case_and_numbers_are_text() -> None:
    message = BlobTriggerMessage.from_wire(encode({"functionid": 7, "CONTAINERNAME": "c", "blobName": 5, "extra": []}))
    assert message == BlobTriggerMessage("7", "c", "5", "")


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"text", b"[]", b"null", b"7", b'"x"', b"true", b"{}", b"\xff", b"\xef\xbb\xbf{}",
     b'{"FunctionId": null}', b'{"FunctionId": ["f"]}', b'{"FunctionId": "f", "Type": []}',
     b'{"FunctionId": "f", "BlobName": {}}'],
)  # fmt: skip
def test_nonsense_ends_the_host(body: bytes) -> None:
    with pytest.raises(FatalMessageError):
        BlobTriggerMessage.from_wire(base64.b64encode(body).decode())


@pytest.mark.parametrize("missing", ["ContainerName", "BlobName"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_message_of_a_known_function_must_name_a_blob(missing: str, value: object) -> None:
    message = BlobTriggerMessage.from_wire(encode({**FIELDS, missing: value}))
    with pytest.raises(FatalMessageError, match=missing):
        message.require_blob()


@pytest.mark.parametrize("body", ["plain text", "eyJhIjoxfQ", "====", "é"])
def test_what_is_not_base64_cannot_be_decoded(body: str) -> None:
    with pytest.raises(UndecodableMessageError):
        decode_base64(body)


def test_white_space_in_base64_has_no_meaning() -> None:
    assert decode_base64(" eyJh\r\n\tIjoxfQ== ") == b'{"a":1}'


@given(st.text(max_size=60))
def test_no_text_at_all_raises_anything_else(body: str) -> None:
    try:
        BlobTriggerMessage.from_wire(body)
    except (FatalMessageError, UndecodableMessageError):
        return
