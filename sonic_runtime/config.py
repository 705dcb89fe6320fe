"""Configuration: YAML from the package, overrides from the command line, typed structs out.

Values live in configs/*.yaml, composed by Hydra; schemas are msgspec structs beside the code that reads them. Whatever
a user gets wrong becomes one ConfigError that names file or argument, key, what was expected and what was found.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import itertools
import re
import textwrap
import time
import typing
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sonic_runtime.contract.errors import ConfigError
from sonic_runtime.whole_file import write_whole

S = TypeVar("S", bound=msgspec.Struct)

_COMPOSING_ERRORS = (HydraException, OmegaConfBaseException, yaml.YAMLError)
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<key>[^`]+)`(?: - at `\$(?P<path>[^`]*)`)?")
_MISSING_FIELD = re.compile(r"Object missing required field `(?P<key>[^`]+)`(?: - at `\$(?P<path>[^`]*)`)?")
_WRONG_VALUE = re.compile(r"(?P<what>.+?)(?: - at `\$\.?(?P<path>[^`]*)`)?", re.DOTALL)
_NO_CHOICE = re.compile(r"Invalid enum value")
"""What msgspec says about a value that is not in a Literal."""


def load_config(name: str, overrides: Sequence[str], schema: type[S], folder: Path | None = None) -> S:
    """Compose a configuration and check it against its schema.

    Args:
        name: file below the folder, without ".yaml".
        overrides: arguments of the form key.path=value, in Hydra's grammar.
        schema: frozen struct that the result must fit.
        folder: folder of the YAML files; None for the packaged `configs`.

    Returns:
        The configuration.

    Raises:
        ConfigError: a file, an override or a value is wrong.
    """
    folder = folder or packaged_configs()
    values = OmegaConf.to_container(_compose(name, overrides, folder), resolve=True)
    try:
        return msgspec.convert(values, schema)
    except msgspec.ValidationError as error:
        raise _schema_error(str(error), values, name, overrides, schema, folder) from error


def packaged_configs() -> Path:
    """Return the folder of the YAML files in the package."""
    return Path(str(files("configs")))


def save_config(config: msgspec.Struct, folder: Path) -> Path:
    """Write a resolved configuration as folder/config.yaml, whole or not at all; return the file.

    Raises:
        ConfigError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return write_whole(folder / "config.yaml", msgspec.yaml.encode(config))


def make_run_folder(pattern: str) -> Path:
    """Create the folder of a run; `{time}` in the pattern becomes the local time, e.g. 2026-01-31_09-30-00.

    Raises:
        ConfigError: the folder cannot be created.
    """
    folder = Path(pattern.replace("{time}", time.strftime("%Y-%m-%d_%H-%M-%S"))).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"run_dir={pattern}: cannot create the folder {folder} ({error.strerror})") from error
    return folder


def describe_config(name: str, schema: type[msgspec.Struct], folder: Path | None = None) -> str:
    """Return one line for each key, `key=default  meaning`, for --help."""
    values = OmegaConf.to_container(_compose(name, [], folder or packaged_configs()), resolve=True)
    meanings = {path: meaning for path, _, meaning in _fields(schema)}
    rows = [(f"{path}={_shown(value)}", meanings.get(path, "")) for path, value in _flat(values)]
    width = min(44, max((len(left) for left, _ in rows), default=0))
    lines: list[str] = []
    for left, meaning in rows:
        wrapped = textwrap.wrap(meaning, 118 - width - 4) or [""]
        lines.append(f"  {left:<{width}}  {wrapped[0]}".rstrip())
        lines += [" " * (width + 4) + line for line in wrapped[1:]]
    return "\n".join(lines)


def _compose(name: str, overrides: Sequence[str], folder: Path) -> DictConfig:
    if not (folder / f"{name}.yaml").is_file():
        raise ConfigError(f"{folder / name}.yaml: expected a configuration file here, found none")
    try:
        return _hydra(name, overrides, folder)
    except _COMPOSING_ERRORS as error:
        raise _override_error(error, name, overrides, folder) from error


def _hydra(name: str, overrides: Sequence[str], folder: Path) -> DictConfig:
    with initialize_config_dir(version_base="1.3", config_dir=str(folder.resolve())):
        return compose(config_name=name, overrides=list(overrides))


def _override_error(error: Exception, name: str, overrides: Sequence[str], folder: Path) -> ConfigError:
    """Find the override that is to blame and say why."""
    try:
        base = OmegaConf.to_container(_hydra(name, [], folder), resolve=False)
    except _COMPOSING_ERRORS as own:
        return ConfigError(f"configs/{name}.yaml: {_first_line(own)}")
    for override in overrides:
        try:
            _hydra(name, [override], folder)
        except _COMPOSING_ERRORS as own:
            return ConfigError(_override_message(override, own, base, folder))
    return ConfigError(f"arguments {' '.join(overrides)}: {_first_line(error)}")


