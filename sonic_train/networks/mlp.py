"""The only kind of network used: Linear and SiLU in turn, the last layer linear."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

_SILU_GAIN = 1.68
"""Keeps the variance through Linear and SiLU: E[silu(x)^2] = 0.355 for standard normal x."""


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

    @torch.no_grad()
    def preserve_variance(self, output_std: float) -> None:
        """Draw weights anew so that inputs of unit variance give outputs of deviation `output_std`; biases become 0."""
        layers = [layer for layer in self.module if isinstance(layer, nn.Linear)]
        for i, layer in enumerate(layers):
            input_gain = 1.0 if i == 0 else _SILU_GAIN
            gain = input_gain * (output_std if layer is layers[-1] else 1.0)
            nn.init.normal_(layer.weight, std=gain / layer.in_features**0.5)
            nn.init.zeros_(layer.bias)
