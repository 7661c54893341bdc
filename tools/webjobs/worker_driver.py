"""Stands in for the Functions host: drives the real ``azure-functions-runtime`` library, one JSON line per request.

    host            worker proxy         azure-functions-runtime        our function_app.py
    this file  -->  this file       -->  the real thing            -->  the real thing

``tools.webjobs.worker`` runs it with a Python 3.13 that has ``requirements.txt`` and the library installed. The
messages are real protobuf classes, built below from the names and types that the library reads and writes, so that
a wrong type or an unknown field fails here as it fails on Azure.

stdin holds one command per line, stdout one answer per line, in the order in which they finish. Commands run at the
same time, as the host sends invocations. The ``call`` of a command comes back in its answer.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import importlib
import json
import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, TextIO

# Not typed here and not installed for Python 3.11: looked up by name.
worker: Any = importlib.import_module("azure_functions_runtime")
descriptors: Any = importlib.import_module("google.protobuf.descriptor_pb2")
pools: Any = importlib.import_module("google.protobuf.descriptor_pool")
factory: Any = importlib.import_module("google.protobuf.message_factory")

# message -> fields; `|` begins the members of its oneof, `*` repeats, `{}` maps from text. An enum is a field type.
MESSAGES = {
    "ModelBindingData": "version:string source:string content_type:string content:bytes",
    "TypedData": "| data string:string json:string bytes:bytes int:int64 double:double"
    " model_binding_data:ModelBindingData",
    "ParameterBinding": "name:string | rpc_data data:TypedData",
    "RpcException": "source:string stack_trace:string message:string",
    "StatusResult": "status:Status result:string exception:RpcException",
    "WorkerMetadata": "runtime_name:string runtime_version:string worker_version:string worker_bitness:string"
    " custom_properties:{}string",
    "WorkerInitResponse": "worker_version:string capabilities:{}string result:StatusResult"
    " worker_metadata:WorkerMetadata",
    "FunctionEnvironmentReloadResponse": "worker_metadata:WorkerMetadata capabilities:{}string result:StatusResult",
    "BindingInfo": "type:string direction:Direction data_type:DataType properties:{}string",
    "RpcFunctionMetadata": "name:string directory:string script_file:string entry_point:string"
    " bindings:{}BindingInfo is_proxy:bool status:StatusResult language:string raw_bindings:*string"
    " function_id:string managed_dependency_enabled:bool retry_options:RpcRetryOptions properties:{}string",
    "RpcRetryOptions": "max_retry_count:int32",
    "FunctionMetadataResponse": "function_metadata_results:*RpcFunctionMetadata result:StatusResult"
    " use_default_metadata_indexing:bool",
    "RpcTraceContext": "trace_parent:string trace_state:string attributes:{}string",
    "RetryContext": "retry_count:int32 max_retry_count:int32 exception:RpcException",
    "InvocationRequest": "invocation_id:string function_id:string input_data:*ParameterBinding"
    " trigger_metadata:{}TypedData trace_context:RpcTraceContext retry_context:RetryContext",
    "InvocationResponse": "invocation_id:string output_data:*ParameterBinding return_value:TypedData"
    " result:StatusResult",
    "WorkerInitRequest": "host_version:string capabilities:{}string function_app_directory:string",
    "FunctionsMetadataRequest": "function_app_directory:string",
    "FunctionEnvironmentReloadRequest": "environment_variables:{}string function_app_directory:string",
}
ENUMS = {
    "Status": ("StatusResult", ("Failure", "Success", "Cancelled")),
    "Direction": ("BindingInfo", ("in", "out", "inout")),
    "DataType": ("BindingInfo", ("undefined", "string", "binary", "stream")),
}


def build_protos() -> Any:
    """The message classes, as attributes of one object, as the proxy hands them to the library."""
    file = descriptors.FileDescriptorProto(name="host.proto", package="host", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for enum, (owner, values) in ENUMS.items():
            if owner == name:
                declared = message.enum_type.add(name=enum)
                for number, value in enumerate(values):
                    declared.value.add(name=value, number=number)
        number, in_oneof, words = 0, False, iter(fields.split())
        for word in words:
            if word == "|":
                message.oneof_decl.add(name=next(words))
                in_oneof = True
                continue
            number += 1
            _add_field(message, word, number, in_oneof=in_oneof)
    pool = pools.DescriptorPool()
    pool.Add(file)
    return SimpleNamespace(
        **{name: factory.GetMessageClass(pool.FindMessageTypeByName(f"host.{name}")) for name in MESSAGES}
    )


def _add_field(message: Any, word: str, number: int, *, in_oneof: bool) -> None:
    name, _, kind = word.partition(":")
    field = message.field.add(name=name, number=number, label=3 if kind[0] in "*{" else 1)
    if in_oneof:
        field.oneof_index = 0
    if kind.startswith("{}"):
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=1, type=9)
        _set_type(entry.field.add(name="value", number=2, label=1), kind[2:])
        field.type, field.type_name = 11, f".host.{message.name}.{entry.name}"
    else:
        _set_type(field, kind.removeprefix("*"))


def _set_type(field: Any, kind: str) -> None:
    scalars = {"double": 1, "int64": 3, "int32": 5, "bool": 8, "string": 9, "bytes": 12}
    if kind in scalars:
        field.type = scalars[kind]
    elif kind in ENUMS:
        field.type, field.type_name = 14, f".host.{ENUMS[kind][0]}.{kind}"
    else:
        field.type, field.type_name = 11, f".host.{kind}"


protos = build_protos()


def envelope(**request: Any) -> Any:
    """What the proxy passes on: the streaming message, and what only the proxy knows."""
    return SimpleNamespace(request=SimpleNamespace(**request), properties={"host": "127.0.0.1", "protos": protos})


def status_of(result: Any) -> dict[str, Any]:
    """Return a response's status by name, with its message and traceback."""
    name = {number: name for name, number in protos.StatusResult.Status.items()}[result.status]
    return {"status": name, "message": result.exception.message, "trace": result.exception.stack_trace}


