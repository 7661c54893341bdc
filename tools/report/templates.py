"""Renders HTML templates into pages that load nothing.

Names, labels and messages are hostile. The templates escape every value they print, and ``_displayed`` makes invisible
and direction-changing characters visible. A page's content security policy names its own style and script by hash.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tools.report.charts import swatch
from tools.report.text import counted, display_text, minute, percentage

if TYPE_CHECKING:
    from pathlib import Path


@cache
def templates(folder: Path) -> Environment:
    """The templates of a folder."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        finalize=_displayed,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "display": display_text,
        "minute": minute,
        "percentage_of": percentage,
        "counted": counted,
        "number": "{:,}".format,
    }
    environment.globals |= {"swatch": swatch}
    return environment


def csp_hash(text: str) -> str:
    """The source expression of an inline style or script in a content security policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _displayed(value: Any) -> Any:
    """Apply ``display_text`` to every text a template prints, except markup of our own."""
    return display_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value
