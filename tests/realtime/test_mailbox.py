"""Mailboxes: the newest record, whole, whatever the other side does."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from sonic_runtime.contract.errors import RobotError
from sonic_runtime.robot_io.mailbox import MailboxReader, MailboxWriter, create_mailbox, map_memory, shared_memory

LAYOUT = np.dtype([("number", "<u8"), ("values", "<f8", (200,))])

SPAMMER = """
import sys, numpy as np
from sonic_runtime.robot_io.mailbox import MailboxWriter
box = MailboxWriter(int(sys.argv[1]), np.dtype([("number", "<u8"), ("values", "<f8", (200,))]))
i = 0
while True:
    i += 1
    box.fields["number"] = i
    box.fields["values"] = i
    box.put()
"""


@pytest.fixture
def fd():
    fd = create_mailbox(LAYOUT)
    yield fd
    os.close(fd)


@pytest.fixture
def box(fd):
    writer, reader = MailboxWriter(fd, LAYOUT), MailboxReader(fd, LAYOUT)
    yield writer, reader
    writer.close()
    reader.close()


def put(writer, value):
    writer.fields["number"] = value
    writer.fields["values"] = value
    return writer.put()


def test_nothing_before_the_first_record(box):
    _, reader = box
    assert reader.newest() is None
    assert reader.number == 0


def test_the_newest_record_is_read_and_earlier_copies_do_not_change(box):
    writer, reader = box
    records = []
    for value in range(1, 12):
        assert put(writer, value) == value
        records.append(reader.newest())
    assert [r.number for r in records] == list(range(1, 12))
    assert all((r.fields["values"][0] == r.number).all() for r in records)
    with pytest.raises(ValueError, match="read-only"):
        records[0].fields["values"][0][0] = 1.0


def test_a_second_reader_sees_the_same(fd, box):
    writer, reader = box
    put(writer, 7)
    assert MailboxReader(fd, LAYOUT).newest().fields["number"] == reader.newest().fields["number"] == 7


def test_a_successor_of_the_writer_counts_on(fd, box):
    writer, reader = box
    put(writer, 1)
    assert put(MailboxWriter(fd, LAYOUT), 2) == 2
    assert reader.newest().number == 2


@pytest.mark.parametrize("killed_after", [8, 12, 16, 100, 800])
def test_a_writer_killed_halfway_leaves_the_record_before(fd, box, killed_after):
    """The slot of record 6 holds the first bytes of it and the rest of record 2, and 6 is not published."""
    writer, reader = box
    for value in range(1, 6):
        put(writer, value)
    with map_memory(fd, os.fstat(fd).st_size, writable=True) as memory:
        before = bytes(memory)
        put(writer, 6)
        after = bytes(memory)
        first = next(i for i in range(128, len(after)) if after[i] != before[i])
        memory[128:] = after[128 : first + killed_after] + before[first + killed_after :]
        memory[64:72] = before[64:72]
        assert reader.newest().number == 5
        # and were its number to be seen before its content, as on a processor that reorders stores:
        memory[64:72] = after[64:72]
        assert reader.newest() is None
        assert reader.torn == 1


@pytest.mark.parametrize("byte", [0, 8, 12, 16, 23])
def test_any_damage_is_noticed(fd, box, byte):
    writer, reader = box
    put(writer, 1)
    with map_memory(fd, os.fstat(fd).st_size, writable=True) as memory:
        stride = (len(memory) - 128) // 4
        memory[128 + stride + 16 + byte] ^= 1
        assert reader.newest() is None


def test_records_are_whole_while_another_process_writes_without_pause(fd):
    reader = MailboxReader(fd, LAYOUT)
    process = subprocess.Popen([sys.executable, "-c", SPAMMER, str(fd)], pass_fds=[fd])
    try:
        deadline = time.monotonic() + 30.0
        while reader.number == 0:
            assert time.monotonic() < deadline
        last = whole = 0
        for _ in range(20_000):
            record = reader.newest()
            if record is None:
                continue
            whole += 1
            assert (record.fields["values"][0] == record.fields["number"][0]).all()
            assert record.number >= last
            last = record.number
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert whole > 10_000
    # killed in the middle of it all, the box still gives a whole record
    record = reader.newest()
    assert record is not None
    assert (record.fields["values"][0] == record.fields["number"][0]).all()


def test_another_layout_is_refused(fd):
    with pytest.raises(RobotError, match="same version"):
        MailboxReader(fd, np.dtype([("number", "<u8"), ("others", "<f8", (200,))]))
    with pytest.raises(RobotError, match=r"expected .* bytes behind descriptor"):
        MailboxReader(fd, np.dtype([("number", "<u8"), ("values", "<f8", (2000,))]))


def test_what_is_no_mailbox_is_refused(tmp_path):
    blank = shared_memory(1 << 16)
    with pytest.raises(RobotError, match="magic"):
        MailboxReader(blank, LAYOUT)
    os.close(blank)
    with pytest.raises(RobotError, match=r"expected .* bytes behind descriptor"):
        MailboxReader(blank, LAYOUT)


def test_a_reader_cannot_write(fd):
    with map_memory(fd, 64, writable=False) as memory, pytest.raises(TypeError):
        memory[0] = 1


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no sealed memory on this system")
def test_the_memory_has_no_name_is_private_and_keeps_its_size(fd):
    assert os.fstat(fd).st_nlink == 0
    assert os.fstat(fd).st_mode & 0o777 == 0o600
    assert not os.get_inheritable(fd)
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 10)


def test_a_mapping_outlives_the_descriptor():
    fd = create_mailbox(LAYOUT)
    writer, reader = MailboxWriter(fd, LAYOUT), MailboxReader(fd, LAYOUT)
    os.close(fd)
    put(writer, 3)
    assert reader.newest().fields["number"] == 3


def test_without_memfd_a_file_without_a_name_does(monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    fd = create_mailbox(LAYOUT)
    writer, reader = MailboxWriter(fd, LAYOUT), MailboxReader(fd, LAYOUT)
    put(writer, 9)
    assert reader.newest().fields["number"] == 9
    assert os.fstat(fd).st_nlink == 0
    os.close(fd)
