"""Input vectors are numbers, whatever the network would make of them: some swallow NaN in a comparison or a clamp."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import ContractError


def require_finite(
    part: str, vector: npt.NDArray[np.float32], terms: Sequence[tuple[str, int]]
) -> npt.NDArray[np.float32]:
    """Return a vector as it is, if it is finite.

    Args:
        part: whose input it is, for the message.
        vector: (1, n) f32.
        terms: name and size of each term, in order.

    Raises:
        ContractError: a number is NaN or infinite; the message names the first such term.
    """
    row = vector[0]
    # the sum of squares is finite only if every value is, and costs a tenth of a mask; huge values need the mask
    if math.isfinite(row.dot(row)):
        return vector
    bad = np.flatnonzero(~np.isfinite(row))
    if not len(bad):
        return vector
    index = int(bad[0])
    name, start = "beyond its terms", 0
    for term, size in terms:
        if index < start + size:
            name = term
            break
        start += size
    raise ContractError(
        f"{part} input: expected finite numbers, found {row[index]} in {name} at element {index - start} "
        f"and {len(bad)} such in all"
    )
