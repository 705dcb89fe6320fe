"""Sizes and options of the networks; the values of a run come from configs/train.yaml and configs/preset/*.yaml."""

from __future__ import annotations

from typing import Literal

import msgspec

from sonic_train.env.layout import ACTION_DIM, CRITIC_DIM, POLICY_DIM


class AuxLossConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Coefficients of the auxiliary losses; the defaults are those of the SONIC release."""

    g1_recon: float = 0.01
    """Reconstruction of the g1 encoder's input from the control token."""
    g1_smpl_latent: float = 1.0
    g1_teleop_latent: float = 1.0
    teleop_smpl_latent: float = 1.0
    reencoded_smpl_g1_latent: float = 1.0
    """Cycle: smpl token, decoded by g1_kin, encoded by g1, against the g1 latent."""
    align_rows: Literal["routed", "all"] = "routed"
    """Rows of the latent losses: those whose encoder bits are set (as in the release), or every row."""


class NetworkConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides the shapes of the weights, and the action noise."""

    encoder_hidden: tuple[int, ...] = (512, 256)
    g1_dyn_hidden: tuple[int, ...] = (1024, 512, 256)
    g1_kin_hidden: tuple[int, ...] = (512, 256)
    critic_hidden: tuple[int, ...] = (1024, 512, 256)
    policy_dim: int = POLICY_DIM
    critic_dim: int = CRITIC_DIM
    action_dim: int = ACTION_DIM

    init_latent_std: float = 0.5
    """Spread of the latents at the start, for inputs of unit variance. Torch's own initialisation (chosen by 0, as in
    the release) lets it shrink to about one level of the quantiser, so that tokens say nothing at first."""

    init_std: float = 1.0
    """Standard deviation of the action noise at the start, in units of the raw action."""
    min_std: float = 0.05
    max_std: float = 1.5
    std_type: Literal["scalar", "log"] = "scalar"
    """Whether the parameter is the standard deviation itself or its logarithm."""

    normalize_policy: bool = True
    normalize_tokenizer: bool = True
    normalize_critic: bool = True
    normalized_limit: float = 10.0
    """Normalised observations are clamped to plus and minus this."""

    aux: AuxLossConfig = AuxLossConfig()
