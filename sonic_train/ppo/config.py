"""Options of the learner."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

PositiveInt = Annotated[int, msgspec.Meta(ge=1)]


class PPOConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rollout and its update; the defaults learn tracking on one GPU (after mjlab's and rsl_rl's recipes)."""

    steps_per_env: PositiveInt = 24
    """Control steps of a rollout."""
    epochs: PositiveInt = 5
    minibatches: PositiveInt = 4
    """Per epoch; rows are shuffled over environments and time."""
    gamma: float = 0.99
    lam: float = 0.95
    """Lambda of the generalised advantage estimate."""

    clip: float = 0.2
    """Bound of the probability ratio, and of the change of a value in the clipped value loss."""
    clip_value_loss: bool = True
    value_coef: float = 1.0
    entropy_coef: float = 0.005
    aux_coef: float = 1.0
    """Factor on the sum of the auxiliary losses, whose own coefficients are in the network's configuration."""

    learning_rate: float = 1e-3
    min_learning_rate: float = 1e-5
    max_learning_rate: float = 1e-2
    desired_kl: float = 0.01
    """Learning rate moves by 1.5 down above twice this, up below half of it; 0 keeps it constant."""
    critic_learning_rate_factor: float = 1.0
    """Learning rate of the critic over that of the actor."""
    max_grad_norm: float = 1.0
    weight_decay: float = 0.0

    matmul: Literal["tf32", "highest"] = "tf32"
    """Precision of fp32 matrix products on the GPU, the same in rollout and update."""
    compile: bool = False
    """Compile the minibatch forward; costs a minute at the start."""
    seed: int = 0
    """Of the first process; process r uses seed + r."""
