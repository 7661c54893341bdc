"""The app's queue on the emulator."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING

import pytest

from inference.errors import TransientError
from storage.clients import Clients, connect
from storage.connection import Connection
from storage.pipeline.messages import Queues, Request
from storage.pipeline.queue import RefusedQueue, RequestQueue
from tests.storage.wire import wire
from tools.azurite.azurite import connection_string

if TYPE_CHECKING:
    from tests.conftest import Names
    from tools.azurite.azurite import Azurite


@pytest.fixture
def name(names: Names) -> str:
    """A queue of this test's own."""
    return names.container("requests")


def test_the_first_request_creates_the_queue(clients: Clients, name: str) -> None:
    queue = RequestQueue(clients, Queues(name))
    assert queue.approximate_message_count() == 0
    request = Request("incoming", ("a \U0001f431.jpg",), attempt=2)
    queue.send(request)
    (message,) = clients.queues.get_queue_client(name).receive_messages()
    assert Request.from_body(b64decode(message.content)) == request
    assert message.expires_on is not None
    assert message.expires_on.year == 9999, "a request never expires"


def test_a_delayed_request_is_counted_but_invisible(clients: Clients, name: str) -> None:
    queue = RequestQueue(clients, Queues(name))
    queue.send(Request("incoming", ("a.jpg",)), delay_seconds=3600)
    assert list(clients.queues.get_queue_client(name).receive_messages()) == []
    assert queue.approximate_message_count() == 1


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ('{"blobs": 7} \U0001f431'.encode(), '{"blobs": 7} \U0001f431'),
        (b"\xff\xfe", "//4="),
        (b"a\x01", "YQE="),
        (b"", ""),
    ],
    ids=["text", "no text", "text that XML cannot hold", "nothing"],
)
def test_a_refused_message_is_kept_as_it_is_or_in_base64(clients: Clients, name: str, body: bytes, kept: str) -> None:
    queues = Queues(name)
    RefusedQueue(clients, queues).send(body)
    (message,) = clients.queues.get_queue_client(queues.refused).receive_messages()
    assert (message.content or "") == kept


def test_an_unavailable_queue_is_transient(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("azure.storage.blob._shared.policies.StorageRetryPolicy.sleep", lambda *_: None)
    with wire(azurite.ports.queue) as closed:
        pass
    clients = connect(Connection("ImageStorage", connection_string(azurite.ports._replace(queue=closed.port))))
    queue = RequestQueue(clients)
    with pytest.raises(TransientError, match="sending to the queue"):
        queue.send(Request("incoming", ("a.jpg",)))
    with pytest.raises(TransientError, match="reading the queue"):
        queue.approximate_message_count()
    clients.close()
