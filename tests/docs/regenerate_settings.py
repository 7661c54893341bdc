"""Write the table of docs/settings.md and local.settings.example.json anew, from the declarations in the code.

python -m tests.docs.regenerate_settings
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.connection import DEVELOPMENT_STORAGE
from storage.settings import DEFAULTS, HOST_STORAGE, SETTINGS
from tools.azurite.azurite import PORT_SETTINGS
from tools.devhost.settings import HOST_ID, VISIBILITY_SECONDS

if TYPE_CHECKING:
    from storage.setting import ConnectionSetting, Setting

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "settings.md"
EXAMPLE = ROOT / "local.settings.example.json"
DOCUMENTED: tuple[Setting[Any] | ConnectionSetting, ...] = (
    HOST_STORAGE,
    *SETTINGS,
    HOST_ID,
    VISIBILITY_SECONDS,
    *PORT_SETTINGS,
)
_TABLE = re.compile(r"(?<=<!-- table: python -m tests\.docs\.regenerate_settings -->\n\n).*?(?=\n\n)", re.DOTALL)


def document() -> str:
    """Return docs/settings.md as it should be now: its own prose around the generated table."""
    written, count = _TABLE.subn(lambda _: table(), DOCUMENT.read_text(encoding="utf-8"))
    assert count == 1, f"{DOCUMENT.name} has no place for the table"
    return written


def table() -> str:
    """Return every setting as a row of Markdown."""
    rows = ["| setting | default | value | meaning |", "|---|---|---|---|"]
    for each in DOCUMENTED:
        default = f"`{each.default}`" if each.default else ""
        rows.append(f"| `{each.name}` | {default} | {each.expected} | {each.meaning} |")
    return "\n".join(rows)


def example() -> str:
    """Return local.settings.example.json as it should be now: Azurite, and every default of the app."""
    values = {
        "FUNCTIONS_WORKER_RUNTIME": "python",
        HOST_STORAGE.name: "UseDevelopmentStorage=true",
        "ImageStorage": DEVELOPMENT_STORAGE,  # in full: the worker's blob extension does not expand the short form
        **DEFAULTS,
    }
    return json.dumps({"IsEncrypted": False, "Values": values}, indent=2) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
    EXAMPLE.write_text(example(), encoding="utf-8")
