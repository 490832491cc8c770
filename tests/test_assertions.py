"""Every test can fail, and its helpers are not test modules.

mypy finds assertions of what is always true (`truthy-bool`); the rest is found here.
"""

import ast
import re

import pytest

from tests.support.paths import ROOT
from tests.support.vacuous import Sources

_FILES = sorted((ROOT / "tests").rglob("*.py"))
_MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text())
    for path in _FILES
}


def test_no_assertion_and_no_test_passes_whatever_happens() -> None:
    sources = Sources(_MODULES)
    result = [
        f"{module}:{line}: {what}" for module in _MODULES for line, what in sources.faults(module)
    ]
    assert result == []
    assert len(_MODULES) > 100


def test_no_module_imports_from_a_module_of_tests() -> None:
    assert [
        (module, node.module)
        for module, tree in _MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and re.search(r"^tests\b.*\.(test_\w+|conftest)$", node.module or "")
    ] == []


def _faults(body: str, helpers: str = "") -> list[str]:
    lines = "\n".join(f"    {line}" for line in body.split("\n"))
    sources = Sources({"here": ast.parse(f"{helpers}\ndef test_it():\n{lines}\n")})
    return [what for _, what in sources.faults("here")]


@pytest.mark.parametrize(
    "body",
    [
        "pass",
        "if ready: assert ready == 1",
        "for item in items: assert item",
        "for item in [*items]: assert item",
        "for item in {**{}}: assert item",
        "while waits(): assert True",
        "def inner(): assert ready",
        "try: pass\nexcept OSError: assert ready",
        "match ready:\n    case 1: assert ready\n    case _: pass",
        "helper()",
        "with helper(): pass",
        "if ready: return\nassert ready == 1",
        "if ready: pass\nelse: return None\nassert ready == 1",
        "with opened(): return\nassert ready",
        "for item in items: return\nassert ready",
        "try: pass\nexcept OSError: return\nassert ready",
        "match ready:\n    case 1: return\nassert ready",
        "for item in (1, 2):\n    if item == 1: continue\n    assert item",
        "for item in (1, 2):\n    if item == 1: break\n    assert item",
        "assert all(item for item in items)",
        "assert all(item for item in (1, 2) if item > 2)",
    ],
)
def test_a_test_that_may_check_nothing_is_found(body: str) -> None:
    assert _faults(body, "def helper():\n    if ready: assert ready") == [
        "test_it can pass without a check"
    ]


@pytest.mark.parametrize(
    "body",
    [
        "assert ready",
        "if ready: assert ready == 1\nelse: assert other",
        "for item in (1, 2): assert item",
        "for item in nonempty(items).items(): assert item",
        "items = {'a': 1}\nfor item in items.values(): assert item",
        "for item in (*items, 3): assert item",
        "with pytest.raises(OSError): open('none')",
        "subprocess.run(['true'], check=True)",
        "helper()",
        "pool.map(helper, items)",
        "match ready:\n    case 1: assert ready\n    case _: assert other",
        "assert ready\nif ready: return\nassert other",
        "if ready:\n    assert other\n    return\nassert ready",
        "if ready: return helper()\nassert ready",
        "def other():\n    return 1\nassert ready",
        "for item in items:\n    if item: break\nassert ready",
        "if ready: pytest.skip('none')\nassert ready",
        "assert all(item for item in (1, 2))",
        "assert any(item for item in items)",
    ],
)
def test_a_test_that_always_checks_has_no_fault(body: str) -> None:
    assert _faults(body, "def inner():\n    assert ready\ndef helper():\n    inner()") == []


def test_a_conditional_expression_is_no_assertion() -> None:
    assert _faults("assert status in {404} if address else {200}") == [
        "it asserts a conditional expression"
    ]
    assert _faults("assert status == (404 if address else 200)") == []


@pytest.mark.parametrize("kind", ["Exception", "BaseException", "(OSError, Exception)"])
def test_an_exception_of_any_kind_is_no_expectation(kind: str) -> None:
    assert _faults(f"with pytest.raises({kind}): work()") == ["it expects an exception of any kind"]
    assert _faults(f"with pytest.raises({kind}, match='full'): work()") == []
    assert _faults("with pytest.raises((OSError, ValueError)): work()") == []
