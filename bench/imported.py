"""Source files that a module runs on, by the imports they write: what a cache of its results is to be named by."""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


def files(module: str, root: Path = ROOT) -> list[Path]:
    """Source files under `root` of a module and of all that they import, sorted; other packages are left out.

    Imports inside functions count, also those that are never run: rather one file too many than a stale result.

    Raises:
        ValueError: the module is not under `root`, or a file imports by a name that only a run would tell.
    """
    if _file(module, root) is None:
        raise ValueError(f"module {module!r} is not under {root}")
    found: set[Path] = set()
    met, todo = set(), [module]
    while todo:
        name = todo.pop()
        if name in met:
            continue
        met.add(name)
        if file := _file(name, root):
            found.add(file)
            todo += _imports(file)
            todo += [name.rpartition(".")[0]] * ("." in name)  # a package's __init__ runs first
    return sorted(found)


def digest(module: str, root: Path = ROOT) -> str:
    """SHA-256 over the paths and texts of these files."""
    found = hashlib.sha256()
    for file in files(module, root):
        data = file.read_bytes()
        found.update(f"{file.relative_to(root)} {len(data)}\n".encode() + data)
    return found.hexdigest()


def _file(module: str, root: Path) -> Path | None:
    place = root.joinpath(*module.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def _imports(file: Path) -> Iterator[str]:
    """Names that may be modules: of `from a import b` both `a` and `a.b`."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) or _called(node) in ("import_module", "__import__"):
            raise ValueError(f"{file}:{node.lineno}: write the import with the module's whole name")  # type: ignore[attr-defined]


def _called(node: ast.AST) -> str:
    """Name of the function that is called, if one is."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
