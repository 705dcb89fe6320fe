"""Auxiliary losses that make the three encoders speak one language."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from sonic_train.env.layout import FUTURE_FRAMES
from sonic_train.networks.config import AuxLossConfig
from sonic_train.networks.quantizer import quantize
from sonic_train.networks.token_inputs import COMMAND_DIM, g1_input
from sonic_train.networks.universal_token import UniversalTokenModule

AUX_LOSS_NAMES = (
    "g1_recon",
    "g1_smpl_latent",
    "g1_teleop_latent",
    "teleop_smpl_latent",
    "reencoded_smpl_g1_latent",
)
"""Order of the losses in the tensors of this module."""


def masked_mse(left: Tensor, right: Tensor, rows: Tensor) -> Tensor:
    """Return the mean squared difference over the marked rows, 0 where none is marked.

    Args:
        left, right: (B, d) f32; gradients flow to both.
        rows: (B,) f32, 1 for a row that counts and 0 for one that does not.
    """
    per_row = (left - right).square().mean(dim=-1)
    return (per_row * rows).sum() / rows.sum().clamp(min=1.0)


def aux_losses(
    module: UniversalTokenModule,
    tokenizer: Tensor,
    bits: Tensor,
    latents: dict[str, Tensor],
    token: Tensor,
    align_rows: Literal["routed", "all"],
) -> Tensor:
    """Return the unscaled losses, (5,) f32 in the order of AUX_LOSS_NAMES.

    Reconstruction is compared with the g1 encoder's own input: noisy, and normalised where the model normalises (then
    every feature weighs alike; without normalisation it is the raw observation, as in the release). The decoded
    reference can so be fed to the g1 encoder as it is.

    Args:
        module: encoders and decoders.
        tokenizer: (B, 1761) f32, normalised where the model normalises.
        bits: (B, 3) bool of the raw observation: g1, teleop, smpl.
        latents: (B, 64) f32 by encoder, before quantisation.
        token: (B, 64) f32 token that controls each row.
        align_rows: which rows the latent losses see.
    """
    ones = torch.ones_like(token[:, 0])
    smpl_rows = bits[:, 2].float() if align_rows == "routed" else ones
    teleop_rows = (bits[:, 0] & bits[:, 1]).float() if align_rows == "routed" else ones
    teleop_smpl_rows = (bits[:, 1] & bits[:, 2]).float() if align_rows == "routed" else ones
    target = g1_input(tokenizer)
    cycled = module.encode_g1(module.decode_reference(quantize(latents["smpl"])))
    return torch.stack(
        [
            _reconstruction(module.decode_reference(token), target),
            masked_mse(latents["g1"], latents["smpl"], smpl_rows),
            masked_mse(latents["g1"], latents["teleop"], teleop_rows),
            masked_mse(latents["teleop"], latents["smpl"], teleop_smpl_rows),
            masked_mse(cycled, latents["g1"], smpl_rows),
        ]
    )


def _reconstruction(decoded: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error of the command rows plus that of the orientations, both of (B, 640)."""
    squared = (decoded - target).square().unflatten(1, (FUTURE_FRAMES, -1))
    return squared[..., :COMMAND_DIM].mean() + squared[..., COMMAND_DIM:].mean()


def aux_coefficients(config: AuxLossConfig) -> list[float]:
    """Return the coefficients in the order of AUX_LOSS_NAMES."""
    return [getattr(config, name) for name in AUX_LOSS_NAMES]
