"""Builds the input vectors of encoder and decoder, in preallocated buffers. Part of the act stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.layout import TOKEN_TERM, parse_term_name
from sonic_runtime.contract.manifest import EncoderSpec, TermSpec
from sonic_runtime.contract.messages import Array, Goal, RobotState
from sonic_runtime.observe.finite import require_finite
from sonic_runtime.observe.history import History
from sonic_runtime.observe.reference_terms import Frames, future_frames
from sonic_runtime.observe.terms import (
    HISTORY_TERMS,
    MODE_TERMS,
    REFERENCE_TERMS,
    TOKEN_TERMS,
    ReferenceTerm,
    encoder_mode,
    token_state,
)

Vector = npt.NDArray[np.float32]
_TermSlot = tuple[ReferenceTerm, Vector]
"""A term, and the (frames, dim) view of the input vector that it fills."""
_Plan = list[tuple[Frames, list[_TermSlot]]]
"""Terms grouped by the frames they look at, as offsets from the cursor."""
TOKEN_DIM = TOKEN_TERMS[TOKEN_TERM]


def expected_term(name: str, part: Literal["encoder", "decoder"]) -> TermSpec:
    """Return what this runtime computes under a deploy name: frames and step as the name says, and the size.

    Raises:
        ContractError: no such term; the message lists those that exist.
    """
    single = MODE_TERMS if part == "encoder" else TOKEN_TERMS
    if name in single:
        return TermSpec(name=name, frames=1, step=1, dim=single[name])
    base, frames, step = parse_term_name(name)
    known = {n: t.dim for n, t in REFERENCE_TERMS.items()}
    if part == "decoder":
        known |= {n: t.dim for n, t in HISTORY_TERMS.items()}
    if base not in known:
        names = ", ".join(sorted([*single, *known]))
        raise ContractError(f"{part} input {name!r}: this runtime has no such term; it has {names}")
    return TermSpec(name=name, frames=frames, step=step, dim=known[base] * frames)


def look_ahead_frames(terms: Sequence[TermSpec], encoder: EncoderSpec, decoder_terms: Sequence[TermSpec] = ()) -> int:
    """Return how many frames of the reference must be there, the current one included.

    Args:
        terms: terms of the encoder input.
        encoder: the encoder that reads some of them.
        decoder_terms: terms of the decoder input, of which few policies take any from the reference.

    Returns:
        The largest (frames - 1) * step + 1: 46 for ten frames, five apart; 4 for four frames, one apart.
    """
    read = [t for t in terms if t.name in encoder.required_terms]
    read += [t for t in decoder_terms if parse_term_name(t.name)[0] in REFERENCE_TERMS]
    return max(((t.frames - 1) * t.step + 1 for t in read), default=1)


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
        self._plans = {
            encoder.name: _reference_plan(self.vector, terms, frozenset(encoder.required_terms)) for encoder in encoders
        }
        self._mode_slots = [(MODE_TERMS[name], slot) for name, slot in _slots(terms).items() if name in MODE_TERMS]
        self._active: str | None = None
        self._sizes = [(term.name, term.dim) for term in terms]

    def fill(self, state: RobotState, goal: Goal) -> Vector:
        """Compute the terms that the goal's encoder reads, and leave every other one zero.

        Returns:
            `vector`.

        Raises:
            ContractError: the policy has no such encoder, the reference lacks what it reads, or a term is not finite.
        """
        if goal.encoder != self._active:
            self._switch(goal.encoder)
        _fill_references(self._plans[goal.encoder], state, goal)
        return require_finite("encoder", self.vector, self._sizes)

    def _switch(self, encoder: str) -> None:
        if encoder not in self._plans:
            raise ContractError(f"goal: expected one of the policy's encoders {sorted(self._plans)}, got {encoder!r}")
        self.vector[:] = 0.0
        for size, slot in self._mode_slots:
            self.vector[0, slot] = encoder_mode(self._modes[encoder], size)
        self._active = encoder


class DecoderInput:
    """The decoder's input vector: the token, histories of what the robot felt and did, terms of the reference.

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
        self._plan = _reference_plan(self.vector, terms, frozenset(slots))
        self._sizes = [(term.name, term.dim) for term in terms]
        self._histories = []
        for spec in terms:
            base, frames, step = parse_term_name(spec.name)
            if base not in HISTORY_TERMS:
                continue
            source = HISTORY_TERMS[base]
            values = self.vector[0, slots[spec.name]].reshape(frames, source.dim)
            self._histories.append((source, History(values, fill, source.padding, step)))

    def reset(self) -> None:
        """Forget the histories."""
        for _, history in self._histories:
            history.reset()

    def fill(self, state: RobotState, last_action_pol: Array, token: Array, goal: Goal | None = None) -> Vector:
        """Push one sample into every history, compute the terms of the reference, and put the token in its place.

        Args:
            state: measured now.
            last_action_pol: (29,) clipped network output of the tick before, policy order; zeros at the start.
            token: (64,) motion token.
            goal: what to follow; needed where the policy takes terms of the reference here too.

        Returns:
            `vector`.

        Raises:
            ContractError: a term of the reference is wanted, and there is no goal or it lacks what the term reads; or
                a term is not finite.
        """
        self._token[:] = token_state(token)
        if self._plan:
            if goal is None:
                raise ContractError("decoder input: expected a goal for its terms of the reference, got none")
            _fill_references(self._plan, state, goal)
        for source, history in self._histories:
            history.push(source.compute(state, last_action_pol))
        return require_finite("decoder", self.vector, self._sizes)


def _reference_plan(vector: Vector, terms: Sequence[TermSpec], wanted: frozenset[str]) -> _Plan:
    slots = _slots(terms)
    plan: dict[tuple[int, int], list[_TermSlot]] = {}
    for spec in terms:
        base, frames, step = parse_term_name(spec.name)
        if spec.name not in wanted or base not in REFERENCE_TERMS:
            continue
        out = vector[0, slots[spec.name]].reshape(frames, -1)
        plan.setdefault((frames, step), []).append((REFERENCE_TERMS[base], out))
    return [(np.arange(frames, dtype=np.intp) * step, group) for (frames, step), group in plan.items()]


def _fill_references(plan: _Plan, state: RobotState, goal: Goal) -> None:
    for offsets, terms in plan:
        frames = future_frames(goal.reference, offsets)
        for term, out in terms:
            out[:] = term.compute(state, goal, frames)


def _slots(terms: Sequence[TermSpec]) -> dict[str, slice]:
    slots, start = {}, 0
    for spec in terms:
        slots[spec.name] = slice(start, start + spec.dim)
        start += spec.dim
    return slots
