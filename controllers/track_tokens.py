"""Follows motion tokens that come ready made: the decoder alone, no encoder."""

from __future__ import annotations

from controllers.track_motion import TrackMotion
from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.layout import TOKEN_TERM, parse_term_name
from sonic_runtime.contract.messages import Decision, Goal, RobotState
from sonic_runtime.observe.assemble import TOKEN_DIM
from sonic_runtime.observe.terms import REFERENCE_TERMS


class TrackTokens:
    """A controller that hands the goal's token to the decoder.

    It shares histories and last action with the tracker, so that tokens and motions can take turns without a reset.

    Args:
        tracker: the controller whose decoder runs.

    Raises:
        ContractError: its decoder takes no token of 64 numbers, or reads the reference besides, which tokens lack.
    """

    def __init__(self, tracker: TrackMotion) -> None:
        decoder = tracker.policy.decoder
        found = {term.name: term.dim for term in decoder.inputs}
        if found.get(TOKEN_TERM) != TOKEN_DIM:
            raise ContractError(
                f"tokens: expected a decoder that takes {TOKEN_TERM} of {TOKEN_DIM} numbers, this one takes "
                f"{', '.join(f'{name} ({dim})' for name, dim in found.items())}; choose another policy or stream poses"
            )
        reads = [name for name in found if parse_term_name(name)[0] in REFERENCE_TERMS]
        if reads:
            raise ContractError(
                f"tokens: expected a decoder that needs nothing but the token and what the robot feels, this one also "
                f"reads the reference ({', '.join(reads)}); stream poses"
            )
        self._tracker = tracker

    @property
    def memory(self) -> object:
        """The tracker's: histories and last action."""
        return self._tracker.memory

    def reset(self) -> None:
        """Forget histories and last action."""
        self._tracker.reset()

    def act(self, state: RobotState, goal: Goal | None) -> Decision:
        """Return the decoder's decision for the goal's token.

        Raises:
            ContractError: there is no goal, or it has no token.
        """
        if goal is None or goal.token is None:
            found = "no goal" if goal is None else "a goal without one"
            raise ContractError(
                f"track_tokens: expected a goal with a token, got {found}; this controller is for those"
            )
        return self._tracker.act_on_token(state, goal.token, goal)
