import threading

from sonic_runtime.contract.latest import Latest


def test_the_newest_value_wins_and_keeps_its_stamp():
    box: Latest[str] = Latest()
    assert box.get() is None
    assert box.age_ns(5) is None
    box.put("a", 10)
    box.put("b", 20)
    slot = box.get()
    assert slot is not None
    assert (slot.value, slot.stamp_ns) == ("b", 20)
    assert box.age_ns(25) == 5


def test_value_and_stamp_are_never_torn_apart():
    box: Latest[int] = Latest()
    stop = threading.Event()

    def write():
        n = 0
        while not stop.is_set():
            n += 1
            box.put(n, -n)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        slots = [box.get() for _ in range(20000)]
    finally:
        stop.set()
        thread.join()
    assert all(slot is None or slot.stamp_ns == -slot.value for slot in slots)
