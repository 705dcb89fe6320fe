"""Proximal policy optimisation: collect, returns, losses, update."""
