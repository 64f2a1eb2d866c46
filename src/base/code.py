"""Which code decides a result: the modules that a module imports, directly or not, and a digest of what they mean.

In: the name of a module. Out: names of modules, or one SHA-256. Everything that asks "did the code change?" asks here:
a run's fingerprint, the demo library's recipe, what is remembered of a library.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

DECIDE_NOTHING = ("src.base.", "src.config.", "src.record.")
"""Not followed: tools without an opinion (`base`), parameters, whose values are compared themselves (`config`), and
writing down what others decided (`record`)."""


@cache
def modules(start: str) -> tuple[str, ...]:
    """Modules of this project that decide what `start` gives: itself and all it imports, in alphabetical order.

    An import inside a function or for types alone counts as well. Raises FileNotFoundError if there is no such module.
    """
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in seen or f"{name}.".startswith(DECIDE_NOTHING):
            continue
        seen.add(name)
        waiting += _imported(name)
    return tuple(sorted(seen))


@cache
def digest(*starts: str) -> str:
    """SHA-256 over the meaning of all modules that decide what `starts` give; a comment or a docstring has none."""
    total = hashlib.sha256()
    for name in sorted({name for start in starts for name in modules(start)}):
        total.update(f"{name}\n{meaning(_path(name).read_text(encoding='utf-8'))}\n".encode())
    return total.hexdigest()


def meaning(source: str) -> str:
    """A text that is the same for two sources that differ only in comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [item for item in body if not _is_text(item)] or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_text(item: ast.stmt) -> bool:
    return isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant) and isinstance(item.value.value, str)


def _imported(name: str) -> Iterator[str]:
    """Modules of ours that a module names in its imports, and the packages they lie in."""
    yield from _packages(name)
    for node in ast.walk(ast.parse(_path(name).read_text(encoding="utf-8"))):
        named: list[str] = []
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            # What is taken may be a module of that package or a name in that module.
            named = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for candidate in named:
            if candidate.split(".")[0] == "src" and _exists(candidate):
                yield candidate


def _packages(name: str) -> Iterator[str]:
    *outer, _ = name.split(".")
    for end in range(2, len(outer) + 1):
        yield ".".join(outer[:end])


def _path(name: str) -> Path:
    place = ROOT.joinpath(*name.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _exists(name: str) -> bool:
    return _path(name).is_file()
