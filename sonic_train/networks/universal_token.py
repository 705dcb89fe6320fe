"""Encoders, quantiser and decoders around the universal motion token."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sonic_train.networks.config import NetworkConfig
from sonic_train.networks.mlp import MLP
from sonic_train.networks.quantizer import TOKEN_DIM
from sonic_train.networks.token_inputs import ENCODER_DIMS, ENCODER_NAMES, encoder_inputs


class UniversalTokenModule(nn.Module):
    """Three encoders into one latent space, a decoder to actions and one back to the reference.

    All encoders run on all rows: a dense product costs less than gathering rows, and nothing waits for the device.

    Args:
        config: hidden sizes and dims.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        encoders = {name: MLP(ENCODER_DIMS[name], config.encoder_hidden, TOKEN_DIM) for name in ENCODER_NAMES}
        if config.init_latent_std > 0.0:
            for encoder in encoders.values():
                encoder.preserve_variance(config.init_latent_std)
        self.encoders = nn.ModuleDict(encoders)
        self.decoders = nn.ModuleDict(
            {
                "g1_dyn": MLP(TOKEN_DIM + config.policy_dim, config.g1_dyn_hidden, config.action_dim),
                "g1_kin": MLP(TOKEN_DIM, config.g1_kin_hidden, ENCODER_DIMS["g1"]),
            }
        )

    def encode(self, tokenizer: Tensor) -> dict[str, Tensor]:
        """Return the latents before quantisation, (B, 64) f32 by encoder name.

        Args:
            tokenizer: (B, 1761) f32 tokenizer observation, normalised where the model normalises.
        """
        inputs = encoder_inputs(tokenizer)
        return {name: self.encoders[name](inputs[name]) for name in ENCODER_NAMES}

    def encode_g1(self, encoder_input: Tensor) -> Tensor:
        """Encode inputs of the g1 encoder, (B, 640), to latents (B, 64)."""
        return self.encoders["g1"](encoder_input)

    def decode_action(self, token: Tensor, policy: Tensor) -> Tensor:
        """Return the mean action (B, 29), policy order, of tokens (B, 64) and normalised proprioception (B, 930)."""
        return self.decoders["g1_dyn"](torch.cat([token, policy], dim=-1))

    def decode_reference(self, token: Tensor) -> Tensor:
        """Return the input of the g1 encoder (B, 640) that a token (B, 64) stands for, normalised as that input is."""
        return self.decoders["g1_kin"](token)


def select_control_latent(latents: dict[str, Tensor], bits: Tensor) -> Tensor:
    """Return the latents that control each row: those of the last set bit, and of g1 where none is set.

    Args:
        latents: (B, 64) f32 by encoder name.
        bits: (B, 3) bool in the order g1, teleop, smpl.

    Returns:
        (B, 64) f32.
    """
    selected = latents[ENCODER_NAMES[0]]
    for i, name in enumerate(ENCODER_NAMES[1:], start=1):
        selected = torch.where(bits[:, i : i + 1], latents[name], selected)
    return selected
