"""``python -m tools doctor`` on accounts that are complete, empty, unreachable or refuse access."""

from __future__ import annotations

import json
import shutil
import threading
import uuid
from base64 import b64encode
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from storage.clients import connect
from storage.connection import DEVELOPMENT_STORAGE, Connection
from storage.pipeline.classify_blob import classify_blob
from storage.pipeline.messages import BLOB_POISON_QUEUE, POISON_QUEUE, QUEUE, REFUSED_QUEUE
from storage.results.record import Image
from storage.settings import APP_ROOT, Settings
from tests.storage.samples import FixedClassifier
from tests.tools.decide.results import result, write
from tools.__main__ import main
from tools.azurite.azurite import ACCOUNT_KEY
from tools.doctor import deployment
from tools.doctor.actions import check_tags

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Names
    from tools.account import Account
    from tools.azurite.azurite import Azurite

SECRET = "c2VjcmV0c2VjcmV0"
SMALL_AND_LOCAL = {
    "ImageStorage": DEVELOPMENT_STORAGE,
    "BLOB_TRIGGER_SOURCE": "LogsAndContainerScan",
    "MAX_IMAGE_PIXELS": "1000000",  # what any machine has memory for
}


@pytest.fixture
def account(empty_account: Account) -> Account:
    return empty_account


def findings(capsys: pytest.CaptureFixture[str], *options: str, code: int = 0) -> list[dict[str, str]]:
    """Run doctor, check that its summary counts the findings, and return them."""
    assert main(["doctor", "--json", *options]) == code
    captured = capsys.readouterr()
    *found, summary = map(json.loads, captured.out.splitlines())
    levels = [finding["level"] for finding in found]
    assert summary == {"event": "summary", **{level: levels.count(level) for level in ("ok", "warning", "problem")}}
    assert captured.err == ""
    return found


def sentences(found: list[dict[str, str]], level: str, about: str) -> list[str]:
    return [each["sentence"] for each in found if (each["level"], each["about"]) == (level, about)]


def connection_string_to(**urls: str) -> str:
    """A connection string to these addresses, with a key that must not be printed."""
    services = {"Blob": urls["blob"], "Queue": urls["queue"], "Table": urls["table"]}
    return f"AccountName=account1;AccountKey={SECRET};" + "".join(f"{k}Endpoint={v};" for k, v in services.items())