async def start(command: dict[str, Any]) -> dict[str, Any]:
    """A worker on a host that knows its app: the proxy has put the app's folder on the path."""
    sys.path.insert(0, command["directory"])
    request = protos.WorkerInitRequest(host_version="4.0", function_app_directory=command["directory"])
    response = await worker.worker_init_request(envelope(worker_init_request=request))
    return status_of(response.result) | {"capabilities": dict(response.capabilities)}


async def specialize(command: dict[str, Any]) -> dict[str, Any]:
    """A worker that was started before its app was known, as on Flex Consumption."""
    empty = protos.WorkerInitRequest(host_version="4.0", function_app_directory=command["placeholder"])
    placeholder = await worker.worker_init_request(envelope(worker_init_request=empty))
    if placeholder.result.status != protos.StatusResult.Success:
        return status_of(placeholder.result)
    request = protos.FunctionEnvironmentReloadRequest(
        environment_variables=command["environment"], function_app_directory=command["directory"]
    )
    response = await worker.function_environment_reload_request(envelope(function_environment_reload_request=request))
    return status_of(response.result)


async def index(_command: dict[str, Any]) -> dict[str, Any]:
    """Index the app, as the host asks once per start."""
    request = protos.FunctionsMetadataRequest(function_app_directory=os.getcwd())  # noqa: PTH109
    response = await worker.functions_metadata_request(envelope(functions_metadata_request=request))
    functions = {
        each.name: {
            "id": each.function_id,
            "script": each.script_file,
            "language": each.language,
            "bindings": [json.loads(raw) for raw in each.raw_bindings],
        }
        for each in response.function_metadata_results
    }
    return status_of(response.result) | {"functions": functions}


def upload_input(container: str, blob: str) -> tuple[Any, dict[str, Any]]:
    """What arrives for an upload: a reference only, and the metadata of the trigger."""
    reference = {"Connection": "ImageStorage", "ContainerName": container, "BlobName": blob}
    data = protos.TypedData(
        model_binding_data=protos.ModelBindingData(
            version="1.0",
            source="AzureStorageBlobs",
            content_type="application/json",
            content=json.dumps(reference).encode(),
        )
    )
    metadata = {
        "BlobTrigger": protos.TypedData(string=f"{container}/{blob}"),
        "Uri": protos.TypedData(json=json.dumps(f"https://account.invalid/{container}/blob")),
        "Properties": protos.TypedData(json="{}"),
        "Metadata": protos.TypedData(json="{}"),
        "name": protos.TypedData(string=blob),
    }
    return protos.ParameterBinding(name="blob", data=data), metadata


def message_input(text: str) -> tuple[Any, dict[str, Any]]:
    """What arrives for a queue message."""
    moment = json.dumps("2026-05-01T12:00:00+00:00")
    metadata = {
        "Id": protos.TypedData(string="a-message"),
        "PopReceipt": protos.TypedData(string="a-receipt"),
        "DequeueCount": protos.TypedData(json="1"),
        "ExpirationTime": protos.TypedData(json=moment),
        "InsertionTime": protos.TypedData(json=moment),
        "NextVisibleTime": protos.TypedData(json=moment),
    }
    return protos.ParameterBinding(name="message", data=protos.TypedData(string=text)), metadata


