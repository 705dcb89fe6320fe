"""FSQ against values worked out from the formula, and its grid."""

from __future__ import annotations

import math

import torch

from sonic_train.networks.quantizer import bound_latents, quantize, quantize_exactly


def test_hand_computed_values():
    # half range 15.5155, shift atanh(0.5/15.5155) = 0.0322375
    half, shift = 31 * 1.001 / 2, math.atanh(0.5 / (31 * 1.001 / 2))
    latents = [-100.0, -1.0, -0.1, 0.0, 0.03, 0.1, 1.0, 100.0]
    expected = [round(math.tanh(z + shift) * half - 0.5) / 16 for z in latents]
    assert expected[0] == -1.0
    assert expected[3] == 0.0
    assert expected[-1] == 0.9375
    assert quantize(torch.tensor(latents)).tolist() == expected


def test_there_are_32_levels_in_steps_of_a_sixteenth():
    tokens = quantize_exactly(torch.linspace(-8.0, 8.0, 200_001)).unique()
    assert tokens.tolist() == [k / 16 for k in range(-16, 16)]


def test_training_and_export_forms_agree():
    latents = torch.randn(4096, 64, generator=torch.Generator().manual_seed(0)) * 2
    assert (quantize(latents) - quantize_exactly(latents)).abs().max() < 1e-6


def test_gradient_passes_straight_through_the_rounding():
    latents = torch.tensor([-2.0, -0.3, 0.0, 0.7, 2.0], requires_grad=True)
    quantize(latents).sum().backward()
    straight = latents.detach().clone().requires_grad_()
    (bound_latents(straight) / 16).sum().backward()
    assert torch.allclose(latents.grad, straight.grad)
    assert (latents.grad > 0).all()


def test_half_precision_input_is_quantised_in_full_precision():
    assert quantize(torch.zeros(3, dtype=torch.bfloat16)).dtype == torch.float32
