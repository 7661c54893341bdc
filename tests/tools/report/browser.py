"""Drives a headless Chromium with mouse and key events through its DevTools pipe.

It needs only the browser: no driver program, package or port.
"""

from __future__ import annotations

import base64
import json
import subprocess
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, cast

from tests.waiting import DEADLINE_SECONDS, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

_QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
)
_KEYS = {
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Enter": 13,
    "Escape": 27,
    "Tab": 9,
    "End": 35,
    "Home": 36,
}


class Page:
    """One page. Not thread-safe.

    Attributes:
        requests: Addresses of all requests of the page, except ``data:``.
        messages: Console messages, including errors and policy violations.
    """

    def __init__(self, write: IO[bytes], read: BufferedReader) -> None:
        self._write, self._read = write, read
        self._unread = b""
        self._number = 0
        self._session: str | None = None
        self._events: list[str] = []
        self.requests: list[str] = []
        self.messages: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a DevTools command and return its result; events that arrive before it are recorded."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._write.write(json.dumps(message).encode() + b"\0")
        self._write.flush()
        while (answer := self._next()).get("id") != self._number:
            self._note(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return cast("dict[str, Any]", answer["result"])

    def open(self, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Load a file in a window of this size, in CSS pixels, and wait until it has loaded."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.use_theme(dark=dark)
        self._events.clear()
        self.send("Page.navigate", url=path.as_uri())
        while "Page.loadEventFired" not in self._events:
            self._note(self._next())

    def use_theme(self, *, dark: bool) -> None:
        """Prefer dark or light, and no motion."""
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.send("Emulation.setEmulatedMedia", features=features)

    def value(self, expression: str) -> Any:
        """Evaluate a JavaScript expression and return its JSON value; promises are awaited."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until a JavaScript expression is true."""
        until(lambda: self.value(f"new Promise(requestAnimationFrame).then(() => Boolean({expression}))"), expression)

    def click(self, selector: str) -> None:
        """Click the centre of the first matching element, which must not be covered."""
        x, y = self._centre(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def tap(self, selector: str) -> None:
        """Touch the centre of the first matching element, which must not be covered."""
        x, y = self._centre(selector)
        self.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def press(self, key: str) -> None:
        """Press and release one key: a character, or one of ``_KEYS``."""
        named: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS.get(key, ord(key[0]))}
        text = {"text": "\r" if key == "Enter" else key} if key == "Enter" or len(key) == 1 else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", **named, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", **named)

    def type(self, text: str) -> None:
        """Type into the focused element."""
        self.send("Input.insertText", text=text)

    def wheel(self, down: int) -> None:
        """Turn the mouse wheel by this many pixels."""
        self.send("Input.dispatchMouseEvent", type="mouseWheel", x=200, y=300, deltaX=0, deltaY=down)

    def screenshot(self) -> bytes:
        """Return the window's contents as PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot")["data"])

    def _centre(self, selector: str) -> tuple[float, float]:
        found = json.dumps(selector)
        self.value(f"document.querySelector({found}).scrollIntoView({{block: 'center', behavior: 'instant'}})")
        self.value("new Promise(requestAnimationFrame)")
        x, y = self.value(
            f"(() => {{ const box = document.querySelector({found}).getClientRects()[0];"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        hit = f"document.querySelector({found}).contains(document.elementFromPoint({x}, {y}))"
        assert self.value(hit), f"{selector} is covered by something else"
        return x, y

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            arrived = self._read.read1(1 << 20)
            assert arrived, "the browser has exited"
            self._unread += arrived
        message, _, self._unread = self._unread.partition(b"\0")
        return cast("dict[str, Any]", json.loads(message))

    def _note(self, event: dict[str, Any]) -> None:
        method, parameters = event.get("method", ""), event.get("params", {})
        self._events.append(method)
        if method == "Network.requestWillBeSent" and not parameters["request"]["url"].startswith("data:"):
            self.requests.append(parameters["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.messages.append(parameters["exceptionDetails"]["exception"].get("description", ""))
        elif method == "Runtime.consoleAPICalled":
            self.messages.append(str(parameters["args"]))
        elif method == "Log.entryAdded":
            self.messages.append(parameters["entry"]["text"])


@contextmanager
def browsing(chromium: Path, profile: Path) -> Iterator[Page]:
    """Run a browser with its own profile for the length of the block."""
    # Chromium's pipe uses file descriptors 3 and 4: a shell moves standard input and output to these numbers.
    moved = 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1'
    options = (*_QUIET, "--remote-debugging-pipe", f"--user-data-dir={profile}")
    process = subprocess.Popen(
        ["sh", "-c", moved, "sh", str(chromium), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    try:
        yield Page(process.stdin, cast("BufferedReader", process.stdout))
    finally:
        with suppress(OSError):
            process.stdin.close()  # the browser ends with its pipe
        try:
            process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
