"""Builds the input vectors of encoder and decoder, in preallocated buffers. Part of the act stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.layout import MODE_TERM, TOKEN_TERM, parse_term_name
from sonic_runtime.contract.manifest import EncoderSpec, TermSpec
from sonic_runtime.contract.messages import Array, Goal, RobotState
from sonic_runtime.observe.history import History
from sonic_runtime.observe.terms import HISTORY_TERMS, REFERENCE_TERMS, Frames, ReferenceTerm, future_frames

Vector = npt.NDArray[np.float32]
_TermSlot = tuple[ReferenceTerm, Vector]
"""A term, and the (frames, dim) view of the input vector that it fills."""
TOKEN_DIM = 64
MODE_DIM = 4


def expected_term(name: str, part: Literal["encoder", "decoder"]) -> TermSpec:
    """Return what this runtime computes under a deploy name: frames and step as the name says, and the size.

    Raises:
        ContractError: no such term; the message lists those that exist.
    """
    base, frames, step = parse_term_name(name)
    known: dict[str, int] = {
        "encoder": {MODE_TERM: MODE_DIM} | {n: t.dim for n, t in REFERENCE_TERMS.items()},
        "decoder": {TOKEN_TERM: TOKEN_DIM} | {n: t.dim for n, t in HISTORY_TERMS.items()},
    }[part]
    if base not in known:
        raise ContractError(f"{part} input {name!r}: this runtime has no such term; it has {', '.join(sorted(known))}")
    return TermSpec(name=name, frames=frames, step=step, dim=known[base] * frames)


def look_ahead_frames(terms: Sequence[TermSpec], encoder: EncoderSpec) -> int:
    """Return how many reference frames an encoder looks at, the current one included: 46 for ten frames, five apart."""
    return max((t.frames - 1) * t.step + 1 for t in terms if t.name in encoder.required_terms)


class EncoderInput:
    """The encoder's input vector.

    Args:
        terms: terms of the vector, in order.
        encoders: encoders and the terms each reads; the others stay zero.

    Attributes:
        vector: (1, sum of dims) f32; the same array for ever.
    """

    def __init__(self, terms: Sequence[TermSpec], encoders: Sequence[EncoderSpec]) -> None:
        self.vector: Vector = np.zeros((1, sum(t.dim for t in terms)), dtype=np.float32)
        self._modes = {encoder.name: encoder.mode_id for encoder in encoders}
        self._plans = {encoder.name: self._plan(terms, encoder) for encoder in encoders}
        self._mode_slot = _slots(terms)[MODE_TERM].start
        self._active: str | None = None

    def fill(self, state: RobotState, goal: Goal) -> Vector:
        """Compute the terms that the goal's encoder reads, and leave every other one zero.

        Returns:
            `vector`; element 0 of `encoder_mode_4` is the mode id, not a one-hot code.

        Raises:
            ContractError: the policy has no such encoder, or the reference lacks what it reads.
        """
        if goal.encoder != self._active:
            self._switch(goal.encoder)
        for offsets, terms in self._plans[goal.encoder]:
            frames = future_frames(goal.reference, offsets)
            for term, out in terms:
                out[:] = term.compute(state, goal, frames)
        return self.vector

    def _switch(self, encoder: str) -> None:
        if encoder not in self._plans:
            raise ContractError(f"goal: expected one of the policy's encoders {sorted(self._plans)}, got {encoder!r}")
        self.vector[:] = 0.0
        self.vector[0, self._mode_slot] = self._modes[encoder]
        self._active = encoder

    def _plan(self, terms: Sequence[TermSpec], encoder: EncoderSpec) -> list[tuple[Frames, list[_TermSlot]]]:
        """Group the terms that an encoder reads by the frames they look at."""
        slots = _slots(terms)
        plan: dict[tuple[int, int], list[_TermSlot]] = {}
        for spec in terms:
            if spec.name == MODE_TERM or spec.name not in encoder.required_terms:
                continue
            base, frames, step = parse_term_name(spec.name)
            out = self.vector[0, slots[spec.name]].reshape(frames, -1)
            plan.setdefault((frames, step), []).append((REFERENCE_TERMS[base], out))
        return [(np.arange(frames, dtype=np.intp) * step, group) for (frames, step), group in plan.items()]


class DecoderInput:
    """The decoder's input vector: the token, and histories of what the robot felt and did, oldest first.

    Args:
        terms: terms of the vector, in order.
        fill: see `History`.

    Attributes:
        vector: (1, sum of dims) f32; the same array for ever.
    """

    def __init__(self, terms: Sequence[TermSpec], fill: Literal["first", "zero"]) -> None:
        self.vector: Vector = np.zeros((1, sum(t.dim for t in terms)), dtype=np.float32)
        slots = _slots(terms)
        self._token = self.vector[0, slots[TOKEN_TERM]]
        self._histories = []
        for spec in terms:
            if spec.name == TOKEN_TERM:
                continue
            base, frames, _ = parse_term_name(spec.name)
            source = HISTORY_TERMS[base]
            values = self.vector[0, slots[spec.name]].reshape(frames, source.dim)
            self._histories.append((source, History(values, fill, source.padding)))

    def reset(self) -> None:
        """Forget the histories."""
        for _, history in self._histories:
            history.reset()

    def fill(self, state: RobotState, last_action_pol: Array, token: Array) -> Vector:
        """Push one sample into every history and put the token in its place.

        Args:
            state: measured now.
            last_action_pol: (29,) clipped network output of the tick before, policy order; zeros at the start.
            token: (64,) motion token.

        Returns:
            `vector`.
        """
        self._token[:] = token
        for source, history in self._histories:
            history.push(source.compute(state, last_action_pol))
        return self.vector


def _slots(terms: Sequence[TermSpec]) -> dict[str, slice]:
    slots, start = {}, 0
    for spec in terms:
        slots[spec.name] = slice(start, start + spec.dim)
        start += spec.dim
    return slots
