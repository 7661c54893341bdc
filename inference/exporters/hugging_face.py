"""x."""
from pathlib import Path
from inference.facts import Facts
def read(folder: Path, facts: Facts) -> None:
    """X."""
