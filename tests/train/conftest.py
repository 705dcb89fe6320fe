"""Without torch (the base install) the tests of this folder are skipped, each file with the reason."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_WITHOUT_TORCH = ("test_config.py", "test_shipped_policy.py")
"""Need none, or say themselves that they do."""


class _NeedsTorch(pytest.Module):
    def collect(self):
        pytest.skip("needs torch (the train extra)", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    if importlib.util.find_spec("torch") is not None or module_path.name in _WITHOUT_TORCH:
        return None
    return _NeedsTorch.from_parent(parent, path=module_path)
