"""An import-linter contract on names, which its own see only as whole packages."""

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.domain.imports import Module

__all__ = ["RestrictedNames"]


class RestrictedNames(Contract):
    """Modules import only the *allowed* names, and call none of *forbidden_calls*.

    `cryptography.x509` can be allowed without `cryptography.hazmat`, and `datetime` without
    `datetime.now`.
    """

    modules = fields.ListField(subfield=fields.ModuleField())
    allowed = fields.SetField(subfield=fields.StringField())
    forbidden_calls = fields.SetField(subfield=fields.StringField())
    ignored_modules = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at every module at or below *modules*."""
        del verbose
        ignored = cast("set[str]", self.ignored_modules)
        broken = []
        for root in cast("list[Module]", self.modules):
            for name in sorted({root.name} | graph.find_descendants(root.name)):
                if name not in ignored:
                    broken += [f"{name}:{line}: {what}" for line, what in self._violations(name)]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each violation on a line."""
        for line in check.metadata["broken"]:
            output.print_error(line)

    def _violations(self, module: str) -> Iterator[tuple[int, str]]:
        spec = find_spec(module)
        if spec is None or spec.origin is None:
            raise ValueError(f"{module} has no source")
        for node in ast.walk(ast.parse(Path(spec.origin).read_text())):
            for name in _imported(node):
                if not self._is_allowed(name):
                    yield getattr(node, "lineno", 0), f"imports {name}"
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in cast("set[str]", self.forbidden_calls):
                    yield node.lineno, f"calls {called}"

    def _is_allowed(self, name: str) -> bool:
        allowed = cast("set[str]", self.allowed)
        return any(name == one or name.startswith(f"{one}.") for one in allowed)


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []
