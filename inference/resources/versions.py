"""Versions of the packages that decide speed and results, for logs and reports."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("onnxruntime", "pillow", "numpy")


def versions() -> dict[str, str]:
    """Return the versions of Python, ONNX Runtime, Pillow and numpy by name; ``unknown`` without metadata."""
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a package that was unpacked without its metadata
        return "unknown"
