"""What keeps the house a house: sizes that can be read in one sitting, and who may import whom."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rnncli"
FILES = sorted(PACKAGE.rglob("*.py"))
TASKS = ("forecast", "charlm", "sentiment")


def imports(path: Path) -> Iterator[str]:
    """The modules of the package that a file imports when it runs, also inside its functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in for_types and (node.module or "").startswith("rnncli"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                size = (node.end_lineno or 0) - body[0].lineno + 1
                assert size <= 60, f"{node.name} has {size} lines"


@pytest.mark.parametrize("task", TASKS)
def test_a_task_never_imports_another_task(task: str) -> None:
    others = tuple(f"rnncli.{other}" for other in TASKS if other != task)
    assert not [name for path in (PACKAGE / task).glob("*.py") for name in imports(path) if name.startswith(others)]


@pytest.mark.parametrize("path", sorted((PACKAGE / "nn").glob("*.py")), ids=lambda path: path.name)
def test_the_maths_knows_no_screen_no_disk_and_no_training(path: Path) -> None:
    allowed = ("rnncli.nn", "rnncli.lazy", "rnncli.settings", "rnncli.errors")
    assert all(name.startswith(allowed) for name in imports(path))


@pytest.mark.parametrize("path", sorted((PACKAGE / "training").glob("*.py")), ids=lambda path: path.name)
def test_the_conductor_knows_no_screen_no_option_and_no_task(path: Path) -> None:
    forbidden = ("console", "output", "options", "verbs", "cli", "plots", *TASKS)
    assert not [name for name in imports(path) if name.split(".")[1] in forbidden]


def test_the_screen_is_reached_from_above_only() -> None:
    above = {"cli.py", "show.py", "console.py"}
    assert {path.name for path in FILES if any(name.startswith("rnncli.console") for name in imports(path))} <= above


def test_the_bill_of_materials_is_that_of_the_lock() -> None:
    beside = PACKAGE.parent / ".github"
    lock = re.findall(r"^([\w.-]+)==(\S+)", (beside / "requirements.lock").read_text(), re.MULTILINE)
    components = json.loads((beside / "sbom.cdx.json").read_text())["components"]
    assert sorted((each["name"], each["version"]) for each in components) == sorted(lock)
