"""Pickles are data here: what is no array is refused, and nothing in a file runs."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from sonic_runtime.contract.errors import MotionError
from sonic_runtime.motions.pickles import load_arrays

CONTENT = {
    "c": np.arange(12.0).reshape(4, 3),
    "fortran": np.asfortranarray(np.arange(12).reshape(4, 3)),
    "big_endian": np.arange(5, dtype=">f4"),
    "empty": np.zeros((0, 3), np.float32),
    "flags": np.array([True, False]),
    "text": np.array(["a", "bc"]),
    "scalar": np.float64(29.876),
    "plain": [1, 2.5, "x", None, (True,)],
}


def same(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if isinstance(value, np.ndarray):
            assert found[key].dtype.newbyteorder("=") == value.dtype.newbyteorder("=")
            np.testing.assert_array_equal(found[key], value)
            found[key][...] = found[key]  # must be writable
        else:
            assert found[key] == value


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles(tmp_path, protocol):
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(CONTENT, protocol))
    same(load_arrays(path), CONTENT)
    assert np.dtype("f4").isnative  # numpy's shared types were not touched


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)])
def test_joblib_files(tmp_path, compress):
    joblib = pytest.importorskip("joblib", reason="needs the dev extra: joblib")
    path = tmp_path / "m.pkl"
    joblib.dump({"clip": CONTENT}, path, compress=compress)
    same(load_arrays(path)["clip"], CONTENT)


class Touch:
    """Creates a file when unpickled, by whatever means it was given."""

    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


def hostile(marker):
    code = f"open({str(marker)!r}, 'w')"
    return {
        "os.system": Touch(os.system, f"touch {marker}"),
        "eval": Touch(eval, code),
        "exec": Touch(exec, code),
        "open": Touch(open, str(marker), "w"),
        "getattr": Touch(getattr, Touch(__import__, "os"), "system"),
        "numpy.load": Touch(np.load, str(marker)),
        "numpy function": Touch(np.save, str(marker), np.zeros(3)),
    }


@pytest.mark.parametrize("kind", ["os.system", "eval", "exec", "open", "getattr", "numpy.load", "numpy function"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_hostile_pickles_execute_nothing(tmp_path, kind, protocol):
    marker = tmp_path / "marker"
    path = tmp_path / "hostile.pkl"
    path.write_bytes(pickle.dumps({"dof_pos": np.zeros((3, 29)), "x": hostile(marker)[kind]}, protocol))
    with pytest.raises(MotionError, match=r"hostile\.pkl.*nothing in the file was executed"):
        load_arrays(path)
    assert not marker.exists()


def test_the_hostile_pickle_is_real(tmp_path):
    """The same bytes do harm in an ordinary unpickler, else the test above would prove nothing."""
    marker = tmp_path / "marker"
    pickle.loads(pickle.dumps(hostile(marker)["eval"]))
    assert marker.exists()


def test_object_arrays_are_refused(tmp_path):
    path = tmp_path / "objects.pkl"
    path.write_bytes(pickle.dumps(np.array([{}, []], dtype=object)))
    with pytest.raises(MotionError, match="nothing in the file was executed"):
        load_arrays(path)
    joblib = pytest.importorskip("joblib", reason="needs the dev extra: joblib")
    joblib.dump(np.array([{}, []], dtype=object), path)
    with pytest.raises(MotionError, match="nothing in the file was executed"):
        load_arrays(path)


def test_state_on_a_function_is_refused(tmp_path):
    """BUILD on an allowed function would change it for everybody."""
    path = tmp_path / "build.pkl"
    path.write_bytes(b"\x80\x02c_codecs\nencode\n}X\x01\x00\x00\x00aK\x01sb.")
    with pytest.raises(MotionError, match="nothing in the file was executed"):
        load_arrays(path)


def test_every_truncation_is_one_clear_error(tmp_path):
    whole = pickle.dumps({"a": np.arange(50.0), "b": "text"})
    path = tmp_path / "cut.pkl"
    for length in range(1, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(MotionError, match=r"cut\.pkl"):
            load_arrays(path)


def test_truncated_joblib_array(tmp_path):
    joblib = pytest.importorskip("joblib", reason="needs the dev extra: joblib")
    path = tmp_path / "cut.pkl"
    for compress in (0, ("gzip", 3), ("zlib", 3)):
        joblib.dump({"a": np.random.default_rng(0).normal(size=400)}, path, compress=compress)
        path.write_bytes(path.read_bytes()[:-1500])
        with pytest.raises(MotionError, match=r"cut\.pkl.*(truncated|damaged)"):
            load_arrays(path)


def test_noise_is_one_clear_error(tmp_path):
    rng = np.random.default_rng(3)
    whole = np.frombuffer(pickle.dumps({"a": np.arange(20.0), "b": ["text", 1]}), dtype=np.uint8)
    path = tmp_path / "noise.pkl"
    for _ in range(300):
        noisy = whole.copy()
        noisy[rng.integers(0, len(noisy), size=3)] = rng.integers(0, 256, size=3)
        path.write_bytes(noisy.tobytes())
        try:
            load_arrays(path)
        except MotionError as error:
            assert "noise.pkl" in str(error)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS pointer"),
        (b"", "empty file"),
        (b"just some text", "damaged or truncated"),
    ],
)
def test_not_a_pickle(tmp_path, content, message):
    path = tmp_path / "m.pkl"
    path.write_bytes(content)
    with pytest.raises(MotionError, match=message):
        load_arrays(path)


def test_missing_file(tmp_path):
    with pytest.raises(MotionError, match=r"absent\.pkl.*No such file"):
        load_arrays(tmp_path / "absent.pkl")
