"""docs/operating.md says what the program says."""

from pathlib import Path

from sonic_runtime.contract.operator import bindings_table
from sonic_runtime.motions.reference_folder import FILES, METADATA
from teleop.operator_station import OperatorConfig

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "operating.md").read_text()


def test_the_table_of_keys_is_that_of_the_program():
    assert f"```text\n{bindings_table()}\n```" in PAGE


def test_every_device_and_every_file_is_there():
    for name in OperatorConfig.__struct_fields__:
        assert f"`{name}`" in PAGE or f"`operator.{name}`" in PAGE
    for name in (*FILES, METADATA):
        assert f"`{name}`" in PAGE
