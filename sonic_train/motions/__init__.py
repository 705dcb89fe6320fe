"""Reference motions as flat buffers on the training device."""