def test_a_new_account_has_no_problems_and_is_not_changed(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    found = findings(capsys)
    assert {each["about"] for each in found} == {
        "settings",
        "versions",
        "host.json",
        "machine",
        "blobs",
        "queues",
        "tables",
        "model",
    }
    incoming = account.settings.incoming_container
    assert sentences(found, "warning", "blobs") == [
        f"The container {incoming} for images does not exist yet: create it before uploading."
    ]
    assert not [each for each in found if each["level"] == "problem"]
    assert "shapes, version " in sentences(found, "ok", "model")[0]
    assert incoming not in {container.name for container in account.clients.blobs.list_containers()}
    assert account.settings.results_table not in {table.name for table in account.clients.tables.list_tables()}


def test_index_tags_are_checked_where_images_are_tagged(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAG_IMAGES", "yes")
    account.clients.blobs.create_container(account.settings.incoming_container)
    (found,) = sentences(findings(capsys), "ok", "tags")
    assert found == f"Index tags of the container {account.settings.incoming_container} can be read."


def test_waiting_messages_about_results_are_counted(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, names: Names
) -> None:
    name = names.queue("foxes")
    monkeypatch.setenv("NOTIFY_QUEUE", name)
    missing = f"The queue {name} (NOTIFY_QUEUE) does not exist yet: the first message creates it."
    assert missing in sentences(findings(capsys), "ok", "queues")
    account.clients.queues.create_queue(name).send_message("fox")
    monkeypatch.setenv("NOTIFY_LABELS", "cube, Cube,unknown")
    (typing_error,) = sentences(findings(capsys), "warning", "settings")
    assert typing_error == "NOTIFY_LABELS names labels that the model does not have: Cube. Correct them."
    expected = f"{name} (NOTIFY_QUEUE) holds 1 messages about results for another program."
    assert expected in sentences(findings(capsys), "ok", "queues")


@pytest.mark.parametrize(
    ("status", "code", "level", "text"),
    [
        (400, "InvalidQueryParameterValue", "warning", "hierarchical namespace (ADLS Gen2)"),
        (403, "AuthorizationPermissionMismatch", "problem", "need the role Storage Blob Data Owner"),
    ],
)
def test_refused_index_tags_have_a_remedy(status: int, code: str, level: str, text: str) -> None:
    with answering(status, code) as address:
        connection = Connection("ImageStorage", connection_string_to(blob=address, queue=address, table=address))
        (found,) = check_tags(connect(connection), "incoming")
    assert found.level == level
    assert text in found.sentence


def test_contents_are_reported_and_failed_work_is_counted(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    container = account.settings.incoming_container
    account.clients.blobs.create_container(container)
    account.clients.blobs.get_blob_client(container, "a.jpg").upload_blob(b"x")
    classify_blob(account.stores, FixedClassifier(), Image(container, "a.jpg"))
    queue = account.clients.queues.get_queue_client(BLOB_POISON_QUEUE)
    if BLOB_POISON_QUEUE not in {each.name for each in account.clients.queues.list_queues()}:
        queue.create_queue()
    message = queue.send_message("{}")
    found = findings(capsys)
    queue.delete_message(message)
    assert f"The container {container} contains images." in sentences(found, "ok", "blobs")
    assert f"The table {account.settings.results_table} contains rows." in sentences(found, "ok", "tables")
    # Other tests of this run may have left messages on the queues, which have fixed names.
    assert any(BLOB_POISON_QUEUE in each for each in sentences(found, "warning", "queues"))


@contextmanager
def message_on(account: Account, name: str, text: str) -> Iterator[str]:
    """A message on a queue that other tests use too; its ID."""
    queue = account.clients.queues.get_queue_client(name)
    with suppress(ResourceExistsError):
        queue.create_queue()
    message = queue.send_message(text)
    yield str(message.id)
    with suppress(ResourceNotFoundError):
        queue.delete_message(message)


@pytest.mark.parametrize("queue", [QUEUE, POISON_QUEUE, BLOB_POISON_QUEUE, REFUSED_QUEUE])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("classify a.jpg\u202e", "its text is neither JSON (Expecting value, at character 1) nor Base64"),
        (
            '{"container": "theirs", "blobs": ["a"], "ContainerName": "theirs", "BlobName": "a"}',
            "'theirs', but INCOMING_",
        ),
    ],
    ids=["unreadable", "of another container"],
)
def test_a_message_that_cannot_be_processed_is_named(
    account: Account, capsys: pytest.CaptureFixture[str], queue: str, text: str, reason: str
) -> None:
    with message_on(account, queue, text) as message:
        found = sentences(findings(capsys), "warning", "queues")
    (named,) = [sentence for sentence in found if message in sentence]
    assert named.startswith(f"{queue}: message ")
    assert reason in named
    if queue != QUEUE:
        (count,) = [sentence for sentence in found if sentence.startswith(f"{queue} holds ")]
        assert "visible, the oldest since 20" in count
        assert "delivered up to 0 times" in count


def test_a_message_that_would_stop_the_host_is_a_problem(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    queue = f"azure-webjobs-blobtrigger-{uuid.uuid4().hex}"
    with message_on(account, queue, b64encode(b"[]").decode()) as message:
        found = findings(capsys, code=1)
        (named,) = sentences(found, "problem", "queues")
        assert message in named
        assert "it is not a JSON object" in named
        assert f"python -m tools redrive --queue {queue} --delete" in named
        assert main(["redrive", "--queue", queue, "--delete"]) == 0
        assert "1 found, 0 queued, 1 deleted, 0 kept." in capsys.readouterr().out
        assert sentences(findings(capsys), "problem", "queues") == []
    account.clients.queues.delete_queue(queue)


@pytest.mark.parametrize("form", ["lines", "json"])
def test_every_unreadable_setting_is_named(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setenv("TOP_K", "many")
    monkeypatch.setenv("MAX_IMAGE_BYTES", "0")
    monkeypatch.setenv("ImageStorage", SECRET)
    if form == "json":
        found = findings(capsys, code=2)
        assert [each["about"] for each in found] == ["settings"] * 3
        out = json.dumps(found)
    else:
        assert main(["doctor"]) == 2
        out = capsys.readouterr().out
        assert out.endswith("3 problems, 0 warnings.\n")
    for setting in ("TOP_K", "MAX_IMAGE_BYTES", "ImageStorage"):
        assert setting in out
    assert SECRET not in out


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("http://127.0.0.1:9/account1", "nothing listens at http://127.0.0.1:9:"),
        ("https://account1.core.invalid", "the host name account1.core.invalid cannot be resolved"),
    ],
    ids=["refused", "no such name"],
)
def test_each_cause_of_an_unreachable_account_has_its_own_text(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, address: str, text: str
) -> None:
    monkeypatch.setenv("ImageStorage", connection_string_to(blob=address, queue=address, table=address))
    found = findings(capsys, code=1)
    for about in ("blobs", "queues", "tables"):
        assert text in sentences(found, "problem", about)[0]
    assert SECRET not in json.dumps(found)


def test_a_wrong_key_is_reported_and_not_printed(
    account: Account, azurite: Azurite, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = ACCOUNT_KEY.replace("Eby8", "Eby9")
    monkeypatch.setenv("ImageStorage", azurite.connection_string.replace(ACCOUNT_KEY, wrong))
    found = findings(capsys, code=1)
    for about in ("blobs", "queues", "tables"):
        assert "(403 " in sentences(found, "problem", about)[0]
        assert "ImageStorage" in sentences(found, "problem", about)[0]
    assert wrong not in json.dumps(found)
    assert ACCOUNT_KEY not in json.dumps(found)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ((403, "AuthorizationPermissionMismatch"), "assign this identity the role Storage Blob Data Owner"),
        ((403, "KeyBasedAuthenticationNotPermitted"), "does not accept keys (403 KeyBasedAuthenticationNotPermitted)"),
        ((404, None), "check that this is a storage account's address"),
        ((503, "ServerBusy"), "answers 503 ServerBusy: check the account's health"),
    ],
    ids=["no role", "no keys", "no storage", "busy"],
)
def test_each_refusal_has_its_own_remedy(
    account: Account,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: tuple[int, str | None],
    text: str,
) -> None:
    with answering(*answer) as address:
        monkeypatch.setenv("ImageStorage", connection_string_to(blob=address, queue=address, table=address))
        found = findings(capsys, code=1)
    assert text in sentences(found, "problem", "blobs")[0]


