"""The two graphs that are exported, with the inputs of the published SONIC files."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sonic_train.networks.actor_critic import ActorCritic
from sonic_train.networks.quantizer import TOKEN_DIM, quantize_exactly
from sonic_train.networks.token_inputs import ENCODER_NAMES, encoder_inputs

MODE_DIM = 4
"""Mode number and three unused values, where the trainer's tokenizer observation has its three encoder bits."""

ENCODER_INPUT_DIM = 1762
DECODER_INPUT_DIM = 994


def encoder_input(tokenizer: Tensor, mode: int) -> Tensor:
    """Return the encoder's input (B, 1762) for a tokenizer observation (B, 1761) of the trainer.

    Args:
        tokenizer: raw observation; its three bits are dropped.
        mode: 0 g1, 1 teleop, 2 smpl.
    """
    head = torch.zeros_like(tokenizer[:, :MODE_DIM])
    head[:, 0] = mode
    return torch.cat([head, tokenizer[:, MODE_DIM - 1 :]], dim=-1)


def tokenizer_of(obs_dict: Tensor) -> Tensor:
    """Return the tokenizer observation (B, 1761), its bits zero, of an encoder input (B, 1762)."""
    bits = torch.zeros_like(obs_dict[:, : MODE_DIM - 1])
    return torch.cat([bits, obs_dict[:, MODE_DIM:]], dim=-1)


class EncoderGraph(nn.Module):
    """[mode 1 | unused 3 | reference terms 1758] to the token of the encoder that the mode selects.

    Args:
        model: trained model; its normaliser becomes part of the graph.
    """

    modes: Tensor

    def __init__(self, model: ActorCritic) -> None:
        super().__init__()
        self.module = model.actor.actor_module
        self.normalizer = model.normalizers["tokenizer"]
        self.register_buffer("modes", torch.arange(len(ENCODER_NAMES), dtype=torch.float32).unsqueeze(1))

    def latent(self, obs_dict: Tensor) -> Tensor:
        """Return the selected latent (1, 64) before quantisation for an input (1, 1762)."""
        latents = self.module.encode(self.normalizer(tokenizer_of(obs_dict)))
        chosen = (self.modes == obs_dict[:, :1]).float()
        return (torch.cat([latents[name] for name in ENCODER_NAMES], dim=0) * chosen).sum(dim=0, keepdim=True)

    def forward(self, obs_dict: Tensor) -> Tensor:
        """Map (1, 1762) f32 to the token (1, 64) f32."""
        return quantize_exactly(self.latent(obs_dict))


class OneEncoderGraph(nn.Module):
    """The same input to the token of one encoder, whatever the mode says.

    Args:
        graph: the graph of all encoders.
        name: encoder that runs.
    """

    def __init__(self, graph: EncoderGraph, name: str) -> None:
        super().__init__()
        self.encoder = graph.module.encoders[name]
        self.normalizer = graph.normalizer
        self.name = name

    def forward(self, obs_dict: Tensor) -> Tensor:
        """Map (1, 1762) f32 to the token (1, 64) f32."""
        return quantize_exactly(self.encoder(encoder_inputs(self.normalizer(tokenizer_of(obs_dict)))[self.name]))


class DecoderGraph(nn.Module):
    """[token 64 | proprioception 930] to the mean action.

    Args:
        model: trained model; proprioception is normalised inside, the token is not.
    """

    def __init__(self, model: ActorCritic) -> None:
        super().__init__()
        self.module = model.actor.actor_module
        self.normalizer = model.normalizers["policy"]

    def forward(self, obs_dict: Tensor) -> Tensor:
        """Map (1, 994) f32 to the raw action (1, 29) f32, policy order."""
        token, policy = obs_dict[:, :TOKEN_DIM], obs_dict[:, TOKEN_DIM:]
        return self.module.decode_action(token, self.normalizer(policy))