def timer_input() -> tuple[Any, dict[str, Any]]:
    """What arrives when a timer is due."""
    due = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": False}
    return protos.ParameterBinding(name="timer", data=protos.TypedData(json=json.dumps(due))), {}


def typed(value: dict[str, Any]) -> Any:
    """One value as ``webjobs-host`` writes it: ``string``, ``json``, Base64 ``bytes`` or ``model_binding_data``."""
    ((kind, content),) = value.items()
    if kind == "bytes":
        return protos.TypedData(bytes=base64.b64decode(content))
    if kind == "model_binding_data":
        reference = protos.ModelBindingData(**(content | {"content": content["content"].encode()}))
        return protos.TypedData(model_binding_data=reference)
    return protos.TypedData(**{kind: content})


async def forward(command: dict[str, Any]) -> dict[str, Any]:
    """Invoke a function with what ``webjobs-host`` handed over; values that are null stay out, as in the host."""
    binding = protos.ParameterBinding(name=command["parameter"], data=typed(command["trigger"]))
    metadata = {name: typed(value) for name, value in command["metadata"].items() if value is not None}
    return await invoke(command["id"], binding, metadata)


async def invoke(function_id: str, binding: Any, metadata: dict[str, Any]) -> dict[str, Any]:
    """Invoke one function."""
    request = protos.InvocationRequest(
        invocation_id=os.urandom(8).hex(), function_id=function_id, input_data=[binding], trigger_metadata=metadata
    )
    response = await worker.invocation_request(envelope(invocation_request=request))
    return status_of(response.result)


async def upload(command: dict[str, Any]) -> dict[str, Any]:
    """Invoke the blob function with a reference to one upload."""
    return await invoke(command["id"], *upload_input(command["container"], command["blob"]))


async def message(command: dict[str, Any]) -> dict[str, Any]:
    """Invoke a queue function with a text."""
    return await invoke(command["id"], *message_input(command["text"]))


async def tick(command: dict[str, Any]) -> dict[str, Any]:
    """Invoke the timer's function."""
    return await invoke(command["id"], *timer_input())


async def uploads(command: dict[str, Any]) -> dict[str, Any]:
    """Many distinct uploads, one after the other; returns the number of successes and the memory afterwards."""
    well = 0
    for number in range(command["first"], command["first"] + command["count"]):
        well += (await invoke(command["id"], *upload_input(command["container"], f"folder/{number}.jpg")))[
            "status"
        ] == "Success"
    gc.collect()
    clients = sum("BlobClient" in type(thing).__name__ for thing in gc.get_objects())
    return {"succeeded": well, "clients": clients, "resident_kib": resident_kib()}


async def together(command: dict[str, Any]) -> dict[str, Any]:
    """Many uploads at once, as the host sends them: uploads beyond the size of the thread pool wait in its queue."""
    calls = (invoke(command["id"], *upload_input(command["container"], blob)) for blob in command["blobs"])
    answers = await asyncio.gather(*calls)
    failures = sorted({answer["message"] for answer in answers if answer["status"] != "Success"})
    return {"succeeded": sum(answer["status"] == "Success" for answer in answers), "failures": failures}


def resident_kib() -> int:
    """Memory of this process that is in RAM, in KiB; 0 where the system does not report it."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    except FileNotFoundError:
        return 0


COMMANDS = {
    each.__name__: each for each in (start, specialize, index, upload, message, tick, together, uploads, forward)
}


async def obey(command: dict[str, Any], answers: TextIO) -> None:
    """Run one command and write its answer."""
    call = command.pop("call", None)
    answer = await COMMANDS[command.pop("do")](command)
    print(json.dumps(answer | ({} if call is None else {"call": call})), file=answers, flush=True)


async def serve(answers: TextIO) -> None:
    """Run commands from stdin, many at once, until it is closed."""
    worker.start_threadpool_executor()
    loop, running = asyncio.get_running_loop(), set()
    with ThreadPoolExecutor(1, thread_name_prefix="stdin") as reader:
        while line := await loop.run_in_executor(reader, sys.stdin.readline):
            task = asyncio.create_task(obey(json.loads(line), answers))
            running.add(task)
            task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    worker.stop_threadpool_executor()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)  # as the worker's proxy does, so that the app's own lines are kept
    # The library flushes what functions print to stdout: keep that channel for answers, send talk to stderr.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asyncio.run(serve(channel))
