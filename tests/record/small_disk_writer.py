"""The writer of recordings on a disk that fills up when a test says so.

SONIC_TEST_FILE_BYTES: files end at so many bytes, which is felt as a disk that is full between one write and the next.
SONIC_TEST_DISK: a file whose content is the number of free bytes; until it is there, there are plenty.
"""

import os
import resource
import sys
from pathlib import Path

from sonic_runtime.record import writer


def free_bytes(stream):
    told = Path(os.environ["SONIC_TEST_DISK"])
    return int(told.read_text() or 0) if told.is_file() else 1 << 40


if __name__ == "__main__":
    if "SONIC_TEST_FILE_BYTES" in os.environ:
        size = int(os.environ["SONIC_TEST_FILE_BYTES"])
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    if "SONIC_TEST_DISK" in os.environ:
        writer.free_bytes = free_bytes
    sys.exit(writer.main())
