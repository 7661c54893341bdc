"""A fake Azure CLI that prints prepared answers and records every call with its body.

A two-line script named ``az`` runs it. ``FAKE_AZ`` is a folder: ``plan.json`` maps each command to its
answers, in order, the last one repeated; ``calls.jsonl`` records the calls.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path


def command(arguments: list[str]) -> str:
    """Return the words before the first option, and for ``rest`` the method."""
    words = arguments[: [*(word[0] == "-" for word in arguments), True].index(True)]
    return " ".join([*words, arguments[arguments.index("--method") + 1]] if words == ["rest"] else words)


def main(arguments: list[str]) -> int:
    folder = Path(os.environ["FAKE_AZ"])
    call: dict[str, object] = {"arguments": arguments}
    if "--body" in arguments:
        file = Path(arguments[arguments.index("--body") + 1].removeprefix("@"))
        call |= {"body": json.loads(file.read_text()), "mode": stat.filemode(file.stat().st_mode)}
    with (folder / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(call) + "\n")
    plan = json.loads((folder / "plan.json").read_text())
    asked = command(arguments)
    earlier = sum(command(json.loads(line)["arguments"]) == asked for line in (folder / "calls.jsonl").open()) - 1
    answer = plan[asked][min(earlier, len(plan[asked]) - 1)]
    sys.stdout.write(answer.get("out", ""))
    sys.stderr.write(answer.get("err", ""))
    return int(answer.get("code", 0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
