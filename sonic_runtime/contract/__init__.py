"""The vocabulary every other package shares: joint orders, rotations, messages, ports, the policy manifest."""
