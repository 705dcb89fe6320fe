"""The Unitree G1 over DDS: messages, checks, the robot port and the writer's output."""
