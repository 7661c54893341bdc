"""The scores of all labels in a compact form: float16, little endian, one number per label, without a header.

The position is the label index. float16 keeps three significant digits; a score below 3e-8 becomes 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pack_scores(values: NDArray[np.float64]) -> bytes:
    """Return (C,) scores in [0, 1] as 2 * C bytes."""
    return (values + 0.0).astype("<f2").tobytes()  # the sum turns -0.0 into 0.0


def unpack_scores(packed: bytes) -> NDArray[np.float32]:
    """Return the (C,) float32 scores in [0, 1] that ``pack_scores`` packed.

    Raises:
        ValueError: The number of bytes is odd.
    """
    return np.frombuffer(packed, "<f2").astype(np.float32)
