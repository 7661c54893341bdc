"""Which labels stand for animals, people, vehicles and empty pictures, as formats of camera traps distinguish them."""

from __future__ import annotations

import argparse
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class LabelType(StrEnum):
    """The types of an observation in Camtrap DP that a label may have."""

    ANIMAL = "animal"
    HUMAN = "human"
    VEHICLE = "vehicle"
    BLANK = "blank"
    UNKNOWN = "unknown"


# In lower case. Labels of MegaDetector, SpeciesNet, DeepFaune and of Camtrap DP's own terms; others are animals.
_KNOWN = {
    **dict.fromkeys(("blank", "empty", "no animal", "nothing", "background"), LabelType.BLANK),
    **dict.fromkeys(("human", "person", "people", "homo sapiens"), LabelType.HUMAN),
    **dict.fromkeys(("vehicle", "car", "truck", "motorcycle"), LabelType.VEHICLE),
    **dict.fromkeys(("unknown", "undefined", "unidentified", "no cv result"), LabelType.UNKNOWN),
}


def add_label_type(group: argparse._ActionsContainer) -> None:
    """Declare ``--label-type``."""
    group.add_argument(
        "--label-type",
        action="append",
        type=_parse,
        metavar="LABEL=TYPE",
        help="megadetector, camtrap-dp: the type of a label: animal, human, vehicle, blank or unknown; may be "
        "repeated. Labels such as empty, person, car and unknown have their type, others are animals",
    )


def label_types(given: Iterable[tuple[str, LabelType]] | None) -> Callable[[str], LabelType]:
    """Return a function from a label to its type.

    Args:
        given: The values of ``--label-type``; the last one of a label counts.
    """
    by_label = dict(given or ())
    return lambda label: by_label.get(label) or _KNOWN.get(label.strip().replace("_", " ").lower(), LabelType.ANIMAL)


def _parse(text: str) -> tuple[str, LabelType]:
    label, equals, name = text.rpartition("=")
    if not equals or name not in list(LabelType):
        raise argparse.ArgumentTypeError(f"{text!r} is no LABEL=TYPE: the types are {', '.join(LabelType)}")
    return label, LabelType(name)
