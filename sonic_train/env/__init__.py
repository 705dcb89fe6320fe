"""The tracking environment: pure tensor terms, and one adapter to Isaac Lab."""
