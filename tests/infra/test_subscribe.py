"""infra/hooks/subscribe.sh and subscribe.ps1 with a fake Azure CLI that answers and fails as the real one does.

The error messages have the wording of azure-cli 2.91.0, recorded against a stand-in for Azure Resource Manager; Azure's
messages inside them come from public issues. ``golden/az_calls.txt`` records the calls of a run without errors.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.infra.bicep import INFRA, ROOT, read
from tests.programs import needed
from tests.triggers import TRIGGERS
from tests.waiting import DEADLINE_SECONDS, until

GOLDEN = Path(__file__).parent / "golden" / "az_calls.txt"
KEY = "s3cr3t-Key_of/the+webhook=="
GROUP = "/subscriptions/00000000-0000-0000-0000-00000000cafe/resourceGroups/rg-photos"
ENVIRONMENT = {
    "AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-00000000cafe",
    "AZURE_RESOURCE_GROUP": "rg-photos",
    "FUNCTION_APP_NAME": "func-abc",
    "FUNCTION_HOST_NAME": "func-abc.azurewebsites.net",
    "SYSTEM_TOPIC_ID": f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/evgt-abc",
    "IMAGE_STORAGE_ID": f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stimagesabc",
    "INCOMING_CONTAINER": "incoming",
    "DEAD_LETTER_CONTAINER": "dead-letters",
}
OK = {"out": ""}
NO_HOST = {
    "code": 1,
    "err": "ERROR: (ServiceUnavailable) Encountered an error (ServiceUnavailable) from host runtime.\n"
    "Code: ServiceUnavailable\nMessage: Encountered an error (ServiceUnavailable) from host runtime.\n",
}
THROTTLED = {
    "code": 1,
    "err": 'ERROR: Too Many Requests({"error": {"code": "TooManyRequests", "message": "The request is throttled."}})\n',
}
AWAY = {
    "code": 1,
    "err": "ERROR: The command failed with an unexpected error. Here is a traceback:\nERROR: HTTPSConnectionPool(host="
    "'management.azure.com', port=443): Max retries exceeded\nTraceback (most recent call last):\n  File \"cli.py\"\n",
}
LOGGED_OUT = {"code": 1, "err": "ERROR: Please run 'az login' to setup account.\n"}
EXPIRED = {"code": 1, "err": "ERROR: AADSTS70043: The refresh token has expired due to sign-in frequency checks.\n"}
STALE = {"code": 1, "err": "ERROR: (ExpiredAuthenticationToken) expired\nCode: ExpiredAuthenticationToken\n"}
FORBIDDEN = {
    "code": 1,
    "err": 'ERROR: Forbidden({"error": {"code": "AuthorizationFailed", "message": "The client \'a@b.c\' does not have '
    "authorization to perform action 'Microsoft.EventGrid/systemTopics/eventSubscriptions/write'\"}})\n",
}
NO_APP = {"code": 1, "err": "ERROR: (ResourceNotFound) The Resource 'Microsoft.Web/sites/func-abc' was not found.\n"}
NO_TOPIC = {
    "code": 1,
    "err": 'ERROR: Not Found({"error": {"code": "ParentResourceNotFound", "message": "Failed to perform \'write\' on '
    "resource(s) of type 'systemTopics/eventSubscriptions', because the parent resource could not be found.\"}})\n",
}
NO_SUBSCRIPTION = {
    "code": 1,
    "err": "ERROR: Subscription '0000' not found. Check the spelling and casing and try again.\n",
}
BUSY = {
    "code": 1,
    "err": 'ERROR: Conflict({"error": {"code": "Conflict", "message": "Another operation is in progress."}})\n',
}
NOT_VALIDATED = {
    "code": 1,
    "err": 'ERROR: Bad Request({"error": {"code": "Url validation", "message": "Webhook validation handshake failed '
    f"for https://func-abc.azurewebsites.net/runtime/webhooks/blobs?code={KEY}. "
    f'Http POST request retuned 503 response with body {KEY}{KEY}."}}}})\n',
}
ALL_WELL: dict[str, list[dict[str, Any]]] = {
    "account show": [OK],
    "functionapp keys list": [{"out": f"{KEY}\n"}],
    "rest put": [OK],
    "rest get": [{"out": "Succeeded\n"}],
}


class Cli:
    """A temporary folder with an ``az`` on its path."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.command = command
        self.folder = folder
        self.temporary = folder / "tmp"
        self.programs = folder / "bin"
        for each in (self.temporary, self.programs):
            each.mkdir()
        fake = self.programs / "az"
        fake.write_text(f'#!/bin/sh\nexec "{sys.executable}" -ISE "{Path(__file__).with_name("fake_az.py")}" "$@"\n')
        fake.chmod(0o755)

    def environment(self, **changes: str) -> dict[str, str]:
        path = f"{self.programs}:/usr/bin:/bin"
        fast = {"SUBSCRIBE_PAUSE_SECONDS": "0", "SUBSCRIBE_WAIT_SECONDS": "600"}
        own = {"PATH": path, "TMPDIR": str(self.temporary), "FAKE_AZ": str(self.folder)}
        # PowerShell's runtime would keep a socket in the temporary folder, and report home.
        own |= {"HOME": str(self.folder), "DOTNET_EnableDiagnostics": "0", "POWERSHELL_TELEMETRY_OPTOUT": "1"}
        return {name: each for name, each in (ENVIRONMENT | fast | own | changes).items() if each}

    def plan(self, changes: dict[str, list[dict[str, Any]]]) -> None:
        (self.folder / "plan.json").write_text(json.dumps(ALL_WELL | changes))

    def run(self, plan: dict[str, list[dict[str, Any]]], **changes: str) -> subprocess.CompletedProcess[str]:
        self.plan(plan)
        done = subprocess.run(
            self.command,
            env=self.environment(**changes),
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        assert KEY not in done.stdout + done.stderr, "the key was printed"
        assert not any(KEY in word for call in self.calls() for word in call["arguments"]), "ps could show the key"
        assert list(self.temporary.iterdir()) == [], "the key was left lying"
        return done

    def calls(self) -> list[dict[str, Any]]:
        file = self.folder / "calls.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def commands(self) -> list[str]:
        first = [call["arguments"] for call in self.calls()]
        return [f"rest {words[2]}" if words[0] == "rest" else " ".join(words[:2]) for words in first]


HOOKS = INFRA / "hooks"
SHELLS = {
    shell: [shell, str(HOOKS / "subscribe.sh")]
    for shell in [name for name in ("dash", "bash") if shutil.which(name)] or ["sh"]
}
POWERSHELL = ["-NoProfile", "-NonInteractive", "-File", str(HOOKS / "subscribe.ps1")]


def in_shell(shell: str, folder: Path) -> Cli:
    return Cli(folder, SHELLS[shell] if shell in SHELLS else [str(needed("pwsh")), *POWERSHELL])


@pytest.fixture(params=[next(iter(SHELLS)), "pwsh"])
def cli(tmp_path: Path, request: pytest.FixtureRequest) -> Cli:
    return in_shell(request.param, tmp_path)


@pytest.fixture(params=[*SHELLS, "pwsh"])
def each_cli(tmp_path: Path, request: pytest.FixtureRequest) -> Cli:
    """The script in every installed shell, for tests of the whole script."""
    return in_shell(request.param, tmp_path)


def transcript(calls: list[dict[str, Any]]) -> str:
    """Return the calls as command lines, each followed by its body."""
    lines = []
    for call in calls:
        words = ["@subscription.json" if word.startswith("@") else word for word in call["arguments"]]
        lines.append(" ".join(["az", *words]))
        if "body" in call:
            lines.append(json.dumps(call["body"], indent=2).replace(KEY, "<key>"))
    return "\n".join(lines) + "\n"


def test_without_errors_it_makes_the_recorded_calls(each_cli: Cli) -> None:
    done = each_cli.run({})
    assert done.returncode == 0, done.stderr
    assert transcript(each_cli.calls()) == GOLDEN.read_text()
    assert done.stdout.splitlines()[-1] == "Subscribed: uploads to incoming go to func-abc."
    assert {call["mode"] for call in each_cli.calls() if "mode" in call} == {"-rw-------"}


def test_its_calls_have_the_values_of_the_code_and_event_grid(cli: Cli) -> None:
    cli.run({})
    (body,) = [call["body"]["properties"] for call in cli.calls() if "body" in call]
    (function,) = [name for name, each in TRIGGERS.items() if each["type"] == "blobTrigger"]
    path = f"/runtime/webhooks/blobs?functionName=Host.Functions.{function}&code={KEY}"  # azure-facts E11
    assert body["destination"]["properties"]["endpointUrl"] == f"https://{ENVIRONMENT['FUNCTION_HOST_NAME']}{path}"
    assert body["filter"]["subjectBeginsWith"] == "/blobServices/default/containers/incoming/blobs/"
    assert body["filter"]["includedEventTypes"] == ["Microsoft.Storage.BlobCreated"]
    assert body["filter"]["advancedFilters"][0]["values"] == [
        *("CopyBlob", "PutBlob", "PutBlockList", "FlushWithClose", "SftpCommit")  # azure-facts E11: the final ones
    ]
    assert body["retryPolicy"] == {"eventTimeToLiveInMinutes": 24 * 60, "maxDeliveryAttempts": 30}
    topic = read(INFRA / "images" / "events.bicep").only("Microsoft.EventGrid/systemTopics")
    assert body["deadLetterWithResourceIdentity"]["identity"]["type"] == topic.body["identity"]["type"]
    put = next(call["arguments"] for call in cli.calls() if "body" in call)
    assert put[put.index("--url") + 1].endswith(f"?api-version={topic.api_version}")


def test_a_second_run_makes_the_same_calls(cli: Cli) -> None:
    """Creating an existing subscription replaces it, because the request is a PUT."""
    cli.run({})
    first = cli.calls()
    cli.run({"rest get": [{"out": "Updating\n"}, {"out": "Updating\n"}, {"out": "Succeeded\n"}]})
    again = cli.calls()[len(first) :]
    bodies = [[call["body"] for call in calls if "body" in call] for calls in (first, again)]
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize(
    ("plan", "commands"),
    [
        pytest.param(
            {"functionapp keys list": [NO_HOST, {"out": ""}, {"out": "None\n"}, {"out": f"{KEY}\n"}]},
            ["account show", *["functionapp keys"] * 4, "rest put", "rest get"],
            id="the app has not started, then has no key yet",
        ),
        pytest.param(
            {name: [THROTTLED, *answers] for name, answers in ALL_WELL.items()},
            [each for each in ("account show", "functionapp keys", "rest put", "rest get") for _ in range(2)],
            id="every call is throttled once",
        ),
        pytest.param(
            {"rest put": [BUSY, OK]},
            ["account show", "functionapp keys", "rest put", "rest put", "rest get"],
            id="another deployment is at it",
        ),
        pytest.param(
            {"rest put": [NOT_VALIDATED, OK]},
            ["account show", "functionapp keys", "rest put", "rest put", "rest get"],
            id="the app is too cold to answer the handshake",
        ),
        pytest.param(
            {"rest get": [{"out": "Creating\n"}, {"out": "Failed\n"}, {"out": "Succeeded\n"}]},
            ["account show", "functionapp keys", "rest put", "rest get", "rest get", "rest put", "rest get"],
            id="the handshake fails later",
        ),
    ],
)
def test_it_waits_for_temporary_errors(
    each_cli: Cli, plan: dict[str, list[dict[str, Any]]], commands: list[str]
) -> None:
    done = each_cli.run(plan)
    assert done.returncode == 0, done.stderr
    assert each_cli.commands() == commands


@pytest.mark.parametrize(
    ("plan", "last", "sentence"),
    [
        pytest.param({"account show": [LOGGED_OUT]}, "account show", "az login", id="nobody is logged in"),
        pytest.param({"functionapp keys list": [EXPIRED]}, "functionapp keys", "az login", id="the login has expired"),
        pytest.param({"functionapp keys list": [STALE]}, "functionapp keys", "az login", id="the token is stale"),
        pytest.param(
            {"account show": [NO_SUBSCRIPTION]}, "account show", "another subscription", id="another tenant's login"
        ),
        pytest.param({"functionapp keys list": [NO_APP]}, "functionapp keys", "azd provision", id="no such app"),
        pytest.param({"rest put": [NO_TOPIC]}, "rest put", "azd provision", id="no such system topic"),
        pytest.param({"rest put": [FORBIDDEN]}, "rest put", "Contributor", id="not allowed"),
    ],
)
def test_it_ends_at_once_with_a_remedy_on_other_errors(
    cli: Cli, plan: dict[str, list[dict[str, Any]]], last: str, sentence: str
) -> None:
    done = cli.run(plan)
    assert done.returncode == 1
    assert cli.commands().count(last) == 1
    assert cli.commands()[-1] == last
    assert sentence in done.stderr
    assert "then run: azd hooks run postdeploy" in done.stderr


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        pytest.param({"functionapp keys list": [{"out": ""}]}, "no system key blobs_extension", id="no key appears"),
        pytest.param({"functionapp keys list": [NO_HOST]}, "from host runtime", id="the app never starts"),
        pytest.param({"rest put": [AWAY]}, "Max retries exceeded", id="the network is down"),
        pytest.param({"rest put": [NOT_VALIDATED]}, "handshake failed", id="the handshake never succeeds"),
        pytest.param({"rest put": [THROTTLED]}, "TooManyRequests", id="throttled for ever"),
        pytest.param({"rest get": [{"out": "Failed\n"}]}, "has not accepted", id="the subscription fails for ever"),
    ],
)
def test_each_wait_has_a_limit(cli: Cli, plan: dict[str, list[dict[str, Any]]], sentence: str) -> None:
    done = cli.run(plan, SUBSCRIBE_WAIT_SECONDS="0")
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert "then run: azd hooks run postdeploy" in done.stderr


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_missing_value_of_azd_is_named(cli: Cli, name: str) -> None:
    done = cli.run({}, **{name: ""})
    assert (done.returncode, cli.calls()) == (1, [])
    assert f"{name} is not set" in done.stderr


def test_without_the_azure_cli_it_prints_where_to_get_it(cli: Cli) -> None:
    (cli.programs / "az").unlink()
    done = cli.run({})
    assert done.returncode == 1
    assert "The Azure CLI is not installed" in done.stderr


def test_an_interrupted_run_leaves_no_key_behind(each_cli: Cli) -> None:
    each_cli.plan({"rest put": [THROTTLED]})
    environment = each_cli.environment(SUBSCRIBE_PAUSE_SECONDS="600")
    running = subprocess.Popen(each_cli.command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        until(lambda: "rest put" in each_cli.commands(), "the request that is refused")
        assert list(each_cli.temporary.rglob("subscription.json")), "there was nothing to leave behind"
        os.killpg(running.pid, signal.SIGINT)
        assert running.wait(DEADLINE_SECONDS) == 130
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
    assert list(each_cli.temporary.iterdir()) == []


def test_shellcheck_finds_nothing() -> None:
    checker = Path(sys.executable).with_name("shellcheck")
    scripts = sorted((INFRA / "hooks").glob("*.sh"))
    assert len(scripts) == 3
    done = subprocess.run([checker, "--shell=sh", *scripts], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (0, "")
