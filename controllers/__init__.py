"""Controllers: each turns a robot state and a goal into a joint target."""
