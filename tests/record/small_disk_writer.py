"""The writer of recordings on a disk with little room: files end at 150 kB."""

import resource
import sys

from sonic_runtime.record.writer import main

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
    sys.exit(main())
