from typing import Literal

import msgspec
import pytest

from sonic_runtime.bench.tick import BenchConfig
from sonic_runtime.config import describe_config, load_config, make_run_folder, packaged_configs, save_config
from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.guard.config import GuardConfig
from sonic_runtime.run_config import RunConfig
from sonic_runtime.whole_file import write_whole


class Small(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    count: int
    """How many, in
    ones."""
    name: str = "x"
    end: Literal["hold", "stop"] = "hold"
    guard: GuardConfig


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "g1.yaml").write_text((packaged_configs() / "guard" / "g1.yaml").read_text())
    (tmp_path / "small.yaml").write_text("defaults: [{guard: g1}, _self_]\ncount: 1\nname: y\n")
    return tmp_path


@pytest.mark.parametrize(("name", "schema"), [("run", RunConfig), ("bench", BenchConfig)])
def test_the_packaged_files_fit_their_schemas(name, schema):
    load_config(name, [], schema)


def test_overrides_reach_their_keys(folder):
    config = load_config("small", ["count=3", "guard.tilt_rad=1"], Small, folder)
    assert (config.count, config.name, config.guard.tilt_rad) == (3, "y", 1.0)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("count=many", "argument 'count=many': count: expected int, found many"),
        ("count=null", "argument 'count=null': count: expected int, found null"),
        ("cuont=3", "there is no key 'cuont' (did you mean 'count'?)"),
        ("guard.tilt=3", "there is no key 'guard.tilt' (did you mean 'guard.tilt_rad'?)"),
        ("tilt_rad=3", "there is no key 'tilt_rad' (did you mean 'guard.tilt_rad'?)"),
        ("guard.tilt_rad=99", "guard.tilt_rad: expected float <= 3.2, found 99"),
        ("guard=h1", "expected one of g1 for guard"),
        ("+more=3", "there is no key 'more'"),
        ("~count", "expected the key 'count', found none"),
        ("count", "expected key=value"),
        ("+end=fly", "argument '+end=fly': end: expected one of hold, stop, found fly"),
        ("count=[", "argument 'count=['"),
    ],
)
def test_a_wrong_argument_gives_one_line_that_names_it(folder, override, expected):
    with pytest.raises(ConfigError) as error:
        load_config("small", ["name=z", override], Small, folder)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_a_wrong_value_in_a_file_names_the_file(folder):
    path = folder / "guard" / "g1.yaml"
    path.write_text(path.read_text().replace("tilt_rad: 1.2", "tilt_rad: steep"))
    with pytest.raises(ConfigError, match=r"configs/guard/g1\.yaml: guard\.tilt_rad: expected float, found steep"):
        load_config("small", [], Small, folder)


def test_an_unknown_key_in_a_file_names_the_nearest(folder):
    path = folder / "guard" / "g1.yaml"
    path.write_text(path.read_text().replace("tilt_rad: 1.2", "tilt_radd: 1.2"))
    with pytest.raises(ConfigError, match=r"guard\.tilt_radd' \(did you mean 'guard\.tilt_rad'\?\)"):
        load_config("small", [], Small, folder)


@pytest.mark.parametrize("text", ["count: [", "- 1\n- 2\n"])
def test_a_broken_file_is_a_plain_error(folder, text):
    (folder / "small.yaml").write_text(text)
    with pytest.raises(ConfigError, match="small"):
        load_config("small", [], Small, folder)


def test_a_missing_file_is_a_plain_error(folder):
    with pytest.raises(ConfigError, match=r"large\.yaml: expected a configuration file here"):
        load_config("large", [], Small, folder)


def test_a_saved_configuration_loads_again(folder, tmp_path):
    config = load_config("small", ["count=7"], Small, folder)
    path = save_config(config, tmp_path / "run")
    assert msgspec.yaml.decode(path.read_bytes(), type=Small) == config
    assert [p.name for p in path.parent.iterdir()] == ["config.yaml"]


def test_help_lists_every_key_with_default_and_meaning(folder):
    lines = describe_config("small", Small, folder).splitlines()
    assert any(line.split("  ")[1:] and "count=1" in line and line.endswith("How many, in ones.") for line in lines)
    assert any("guard.tilt_rad=1.2" in line and "[rad]" in line for line in lines)


def test_a_run_folder_carries_the_time(tmp_path):
    folder = make_run_folder(str(tmp_path / "a" / "{time}"))
    assert folder.is_dir()
    assert len(folder.name) == len("2026-01-31_09-30-00")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot create the folder"):
        make_run_folder(str(tmp_path / "file" / "x"))


def test_a_file_that_cannot_be_written_is_named_and_not_begun(tmp_path):
    (tmp_path / "summary.json").mkdir()
    with pytest.raises(ConfigError, match=r"summary\.json: cannot be written"):
        write_whole(tmp_path / "summary.json", b"{}")
    assert list(tmp_path.iterdir()) == [tmp_path / "summary.json"]
