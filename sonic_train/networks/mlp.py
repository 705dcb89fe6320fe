"""The only kind of network used: Linear and SiLU in turn, the last layer linear."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class MLP(nn.Module):
    """Linear layers at the even places of `module`, SiLU between them; the state-dict layout of the SONIC release.

    Args:
        in_dim: number of inputs.
        hidden: widths of the hidden layers.
        out_dim: number of outputs.
    """

    def __init__(self, in_dim: int, hidden: Sequence[int], out_dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width_in, width_out in pairwise([in_dim, *hidden]):
            layers += [nn.Linear(width_in, width_out), nn.SiLU()]
        layers.append(nn.Linear([in_dim, *hidden][-1], out_dim))
        self.module = nn.Sequential(*layers)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (..., in_dim) f32 to (..., out_dim) f32."""
        return self.module(inputs)