@contextmanager
def answering(status: int, code: str | None) -> Iterator[str]:
    """A service that answers every request with this status."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if code:
                self.send_header("x-ms-error-code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/account1"
        server.shutdown()


def test_an_identity_without_a_token_gets_a_remedy(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from azure.core.exceptions import ClientAuthenticationError

    class NoToken:
        def __init__(self, **_: object) -> None:
            pass

        def get_token(self, *_: str, **__: object) -> None:
            raise ClientAuthenticationError(f"no token, and here is a secret: {SECRET}")

    monkeypatch.setattr("azure.identity.ManagedIdentityCredential", NoToken)
    monkeypatch.delenv("ImageStorage")
    monkeypatch.setenv("ImageStorage__accountName", "account1")
    monkeypatch.setenv("ImageStorage__credential", "managedidentity")
    found = findings(capsys, code=1)
    for about in ("blobs", "queues", "tables"):
        assert "there is no token for the managed identity of ImageStorage" in sentences(found, "problem", about)[0]
    assert SECRET not in json.dumps(found)


def test_a_sas_in_an_address_is_not_printed(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(403, "AuthenticationFailed") as address:
        places = "".join(f"{service}Endpoint={address};" for service in ("Blob", "Queue", "Table"))
        monkeypatch.setenv("ImageStorage", f"{places}SharedAccessSignature=sv=1&sig={SECRET}")
        found = findings(capsys, code=1)
    assert "the key or SAS is wrong" in sentences(found, "problem", "blobs")[0]
    assert SECRET not in json.dumps(found)


def test_a_separate_host_account_is_checked(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AzureWebJobsStorage")
    (missing,) = sentences(findings(capsys, code=1), "problem", "settings")
    assert missing.startswith("AzureWebJobsStorage is not set")
    nowhere = "http://127.0.0.1:9/account1"
    monkeypatch.setenv("AzureWebJobsStorage", connection_string_to(blob=nowhere, queue=nowhere, table=nowhere))
    found = findings(capsys, code=1)
    assert "AzureWebJobsStorage cannot be used for blobs" in sentences(found, "problem", "blobs")[0]


def test_results_of_other_rules_are_a_warning(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scores = [0.5, 0.25, *[0.03125] * 8]
    write(account, *(result(account, f"{n}.jpg", scores) for n in range(3)))
    assert [each for each in findings(capsys) if each["about"] == "decision"] == []
    folder = shutil.copytree(APP_ROOT / "models" / "shapes", tmp_path / "shapes")
    (folder / "decision.json").write_text('{"min_score": 0.6}')
    monkeypatch.setenv("MODEL_DIR", str(folder))
    (text,) = sentences(findings(capsys), "warning", "decision")
    assert "3 of the newest 3 results" in text
    assert main(["decide"]) == 0
    capsys.readouterr()
    (text,) = sentences(findings(capsys), "ok", "decision")
    monkeypatch.setenv("MIN_SCORE", "0.5")
    (text,) = sentences(findings(capsys), "warning", "decision")
    assert "MIN_SCORE has no effect" in text


def test_a_model_that_cannot_be_used_is_a_problem(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    (text,) = sentences(findings(capsys, code=1), "problem", "model")
    assert text.startswith("MODEL_DIR cannot be used: ")
    assert str(tmp_path) in text


def test_a_candidate_is_loaded_and_a_broken_one_is_a_warning(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SHADOW_MODEL_DIR", str(APP_ROOT / "models" / "shapes"))
    (text,) = sentences(findings(capsys), "ok", "candidate")
    assert text.startswith("shapes, version ")
    assert text.endswith(" works; it answers 0.1 of the images beside the model.")
    monkeypatch.setenv("SHADOW_MODEL_DIR", str(tmp_path))
    (text,) = sentences(findings(capsys), "warning", "candidate")
    assert text.startswith("The candidate cannot be used, so none answers: ")
    assert str(tmp_path) in text


class TestTheFolder:
    def test_packages_that_differ_from_what_is_deployed(self, tmp_path: Path) -> None:
        requirements = tmp_path / "requirements.txt"
        requirements.write_text(
            "# what runs\nazure-core==0.1\nno-such-package==1.0\nnumpy>=1\nother==1; python_version < '3'\n"
        )
        found = list(deployment.check_packages(requirements))[1:]
        assert [(each.level, each.sentence.split()[0]) for each in found] == [
            ("warning", "azure-core"),
            ("problem", "no-such-package"),
        ]

    @pytest.mark.parametrize(
        ("document", "environ", "text"),
        [
            ("{", {}, "host.json cannot be used"),
            ('{"extensionBundle": {}}', {}, "names no extension bundle"),
            ('{"extensions": {"blobs": {"maxDegreeOfParallelism": 0}}}', {}, "maxDegreeOfParallelism"),
            ('{"extensions": {"blobs": {"maxDegreeOfParallelism": 500}}}', {}, "maxDegreeOfParallelism is 500"),
            ("{}", {"PYTHON_THREADPOOL_THREAD_COUNT": "x"}, "PYTHON_THREADPOOL_THREAD_COUNT must be"),
        ],
        ids=["broken", "no bundle", "no parallelism", "too many at once", "threads"],
    )
    def test_a_host_json_that_does_not_fit(
        self, tmp_path: Path, document: str, environ: dict[str, str], text: str
    ) -> None:
        (tmp_path / "host.json").write_text(document)
        found = list(deployment.check_host_json(tmp_path, environ))
        assert any(text in each.sentence and each.level != "ok" for each in found)

    @pytest.mark.parametrize(
        ("document", "environ", "level", "text"),
        [
            ("{}", {}, "warning", "messageEncoding is base64"),
            ("{}", {"WEBSITE_SKU": "FlexConsumption"}, "problem", "Flex Consumption supports EventGrid only"),
            ("{}", {"FUNCTIONS_WORKER_PROCESS_COUNT": "4"}, "warning", "4 worker processes"),
            ('{"functionTimeout": "02:00:00"}', {}, "warning", "functionTimeout is not set or above half an hour"),
        ],
        ids=["Base64 messages", "a source that the plan does not know", "processes", "a timeout of hours"],
    )
    def test_the_apps_own_warnings_are_reported(
        self, tmp_path: Path, document: str, environ: dict[str, str], level: str, text: str
    ) -> None:
        (tmp_path / "host.json").write_text(document)
        settings = Settings.from_environ(SMALL_AND_LOCAL)
        found = deployment.check_config_warnings(tmp_path, environ, settings)
        assert any(text in each.sentence and each.level == level for each in found)

    def test_this_folder_has_no_problems(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(deployment, "usable_cpus", lambda: 2)
        (found,) = deployment.check_host_json(APP_ROOT, {})
        assert found.level == "ok"
        settings = Settings.from_environ(SMALL_AND_LOCAL)
        assert list(deployment.check_config_warnings(APP_ROOT, {}, settings)) == []


class TestTheProbe:
    @pytest.fixture
    def app(self, account: Account) -> Iterator[FixedClassifier]:
        """Classifies uploaded blobs, as the app does, until the test ends."""
        account.clients.blobs.create_container(account.settings.incoming_container)
        classifier = FixedClassifier("ball")
        stopping = threading.Event()

        def serve() -> None:
            container = account.clients.blobs.get_container_client(account.settings.incoming_container)
            while not stopping.wait(0.05):
                for blob in container.list_blobs():
                    classify_blob(account.stores, classifier, Image(container.container_name, blob.name))

        thread = threading.Thread(target=serve)
        thread.start()
        yield classifier
        stopping.set()
        thread.join()

    def test_checks_end_to_end_and_removes_everything(
        self, account: Account, app: FixedClassifier, capsys: pytest.CaptureFixture[str]
    ) -> None:
        found = findings(capsys, "--probe")
        (text,) = sentences(found, "warning", "probe")  # the test's app has another model than MODEL_DIR
        assert "check which model is deployed" in text
        assert app.asked[0].startswith(b"\x89PNG")
        assert leftovers(account) == []

    def test_reports_a_missing_row_and_removes_everything(
        self, account: Account, capsys: pytest.CaptureFixture[str]
    ) -> None:
        account.clients.blobs.create_container(account.settings.incoming_container)
        (text,) = sentences(findings(capsys, "--probe", "--wait", "1", code=1), "problem", "probe")
        assert "has no row after 1 s" in text
        assert leftovers(account) == []

    def test_needs_the_container_and_does_not_create_it(
        self, account: Account, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (text,) = sentences(findings(capsys, "--probe", code=1), "problem", "probe")
        assert text == f"The container {account.settings.incoming_container} does not exist: create it."


def leftovers(account: Account) -> list[Any]:
    """Blobs and rows in the containers and tables of this test."""
    settings = account.settings
    left: list[Any] = []
    present = {container.name for container in account.clients.blobs.list_containers()}
    for container in {settings.incoming_container, settings.results_container} & present:
        left += account.clients.blobs.get_container_client(container).list_blob_names()
    tables = {table.name for table in account.clients.tables.list_tables()}
    for table in {settings.results_table, settings.index_table} & tables:
        left += account.clients.tables.get_table_client(table).list_entities()
    return left
