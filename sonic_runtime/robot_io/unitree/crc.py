"""The checksum of LowCmd and LowState: CRC-32/MPEG-2 over the C image of the message without its last word.

Polynomial 0x04C11DB7, start value 0xFFFFFFFF, neither reflected nor inverted at the end, fed with 32-bit words, the
most significant byte first. Fed so, it is zlib's CRC of the same bytes with their bits reversed, which runs in C.

The C image is the struct as a compiler lays it out, zero where it is padded. It differs from the bytes on the wire
(without their 4-byte header) only around the mode of motor 0, where CDR needs no padding.
"""

from __future__ import annotations

import zlib

import numpy as np

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def crc_of_words(image: bytes) -> int:
    """Return the checksum of an image whose length is a multiple of 4 bytes."""
    words = np.frombuffer(image, dtype="<u4").byteswap().tobytes()
    reflected = zlib.crc32(words.translate(_REVERSED)) ^ 0xFFFFFFFF
    # 32 bits in reverse: the bytes in reverse, and the bits of each
    return int.from_bytes(reflected.to_bytes(4, "little").translate(_REVERSED), "big")


def low_cmd_crc(payload: bytes) -> int:
    """Return the checksum that belongs to a LowCmd.

    Args:
        payload: 1000 bytes, CDR little endian without header.
    """
    return crc_of_words(b"".join((payload[:2], b"\0\0", payload[2:3], b"\0\0\0", payload[4:996])))


def low_state_crc(payload: bytes) -> int:
    """Return the checksum that belongs to a LowState.

    Args:
        payload: 2088 bytes, CDR little endian without header.
    """
    return crc_of_words(b"".join((payload[:70], b"\0\0", payload[70:71], b"\0\0\0", payload[72:2084])))
