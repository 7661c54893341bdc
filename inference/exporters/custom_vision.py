"""x."""
from pathlib import Path
from inference.facts import Facts
def read_manifest(folder: Path, facts: Facts) -> None:
    """X."""
def read_metadata(folder: Path, facts: Facts) -> None:
    """X."""
