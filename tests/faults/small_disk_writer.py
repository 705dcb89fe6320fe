"""The writer of recordings on a disk with hardly any room: the system takes no more than some kilobytes of a file."""

import resource
import sys

from sonic_runtime.record.writer import main

DISK_BYTES = 40_000

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK_BYTES, DISK_BYTES))
    sys.exit(main())
