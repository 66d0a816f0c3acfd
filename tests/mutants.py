"""One-line changes of Python sources that a test should notice: comparison, sign, constant, clamp, arguments."""

import ast
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

__all__ = ["Mutant", "candidates", "is_other_program", "sample_mutants"]

_COMPARISONS = {"Lt": "<=", "LtE": "<", "Gt": ">=", "GtE": ">", "Eq": "!=", "NotEq": "=="}
_COMPARISONS |= {"Is": "is not", "IsNot": "is"}
_OPERATORS = {"Add": "-", "Sub": "+", "Mult": "/", "Div": "*", "Pow": "*", "MatMult": "*"}
_CLAMPS = {"clamp", "clamp_min", "clamp_max", "clip", "abs", "nan_to_num"}
# To swap the arguments of these changes nothing.
_SYMMETRIC = {"max", "min", "maximum", "minimum", "logaddexp", "hypot", "equal", "allclose", "isclose", "dot"}
_SYMMETRIC |= {"broadcast_shapes", "result_type", "promote_types"}
# What these hold is not arithmetic: types, messages, and names of the interface.
_LEFT_ALONE = (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom, ast.Assert)


@dataclass(frozen=True)
class Mutant:
    """A file in which the text from `begin` to `end` (line from 1, column in characters) is replaced."""

    file: Path
    kind: str
    begin: tuple[int, int]
    end: tuple[int, int]
    text: str

    @property
    def line(self) -> int:
        """The line that changes."""
        return self.begin[0]

    def apply(self, source: str) -> str:
        """The changed source."""
        lines = source.splitlines(keepends=True)
        old = lines[self.line - 1]
        lines[self.line - 1] = old[: self.begin[1]] + self.text + old[self.end[1] :]
        return "".join(lines)

    def describe(self, source: str) -> str:
        """Where it is, and the line before and after."""
        before, after = (text.splitlines()[self.line - 1].strip() for text in (source, self.apply(source)))
        return f"{self.file}:{self.line} ({self.kind})\n    - {before}\n    + {after}"


def sample_mutants(root: Path, room: str, count: int, seed: int) -> list[Mutant]:
    """`count` different mutants of a room below `root / "manifoldflow"`, drawn by `seed`; all, if there are fewer."""
    found, sources = [], {}
    for path in sorted((root / "manifoldflow" / room).rglob("*.py")):
        file = path.relative_to(root)
        sources[file] = path.read_text(encoding="utf-8")
        found += candidates(sources[file], file)
    random.Random(seed).shuffle(found)
    valid = (mutant for mutant in found if is_other_program(sources[mutant.file], mutant))
    return list(islice(valid, count))


def candidates(source: str, file: Path = Path("source.py")) -> list[Mutant]:
    """Every change of one line that is looked for, in the order of the lines; some may not be valid Python."""
    found = set()
    for node in _nodes(ast.parse(source)):
        for kind, part, text in _changes(node, source):
            begin, end = _place(part, source)
            if begin[0] == end[0]:
                found.add(Mutant(file, kind, begin, end, text))
    return sorted(found, key=lambda mutant: (mutant.begin, mutant.end, mutant.kind, mutant.text))


def is_other_program(source: str, mutant: Mutant) -> bool:
    """Whether the mutant is valid Python, and more than another way to write the same."""
    try:
        return ast.dump(ast.parse(mutant.apply(source))) != ast.dump(ast.parse(source))
    except SyntaxError:
        return False


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below that compute something."""
    if isinstance(node, _LEFT_ALONE):
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _nodes(child)


def _place(part: "ast.AST | tuple[int, int, int, int]", source: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Begin and end; Python counts columns in bytes."""
    if isinstance(part, tuple):
        line, column, last, stop = part
    else:
        line, column, last, stop = part.lineno, part.col_offset, part.end_lineno, part.end_col_offset  # type: ignore
    lines = source.splitlines()
    begin = len(lines[line - 1].encode()[:column].decode())
    return (line, begin), (last, len(lines[last - 1].encode()[:stop].decode()))


def _between(left: ast.expr, right: ast.expr) -> tuple[int, int, int, int]:
    """Where the operator between two operands is, with the space and the brackets around it."""
    return (left.end_lineno or 0, left.end_col_offset or 0, right.lineno, right.col_offset)


def _changes(node: ast.AST, source: str) -> Iterator[tuple[str, "ast.AST | tuple[int, int, int, int]", str]]:
    """Kind, what is replaced, and by which text."""

    def text(part: ast.AST) -> str:
        return ast.get_source_segment(source, part) or ""

    if isinstance(node, ast.Compare):
        operands = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, operands, operands[1:]):
            if new := _COMPARISONS.get(type(operator).__name__):
                yield from _operator("comparison", left, right, new, source)
    elif isinstance(node, ast.BinOp):
        if new := _OPERATORS.get(type(node.op).__name__):
            yield from _operator("sign", node.left, node.right, new, source)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not | ast.Invert):
        yield "sign", node, text(node.operand)
    elif isinstance(node, ast.Constant):
        yield from _constants(node)
    elif isinstance(node, ast.BoolOp):
        new = "or" if isinstance(node.op, ast.And) else "and"
        yield from _operator("comparison", node.values[0], node.values[1], new, source)
    elif isinstance(node, ast.Call):
        yield from _calls(node, text)


def _operator(kind, left, right, new, source):
    """The operator replaced, what else stands between the operands kept."""
    line, column, last, stop = _between(left, right)
    if line != last:
        return
    between = source.splitlines()[line - 1].encode()[column:stop].decode()
    old = between.strip(" ()[]")
    if old and old in between:
        yield kind, (line, column, last, stop), between.replace(old, new, 1)


def _constants(node):
    value = node.value
    if isinstance(value, bool):
        yield "constant", node, str(not value)
    elif isinstance(value, int):
        yield "off by one", node, str(value + 1)
        if value > 0:
            yield "off by one", node, str(value - 1)
    elif isinstance(value, float):
        yield "constant", node, repr(value * 1.5 if value else 1.0)


def _calls(node, text):
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in _CLAMPS and isinstance(node.func, ast.Attribute):
        owner = node.func.value
        of_module = isinstance(owner, ast.Name) and owner.id in ("torch", "np")
        if not of_module:
            yield "dropped clamp", node, text(owner)
        elif node.args:
            yield "dropped clamp", node, text(node.args[0])
    if name in ("max", "min", "maximum", "minimum") and len(node.args) == 2:
        yield "dropped clamp", node, text(node.args[0])
    plain = not any(isinstance(argument, ast.Starred) for argument in node.args)
    if plain and len(node.args) >= 2 and name not in {"isinstance", "getattr", "setattr", "hasattr", *_SYMMETRIC}:
        first, second = node.args[:2]
        where = (first.lineno, first.col_offset, second.end_lineno, second.end_col_offset)
        yield "swapped arguments", where, f"{text(second)}, {text(first)}"
