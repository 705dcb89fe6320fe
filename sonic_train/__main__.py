"""`python -m sonic_train key=value ...`: what `sonic-train` does, for launchers that start a module."""

from sonic_train.cli import train

raise SystemExit(train())
