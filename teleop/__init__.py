"""Goal sources: streams, motion files and the wire format they arrive in."""
