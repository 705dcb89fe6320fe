"""The last check between an action and the motors."""
