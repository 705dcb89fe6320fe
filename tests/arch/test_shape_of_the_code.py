"""Budgets and rules that keep the code readable: sizes, names, where packages come from, commands that exist."""

import ast
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("sonic_runtime", "sonic_train", "controllers", "teleop", "configs")
SOURCES = sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))
BANNED_STEMS = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}
MAX_FILE_LINES, MAX_FUNCTION_LINES = 500, 60
FLOW = {"sonic_runtime/tick.py": "tick", "sonic_train/iterate.py": "train_iteration"}


def functions(path):
    tree = ast.parse(path.read_text())
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def length_without_docstring(function):
    body = function.body
    has_docstring = isinstance(body[0], ast.Expr) and isinstance(getattr(body[0], "value", None), ast.Constant)
    first = body[1] if has_docstring and len(body) > 1 else body[0]
    return (function.end_lineno or 0) - first.lineno + 1


def test_there_is_something_to_check():
    assert len(SOURCES) > 80


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_are_small(path):
    assert len(path.read_text().splitlines()) <= MAX_FILE_LINES
    long = {f.name: length_without_docstring(f) for f in functions(path)}
    assert {n: k for n, k in long.items() if k > MAX_FUNCTION_LINES} == {}
    assert path.stem not in BANNED_STEMS


@pytest.mark.parametrize(("file", "name"), FLOW.items())
def test_the_two_flows_fit_a_screen(file, name):
    (flow,) = [f for f in functions(ROOT / file) if f.name == name]
    assert length_without_docstring(flow) <= 40


@pytest.mark.parametrize("package", PACKAGES)
def test_generic_package_names_are_ours(package):
    assert Path(import_module(package).__file__ or "").resolve().is_relative_to(ROOT)


def test_every_command_of_the_readme_exists():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    mentioned = {w.strip("`*") for w in (ROOT / "README.md").read_text().split() if w.strip("`*").startswith("sonic-")}
    commands = {w.split("=")[0] for w in mentioned} & {w for w in mentioned if w.replace("-", "").isalnum()}
    assert commands, "the README names no command"
    assert {c for c in commands if c not in scripts and c != "sonic-wbc"} == set()
    for target in scripts.values():
        module, function = target.split(":")
        assert (ROOT / (module.replace(".", "/") + ".py")).is_file()
        assert f"def {function}(" in (ROOT / (module.replace(".", "/") + ".py")).read_text()


def test_base_install_has_neither_torch_nor_isaaclab():
    base = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {d.split(">")[0].split("~")[0].split("<")[0].split("=")[0].strip() for d in base}
    assert names.isdisjoint({"torch", "isaaclab", "accelerate", "viser", "openvr"})
