"""Masked auxiliary losses against a loop over rows."""

from __future__ import annotations

import pytest
import torch

from sonic_train.env.layout import TOKENIZER_DIM
from sonic_train.networks.aux_losses import AUX_LOSS_NAMES, aux_coefficients, aux_losses, masked_mse
from sonic_train.networks.config import AuxLossConfig, NetworkConfig
from sonic_train.networks.quantizer import quantize
from sonic_train.networks.token_inputs import encoder_bits, g1_input
from sonic_train.networks.universal_token import UniversalTokenModule, select_control_latent

TINY = NetworkConfig(encoder_hidden=(16,), g1_dyn_hidden=(16,), g1_kin_hidden=(16,), critic_hidden=(16,))


def _mean_over_rows(left, right, rows):
    differences = [((left[i] - right[i]) ** 2).mean() for i in rows]
    return torch.stack(differences).mean() if differences else torch.tensor(0.0)


def _loop(module, tokenizer, align_rows):
    """Compute every loss row by row, by its definition."""
    count = len(tokenizer)
    bits = [tuple(int(b) for b in row) for row in tokenizer[:, :3]]
    z = {name: torch.cat([module.encode(row[None])[name] for row in tokenizer]) for name in ("g1", "teleop", "smpl")}
    every = align_rows == "all"
    smpl = [i for i in range(count) if every or bits[i][2]]
    g1_teleop = [i for i in range(count) if every or (bits[i][0] and bits[i][1])]
    teleop_smpl = [i for i in range(count) if every or (bits[i][1] and bits[i][2])]
    source = ["smpl" if b[2] else "teleop" if b[1] else "g1" for b in bits]
    decoded = torch.cat([module.decode_reference(quantize(z[source[i]][i : i + 1])) for i in range(count)])
    error = (decoded - g1_input(tokenizer)).view(count, 10, 64)
    recon = (error[:, :, :58] ** 2).mean() + (error[:, :, 58:] ** 2).mean()
    cycle = module.encode_g1(module.decode_reference(quantize(z["smpl"])))
    return torch.stack(
        [
            recon,
            _mean_over_rows(z["g1"], z["smpl"], smpl),
            _mean_over_rows(z["g1"], z["teleop"], g1_teleop),
            _mean_over_rows(z["teleop"], z["smpl"], teleop_smpl),
            _mean_over_rows(cycle, z["g1"], smpl),
        ]
    )


def _batch(bits):
    torch.manual_seed(3)
    tokenizer = torch.randn(len(bits), TOKENIZER_DIM)
    tokenizer[:, :3] = torch.tensor(bits, dtype=torch.float32)
    return UniversalTokenModule(TINY), tokenizer


def _losses(module, tokenizer, align_rows):
    latents, bits = module.encode(tokenizer), encoder_bits(tokenizer)
    token = quantize(select_control_latent(latents, bits))
    return aux_losses(module, tokenizer, bits, latents, token, align_rows)


@pytest.mark.parametrize("align_rows", ["routed", "all"])
def test_dense_losses_equal_the_loop(align_rows):
    module, tokenizer = _batch([(1, 0, 0), (0, 1, 0), (1, 0, 1), (1, 1, 1), (1, 0, 0), (1, 1, 1)])
    dense, loop = _losses(module, tokenizer, align_rows), _loop(module, tokenizer, align_rows)
    assert torch.allclose(dense, loop, rtol=1e-4, atol=1e-6)
    assert (loop > 0).all()


def test_routed_losses_are_zero_without_rows():
    module, tokenizer = _batch([(1, 0, 0), (0, 1, 0)])
    losses = dict(zip(AUX_LOSS_NAMES, _losses(module, tokenizer, "routed").tolist(), strict=True))
    assert losses.pop("g1_recon") > 0
    assert set(losses.values()) == {0.0}


def test_gradients_flow_to_both_sides_of_marked_rows_only():
    left, right = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4, requires_grad=True)
    masked_mse(left, right, torch.tensor([1.0, 0.0, 1.0])).backward()
    for grad in (left.grad, right.grad):
        assert grad[[0, 2]].abs().min() > 0
        assert (grad[1] == 0).all()


def test_coefficients_are_in_the_order_of_the_losses():
    config = AuxLossConfig(
        g1_recon=1, g1_smpl_latent=2, g1_teleop_latent=3, teleop_smpl_latent=4, reencoded_smpl_g1_latent=5
    )
    assert aux_coefficients(config) == [1, 2, 3, 4, 5]
