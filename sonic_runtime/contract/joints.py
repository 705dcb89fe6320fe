"""Joint orders, and the only place where joint values change order.

Two orders exist: `_hw`, the motor order of the robot (also the order of the MuJoCo model), and `_pol`, the order
the policies were trained in (Isaac Lab's breadth-first order). Both are lists of names; values are moved by name.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import ContractError


class JointOrder:
    """A named order of joints.

    Args:
        label: short name of the order, used in errors ("hw", "pol").
        names: joint names, in order, without repetition.

    Raises:
        ContractError: if a name occurs twice.
    """

    def __init__(self, label: str, names: Sequence[str]) -> None:
        self.label = label
        self.names = tuple(names)
        self._position = {name: i for i, name in enumerate(self.names)}
        if len(self._position) != len(self.names):
            repeated = sorted({n for n in self.names if self.names.count(n) > 1})
            raise ContractError(f"joint order {label!r}: expected unique names, got {repeated} more than once")

    def __len__(self) -> int:
        return len(self.names)

    def index_of(self, names: Sequence[str]) -> npt.NDArray[np.intp]:
        """Return the positions of some joints in this order.

        Args:
            names: joint names, in the order wanted.

        Returns:
            (len(names),) integer positions, so that `values[..., index]` holds the values in the order of `names`.

        Raises:
            ContractError: if a name is not in this order.
        """
        missing = [n for n in names if n not in self._position]
        if missing:
            raise ContractError(
                f"joint order {self.label!r}: no joint {missing}; it has {len(self)} joints: {', '.join(self.names)}"
            )
        return np.array([self._position[n] for n in names], dtype=np.intp)

    def index_in(self, source: JointOrder) -> npt.NDArray[np.intp]:
        """Return for each joint of this order its position in `source`.

        Returns:
            (n,) integer positions: `values_source[..., index]` has this order.
        """
        return source.index_of(self.names)
