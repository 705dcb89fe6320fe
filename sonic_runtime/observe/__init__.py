"""Robot state and goal to the observation vectors a policy reads."""
