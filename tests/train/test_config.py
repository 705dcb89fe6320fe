"""configs/train.yaml and the presets against the schema."""

from __future__ import annotations

import typing
from pathlib import Path

import msgspec
import pytest
import yaml

from sonic_runtime.config import load_config, packaged_configs, save_config
from sonic_runtime.contract.errors import ConfigError
from sonic_train.config import TrainConfig

PRESETS = sorted(path.stem for path in (packaged_configs() / "preset").glob("*.yaml"))


def _schema_keys(schema: type[msgspec.Struct], prefix: str = "") -> set[str]:
    keys: set[str] = set()
    for name, hint in typing.get_type_hints(schema).items():
        nested = isinstance(hint, type) and issubclass(hint, msgspec.Struct)
        keys |= _schema_keys(hint, f"{prefix}{name}.") if nested else {f"{prefix}{name}"}
    return keys


def _yaml_keys(values: object, prefix: str = "") -> set[str]:
    if not isinstance(values, dict):
        return {prefix.rstrip(".")}
    return set().union(*(_yaml_keys(value, f"{prefix}{name}.") for name, value in values.items()))


def _yaml(path: Path) -> dict[str, object]:
    return yaml.safe_load(path.read_text())


def test_the_file_has_exactly_the_keys_of_the_schema():
    values = _yaml(packaged_configs() / "train.yaml")
    values.pop("defaults")
    assert _yaml_keys(values) == _schema_keys(TrainConfig)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_change_known_keys_and_convert(preset):
    values = _yaml(packaged_configs() / "preset" / f"{preset}.yaml")
    values.pop("defaults", None)
    assert _yaml_keys(values) <= _schema_keys(TrainConfig)
    config = msgspec.to_builtins(load_config("train", [f"preset={preset}"], TrainConfig))
    for key in _yaml_keys(values):
        wanted, found = values, config
        for part in key.split("."):
            wanted, found = wanted[part], found[part]  # type: ignore[index]
        assert msgspec.convert(wanted, type(found), strict=False) == found, key


def test_a_saved_configuration_is_accepted_again(tmp_path):
    config = load_config("train", ["preset=release", "num_envs=7"], TrainConfig)
    save_config(config, tmp_path)
    assert load_config("config", [], TrainConfig, folder=tmp_path) == config


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("num_envz=4", "did you mean 'num_envs'"),
        ("ppo.minibatches=0", "ppo.minibatches: expected int >= 1, found 0"),
        ("iterations=0", "iterations: expected int >= 1, found 0"),
        ("device=tpu", "device: expected one of auto, cpu, cuda"),
        ("preset=large", "expected one of release, small, small_stage1, small_stage2, smoke"),
    ],
)
def test_wrong_values_are_named(argument, message):
    with pytest.raises(ConfigError) as error:
        load_config("train", [argument], TrainConfig)
    assert message in str(error.value)
