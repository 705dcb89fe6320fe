"""Chooses the controller of each tick and blends from one to the next.

A blend goes from the last target, frozen, to the new controller's target: position, velocity, gains and feed-forward
torque in a straight line over `blend_s`. It needs nothing of the controller that is left, so that a switch is safe even
where that one can no longer act. Into and out of damping there is no blend: braking is at once, and the ramp raises its
gains by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sonic_runtime.contract.errors import ContractError
from sonic_runtime.contract.messages import Decision, Goal, JointTarget, Mode, RobotState
from sonic_runtime.contract.operator import OperatorEvent
from sonic_runtime.contract.ports import Controller

BUILT_IN = ("damping", "ramp", "stand", "track", "token")
"""Controllers with a part in the state machine; every other name is an imported policy."""


class ControllerSwitch:
    """All controllers of a run behind one `act`.

    Args:
        controllers: by name; damping, ramp, stand and track must be there, token where the policy takes tokens, and any
            further name is an imported policy that the operator can hand over to.
        blend_s: time from one controller to the next [s].

    Attributes:
        current: name of the controller in charge, empty before the first tick.
        policy: name of what is in charge in the modes stand and active: "track", or an imported policy.
    """

    def __init__(self, controllers: Mapping[str, Controller], blend_s: float) -> None:
        self.current = ""
        self.policy = "track"
        self._controllers = dict(controllers)
        self._policies = ["track", *(name for name in controllers if name not in BUILT_IN)]
        self._blend_ns = round(blend_s * 1e9)
        self._blend: tuple[int, JointTarget] | None = None
        self._last: JointTarget | None = None

    def act(self, mode: Mode, state: RobotState, goal: Goal | None, events: Sequence[OperatorEvent] = ()) -> Decision:
        """Return the decision of this tick, blended where a controller has just taken over.

        Raises:
            ContractError: the goal is a token and the policy takes none, or the controller refuses.
        """
        for event in events:
            if event.kind == "policy":
                self.policy = self._policies[(self._policies.index(self.policy) + 1) % len(self._policies)]
        name = self._choose(mode, goal)
        if name != self.current:
            self._take_over(name, state.stamp_ns)
        decision = self._controllers[name].act(state, goal)
        decision = self._blended(decision, state.stamp_ns)
        self._last = decision.target
        return decision

    def _choose(self, mode: Mode, goal: Goal | None) -> str:
        if mode in ("waiting", "damping"):
            return "damping"
        if mode in ("ramp", "ready"):
            return "ramp"
        if self.policy != "track":
            return self.policy
        if mode == "stand" or goal is None:
            return "stand"
        if goal.token is None:
            return "track"
        if "token" not in self._controllers:
            raise ContractError(
                "the stream sends motion tokens: expected a policy whose decoder takes them, this one has none; "
                "choose another policy or stream poses"
            )
        return "token"

    def _take_over(self, name: str, now_ns: int) -> None:
        new, old = self._controllers[name], self._controllers.get(self.current)
        shared = old is not None and old.memory is new.memory
        if not shared:
            new.reset()
            at_once = old is None or "damping" in (name, self.current)
            self._blend = None if at_once or self._last is None else (now_ns, self._last)
        # controllers that share a memory are one policy: a blend that is under way to it goes on
        self.current = name

    def _blended(self, decision: Decision, now_ns: int) -> Decision:
        if self._blend is None:
            return decision
        start_ns, start = self._blend
        weight = (now_ns - start_ns) / self._blend_ns if self._blend_ns else 1.0
        if weight >= 1.0:
            self._blend = None
            return decision
        return replace(decision, target=_between(start, decision.target, weight))


def _between(start: JointTarget, end: JointTarget, weight: float) -> JointTarget:
    """Return the target a share `weight` of the way from start to end."""
    return JointTarget(
        joint_pos_hw=start.joint_pos_hw + weight * (end.joint_pos_hw - start.joint_pos_hw),
        joint_vel_hw=start.joint_vel_hw + weight * (end.joint_vel_hw - start.joint_vel_hw),
        stiffness_hw=start.stiffness_hw + weight * (end.stiffness_hw - start.stiffness_hw),
        damping_hw=start.damping_hw + weight * (end.damping_hw - start.damping_hw),
        torque_ff_hw=start.torque_ff_hw + weight * (end.torque_ff_hw - start.torque_ff_hw),
    )
