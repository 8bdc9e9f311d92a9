"""JSON that anybody may have written, made into dataclasses: nothing missing, unknown, ill-typed or without bounds.

msgspec does the types: the lightest of the schema libraries (one extension module, no dependency), and its errors say
where. What it lets pass, for dataclasses, is looked for here.
"""

import json
import re
from dataclasses import is_dataclass
from typing import Any, NoReturn, TypeVar

import msgspec

DEEPEST = 32  # levels of lists and objects
T = TypeVar("T")


class Fault(ValueError):
    """What is wrong with a JSON text, beginning with the field."""


class UnknownField(Fault):
    """A field that this version does not know, so probably of a newer one."""


def parse(text: bytes) -> dict[str, Any]:
    """Return the object that ``text`` holds; raises Fault for no JSON, a key twice, deep nesting."""
    try:
        data = json.loads(text.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise Fault(f"nested more than {DEEPEST} levels deep") from None
    except UnicodeDecodeError as error:
        raise Fault(f"no UTF-8 text (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise Fault(f"no JSON (line {error.lineno}: {error.msg})") from None
    except Fault:
        raise
    except ValueError as error:  # a number of thousands of digits
        raise Fault(f"no JSON ({error})") from None
    if not isinstance(data, dict):
        raise Fault(f"holds {type(data).__name__}, expected an object")
    _bound(data)
    return data


def convert(data: Any, kind: type[T], place: str = "") -> T:
    """Return ``data``, as ``parse`` returns it, as an instance of the dataclass ``kind``.

    Args:
        data: dataclasses may already stand in it.
        kind: its fields' types and msgspec's bounds say what is expected.
        place: where ``data`` stands, such as "graphs.depth".

    Raises:
        UnknownField: a field that the dataclass does not have.
        Fault: a field that is missing, of another type or out of bounds.
    """
    try:
        made = msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        words, _, where = str(error).partition(" - at ")
        words = words.replace("`", "").replace("Object m", "m")
        where = re.sub(r"^(key|value) in ", "", where.replace("`", "")).removeprefix("$")
        raise Fault(f"{(place + where).lstrip('.') or 'all of it'}: {words[0].lower()}{words[1:]}") from None
    _all_known(data, made, place)
    return made


def _all_known(data: Any, made: Any, place: str) -> None:
    """Raise UnknownField where ``data`` has a key that ``made`` of it lost."""
    if is_dataclass(made) and isinstance(data, dict):
        made = made.__dict__
        if unknown := sorted(set(data) - set(made)):
            raise UnknownField(f"{place + '.' if place else ''}{unknown[0]:.60}: unknown field")
    if isinstance(data, dict):
        for key, value in data.items():
            _all_known(value, made[key], f"{place}.{key}".lstrip("."))
    elif isinstance(data, list):
        for number, (value, item) in enumerate(zip(data, made, strict=True)):
            _all_known(value, item, f"{place}[{number}]")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's pairs as a dict."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise Fault(f"{twice!r:.60}: stands twice in one object")
    return found


def _no_number(text: str) -> NoReturn:
    raise Fault(f"{text} is no number of JSON")


def _bound(data: Any) -> None:
    """Raise Fault for what nests deeply, or for text that a terminal would not show as it is."""
    level = [data]
    for _ in range(DEEPEST):
        values = [value for item in level for value in (item.values() if isinstance(item, dict) else item)]
        texts = [key for item in level if isinstance(item, dict) for key in item]
        texts += [value for value in values if isinstance(value, str)]
        if odd := next((text for text in texts if not text.isprintable()), None):
            raise Fault(f"{odd!r:.60}: holds characters that cannot be printed")
        level = [value for value in values if isinstance(value, dict | list)]
    if level:
        raise Fault(f"nested more than {DEEPEST} levels deep")