def _override_message(override: str, error: Exception, base: Any, folder: Path) -> str:
    key = override.split("=", 1)[0].lstrip("+~")
    if "=" not in override:
        return f"argument {override!r}: expected key=value; --help lists the keys"
    group = folder / key
    if group.is_dir():
        choices = ", ".join(sorted(p.stem for p in group.glob("*.yaml")))
        return f"argument {override!r}: expected one of {choices} for {key}"
    keys = [path for path, _ in _flat(base)]
    if key not in keys and not any(path.startswith(f"{key}.") for path in keys):
        return f"argument {override!r}: there is no key {key!r}{_nearest(key, keys)}; --help lists the keys"
    return f"argument {override!r}: {_first_line(error)}; quote values with special characters: key='\"value\"'"


def _schema_error(
    message: str, values: Any, name: str, overrides: Sequence[str], schema: type[msgspec.Struct], folder: Path
) -> ConfigError:
    fields = [path for path, _, _ in _fields(schema)]
    if match := _UNKNOWN_FIELD.fullmatch(message):
        path = f"{match['path'] or ''}.{match['key']}".lstrip(".")
        where = _where(path, name, overrides, folder)
        return ConfigError(f"{where}: there is no key {path!r}{_nearest(path, fields)}")
    if match := _MISSING_FIELD.fullmatch(message):
        path = f"{match['path'] or ''}.{match['key']}".lstrip(".")
        return ConfigError(f"{_where(path, name, overrides, folder)}: expected the key {path!r}, found none")
    match = _WRONG_VALUE.fullmatch(message)
    path = (match["path"] or "") if match else ""
    what = match["what"] if match else message
    what = what[:1].lower() + what[1:].replace("`", "")
    choices = (
        typing.get_args({p: hint for p, hint, _ in _fields(schema)}.get(path)) if _NO_CHOICE.match(message) else ()
    )
    if choices:
        what = f"expected one of {', '.join(map(str, choices))}"
    found = _shown(_value_at(values, path))
    where = _where(path, name, overrides, folder)
    return ConfigError(f"{where}: {path}: {what.split(', got')[0]}, found {found}")


def _where(path: str, name: str, overrides: Sequence[str], folder: Path) -> str:
    """Say where the value of a key comes from: the argument that set it, or the file."""
    for override in reversed(overrides):
        if path and path == override.split("=", 1)[0].lstrip("+"):
            return f"argument {override!r}"
    group = path.split(".", 1)[0]
    if (folder / group).is_dir() and group:
        chosen = [o.split("=", 1)[1] for o in overrides if o.startswith(f"{group}=")]
        names = chosen or [p.stem for p in sorted((folder / group).glob("*.yaml"))][:1]
        return f"configs/{group}/{names[0]}.yaml"
    return f"configs/{name}.yaml"


def _nearest(key: str, keys: Sequence[str]) -> str:
    last = {path.rsplit(".", 1)[-1]: path for path in keys}
    close = difflib.get_close_matches(key, keys, n=1, cutoff=0.6)
    close = close or [last[k] for k in difflib.get_close_matches(key.rsplit(".", 1)[-1], list(last), n=1, cutoff=0.6)]
    return f" (did you mean {close[0]!r}?)" if close else ""


def _value_at(values: Any, path: str) -> Any:
    for part in re.findall(r"[^.\[\]]+", path):
        if isinstance(values, dict):
            values = values.get(part)
        elif isinstance(values, list) and part.isdigit():
            values = values[int(part)]
    return values


def _flat(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from _flat(value, f"{prefix}.{key}".lstrip("."))
    else:
        yield prefix, values


def _fields(schema: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Yield (path, type, meaning) of every field of a schema and of the structs in it."""
    meanings = _attribute_docstrings(schema)
    for field, hint in typing.get_type_hints(schema).items():
        path = f"{prefix}.{field}".lstrip(".")
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            yield from _fields(hint, path)
        else:
            yield path, hint, meanings.get(field, "")


def _attribute_docstrings(schema: type[msgspec.Struct]) -> dict[str, str]:
    """Return the string below each field of a struct, which Python itself does not keep."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(schema)))
    except (OSError, TypeError):  # no source at hand, as in a frozen application
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found: dict[str, str] = {}
    for field, text in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and _is_string(text):
            found[field.target.id] = " ".join(ast.literal_eval(text.value).split())  # type: ignore[attr-defined]
    return found


def _is_string(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ",".join(_shown(v) for v in value) + "]"
    return str(value) if value != "" else "''"


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
