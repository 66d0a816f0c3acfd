"""Records as frozen dataclasses: JSON at the edge, checked against the fields' types when it is read."""

import math
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

__all__ = ["Record", "read_typed"]

_PLAIN = {bool: "true or false", int: "an integer", float: "a finite number", str: "a text", NoneType: "null"}


class Record:
    """A dataclass that is stored as JSON; `record["key"]` is the field as it is stored.

    A subclass is a frozen dataclass whose fields are plain values, tuples, dictionaries by strings, or such records.
    """

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """The record of parsed JSON; unknown keys are ignored, those of fields with a default may be missing.

        Raises:
            ValueError: A field is missing or of another kind; the message says which and what was expected.
        """
        record: Self = read_typed(cls, content, "")
        return record

    def to_json(self) -> dict[str, Any]:
        """The fields as plain values, tuples as lists."""
        return {field.name: _plain_value(getattr(self, field.name)) for field in fields(self)}  # type: ignore[arg-type]

    def __getitem__(self, key: str) -> Any:
        if key not in (field.name for field in fields(self)):  # type: ignore[arg-type]  # subclasses are dataclasses
            raise KeyError(key)
        return _plain_value(getattr(self, key))


def _plain_value(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, dict):
        return {key: _plain_value(one) for key, one in value.items()}
    return [_plain_value(one) for one in value] if isinstance(value, list | tuple) else value


def read_typed(kind: Any, value: Any, where: str) -> Any:
    """`value`, parsed JSON, as the type `kind`.

    Args:
        kind: A dataclass, a plain type, `Any`, a union, `tuple[T, ...]`, `tuple[A, B]`, `list[T]` or `dict[str, T]`.
        value: What was parsed.
        where: Its place in the file, for messages.

    Raises:
        ValueError: It is of another kind.
    """
    if kind is Any:
        return value
    if kind in _PLAIN:
        return _plain(kind, value, where)
    if is_dataclass(kind):
        return _dataclass(kind, value, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _union(arguments, value, where)
    if origin is dict and isinstance(value, dict):
        return {key: read_typed(arguments[1], one, f"{where}.{key}") for key, one in value.items()}
    if origin in (list, tuple) and isinstance(value, list | tuple):
        repeated = origin is list or arguments[1:] == (...,)
        kinds = [arguments[0]] * len(value) if repeated else list(arguments)
        if len(kinds) == len(value):
            return origin(read_typed(k, one, f"{where}[{i}]") for i, (k, one) in enumerate(zip(kinds, value)))
    raise _unexpected(str(kind), value, where)


def _unexpected(expected: str, value: Any, where: str) -> ValueError:
    return ValueError(f"{where.lstrip('.') or 'content'}: expected {expected}, got {value!r:.60}")


def _plain(kind: Any, value: Any, where: str) -> Any:
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise _unexpected(_PLAIN[kind], value, where)
    return value


def _union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    for kind in kinds:
        try:
            return read_typed(kind, value, where)
        except ValueError:
            continue
    raise _unexpected(" or ".join(_PLAIN.get(kind, str(kind)) for kind in kinds), value, where)


def _dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _unexpected("an object", value, where)
    hints, given = get_type_hints(kind), {}
    for field in fields(kind):
        if field.name in value:
            given[field.name] = read_typed(hints[field.name], value[field.name], f"{where}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{(where + '.' + field.name).lstrip('.')}: missing")
    return kind(**given)
