"""sonic-bench streams measures what it says; how fast it was is not asserted, but for a wide margin."""

import msgspec
import pytest

from sonic_runtime.bench.stream_sender import message_of
from sonic_runtime.bench.streams import StreamsBenchConfig, measure_streams, streams_line, streams_tables
from sonic_runtime.config import load_config
from teleop.pose_packet import pack_pose, unpack_pose


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_the_messages_are_sound_and_carry_every_option(version):
    message = unpack_pose(pack_pose(message_of(version, 7, 5)))
    assert message.version == version
    assert message.hands.left_pos is not None
    assert version == 4 or (message.vr is not None and message.heading_increment_rad > 0 and len(message) == 5)


def test_every_message_of_a_second_is_counted():
    config = load_config("bench_streams", ["duration_s=1.0", "versions=[3,4]", "conditions=[idle]"], StreamsBenchConfig)
    results = measure_streams(config)
    line = msgspec.json.decode(msgspec.json.encode(streams_line(config, results)))
    for name in ("v3", "v4"):
        numbers = line["idle"][name]
        assert 80 <= numbers["messages"] <= 120
        assert numbers["rejected"] == 0
        assert 0.0 < numbers["message_p50_ms"] <= numbers["message_p99_ms"] <= numbers["message_p999_ms"]
        assert numbers["message_p50_ms"] < 5.0
    assert line["idle"]["v3"]["bytes_per_message"] > 5000
    (table,) = streams_tables(results)
    assert "v3 message" in table
    assert len(table.splitlines()) == 5
