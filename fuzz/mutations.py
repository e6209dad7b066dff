"""Inputs that are nearly right: bytes, JSON and TOML with one or several things changed."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

_NUMBERS = (
    0,
    1,
    2,
    7,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    0x7FFFFFFFFFFFFFFF,
    0xFFFFFFFFFFFFFFFF,
)
_MOST = 1 << 20
"""Bytes of an input; larger ones cost time and find nothing more."""


def of_bytes(random: Random, seed: bytes, seeds: Sequence[bytes]) -> bytes:
    """Flipped, cut, inserted, repeated and exchanged bytes, and numbers that are of no sense."""
    data = bytearray(seed)
    for _ in range(random.choice((1, 1, 1, 2, 4, 8))):
        random.choice(_BYTE_CHANGES)(random, data, seeds)
    return bytes(data[:_MOST])


def _flip(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _set(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] = random.randrange(256)


def _cut(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    del data[random.randrange(len(data) + 1) :]


def _remove(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    start = random.randrange(len(data) + 1)
    del data[start : start + random.choice((1, 2, 4, 16, 64))]


def _repeat(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    start = random.randrange(len(data) + 1)
    block = data[start : start + random.choice((1, 4, 32, 256))]
    data[start:start] = block * random.choice((1, 2, 50))


def _insert(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    start = random.randrange(len(data) + 1)
    data[start:start] = random.randbytes(random.choice((1, 2, 4, 16)))


def _number(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    size, value = random.choice((1, 2, 4, 8)), random.choice(_NUMBERS)
    start = random.randrange(max(1, len(data) - size + 1))
    order = random.choice(("little", "big"))
    data[start : start + size] = (value % (1 << 8 * size)).to_bytes(size, order)  # type: ignore[arg-type]


def _exchange(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    other = random.choice(seeds)
    start, size = random.randrange(len(other) + 1), random.choice((4, 32, 1024))
    place = random.randrange(len(data) + 1)
    data[place : place + size] = other[start : start + size]


_BYTE_CHANGES: tuple[Callable[[Random, bytearray, Sequence[bytes]], None], ...] = (
    _flip,
    _flip,
    _set,
    _cut,
    _remove,
    _repeat,
    _insert,
    _number,
    _number,
    _exchange,
)


# JSON. Objects are lists of members, so that a key may be there twice; what no value of Python
# stands for is its text.


class Members(list[tuple[str, Any]]):
    """The members of a JSON object."""


class Text(str):
    """A piece of JSON as it stands in a file."""


_KEYS = (
    "",
    "0",
    "00",
    "prompt",
    "prompts",
    "default",
    "-1",
    "__class__",
    "a" * 5000,
    "é",
    "e\u0301",
    "\ud800",
    "\0",
    "\x1b[2J",
    "9" * 5000,
    "1e5",
    "/",
    "..",
)
_LEAVES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    64,
    10**6,
    10**12,
    2**63,
    -(2**63),
    10**30,
    1.5,
    -0.0,
    1e308,
    1e-320,
    "",
    " ",
    "0",
    "1",
    "true",
    "null",
    "nan",
    "epsilon",
    "\ud800",
    "\0",
    "\x1b[31m",
    "a" * 5000,
    "../..",
    "/etc/passwd",
    "é" * 130,
    "{prompt}",
    "{0.__class__}",
    "{",
    "%s",
    "\u202e",
    "\U0001f600",
    Text("NaN"),
    Text("Infinity"),
    Text("-Infinity"),
    Text("9" * 5000),
    Text("1e999"),
    Text("1" + "0" * 400),
    Text("[" * 400 + "]" * 400),
    Text("[" * 3000 + "]" * 3000),
    Text('{"a":' * 300 + "1" + "}" * 300),
    Text("[" * 100_000),
    Text("'x'"),
    Text("undefined"),
    Text('"\\ud83d"'),
    Text('"\\uDE00x"'),
    Text('"tab\there"'),
)


def of_json(random: Random, seed: bytes, seeds: Sequence[bytes]) -> bytes:
    """A JSON file with values, keys and forms changed, in any encoding; sometimes its bytes."""
    if random.random() < 0.1:
        return of_bytes(random, seed, seeds)
    tree = json.loads(seed, object_pairs_hook=Members)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        tree = changed(random, tree)
    text = dumped(tree)
    data = _encoded(random, text)
    return of_bytes(random, data, seeds)[:_MOST] if random.random() < 0.1 else data[:_MOST]


def _encoded(random: Random, text: str) -> bytes:
    encoding = random.choice(
        ("utf-8",) * 12 + ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1")
    )
    errors = "replace" if encoding == "latin-1" else "surrogatepass"
    return text.encode(encoding, errors)


def changed(random: Random, tree: Any) -> Any:
    """A tree of JSON with one place changed."""
    place = random.choice(_places(tree))
    return _at(tree, place, lambda value: random.choice(_TREE_CHANGES)(random, value, tree))


def _places(tree: Any, at: tuple[int, ...] = ()) -> list[tuple[int, ...]]:
    found = [at]
    if isinstance(tree, list):
        for number, each in enumerate(tree[:200]):
            found += _places(each[1] if isinstance(tree, Members) else each, (*at, number))
    return found


def _at(tree: Any, place: tuple[int, ...], change: Callable[[Any], Any]) -> Any:
    if not place:
        return change(tree)
    copy = type(tree)(tree)
    first, rest = place[0], place[1:]
    if isinstance(copy, Members):
        copy[first] = (copy[first][0], _at(copy[first][1], rest, change))
    else:
        copy[first] = _at(copy[first], rest, change)
    return copy


def _replaced(random: Random, _: Any, __: Any) -> Any:
    return random.choice(_LEAVES)


def _near(random: Random, value: Any, _: Any) -> Any:
    """A value of the same type."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return random.choice(
            (value + 1, value - 1, -value, value * 2, value * 10**6, value // 2, 0, value * 10**18)
        )
    if isinstance(value, float):
        return random.choice(
            (
                -value,
                value * 1e10,
                value / 1e10,
                0.0,
                1e308,
                int(value) if abs(value) < 1e300 else 0,
            )
        )
    if isinstance(value, str):
        place = random.randrange(len(value) + 1)
        piece = random.choice(
            (
                ".",
                " ",
                "\n",
                "\0",
                "\x1b[2J",
                "\ud800",
                "é",
                "_",
                "-",
                "1",
                "x" * 500,
                "(",
                "[",
                "*",
            )
        )
        return random.choice(
            (
                value[:place],
                value[:place] + piece + value[place:],
                value + value,
                value.upper(),
                value[::-1],
                "",
            )
        )
    return _shuffled(random, value, _)


def _wrapped(random: Random, value: Any, _: Any) -> Any:
    return random.choice(
        (
            [value],
            [value, value],
            [[value]],
            Members([("a", value)]),
            Members([("prompt", value)]),
            Members([("content", value)]),
            [],
            Members(),
        )
    )


def _elsewhere(random: Random, _: Any, tree: Any) -> Any:
    """The value of another place."""
    found: list[Any] = []
    _at(tree, random.choice(_places(tree)), found.append)
    return found[0]


def _shuffled(random: Random, value: Any, _: Any) -> Any:
    if not isinstance(value, list) or not value:
        return random.choice(_LEAVES)
    copy = type(value)(value)
    number = random.randrange(len(copy))
    kind = random.randrange(6)
    if kind == 0:
        del copy[number]
    elif kind == 1:
        copy.append(copy[number])
    elif kind == 2:
        copy.reverse()
    elif kind == 3:
        copy.extend(type(value)(value) * random.choice((1, 3, 40)))
    elif isinstance(copy, Members):
        name = random.choice(
            (*_KEYS, random.choice(copy)[0], copy[number][0] + ".", copy[number][0][:-1])
        )
        copy[number] = (
            (name, copy[number][1]) if kind == 4 else (copy[number][0], random.choice(_LEAVES))
        )
        if random.random() < 0.3:
            copy.append((name, random.choice(_LEAVES)))
    else:
        copy.insert(number, random.choice(_LEAVES))
    return copy


_TREE_CHANGES = (_replaced, _replaced, _near, _near, _wrapped, _elsewhere, _shuffled, _shuffled)


def dumped(tree: Any) -> str:
    """The text of a tree."""
    if isinstance(tree, Text):
        return str(tree)
    if isinstance(tree, Members):
        return "{" + ", ".join(f"{json.dumps(key)}: {dumped(value)}" for key, value in tree) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(dumped, tree)) + "]"
    return json.dumps(tree)


_TOML_VALUES = (
    '""',
    '"x"',
    '"0"',
    "0",
    "1",
    "-1",
    "9" * 30,
    "9" * 5000,
    "1.5",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "true",
    "[]",
    "[[]]",
    '["a", 1]',
    "{}",
    "{a = 1}",
    "1979-05-27",
    "07:32:00",
    "1979-05-27T07:32:00Z",
    "0x7f",
    '"\\u0000"',
    '"\\ud800"',
    "'''x\ny'''",
    '"' + "a" * 5000 + '"',
    "[" * 500 + "]" * 500,
    "[" * 30_000,
    '"é"',
    '"../x"',
    '"\\u001b[2J"',
    '["7-11"]',
    "['x:0.5']",
    "1_000",
    "99999999",
    "",
)
_TOML_LINES = (
    "[run]",
    "[run]",
    "[run.run]",
    "[[run]]",
    "[train]",
    "[generate]",
    "[nothing]",
    "x",
    "= 1",
    "a.b = 1",
    "run = 1",
    "[",
    '"" = 1',
    "gamma = 0.5",
    "steps = 4",
    "\0",
    "a" * 3000 + " = 1",
    ".".join("a" * 2000) + " = 1",
    "config = 'x'",
    "help = true",
    "batch = 2",
    "styles = '00'",
)


def of_toml(random: Random, seed: bytes, seeds: Sequence[bytes]) -> bytes:
    """A TOML file with values, keys and lines changed; sometimes its bytes."""
    if random.random() < 0.1:
        return of_bytes(random, seed, seeds)
    lines = seed.decode().splitlines()
    for _ in range(random.choice((1, 1, 2, 4))):
        number = random.randrange(len(lines))
        key, equals, _value = lines[number].partition("=")
        kind = random.randrange(5)
        if kind <= 1 and equals:
            lines[number] = f"{key}= {random.choice(_TOML_VALUES)}"
        elif kind == 2:
            lines.insert(number, random.choice(_TOML_LINES))
        elif kind == 3:
            lines.insert(number, random.choice(lines))
        else:
            place = random.randrange(len(key) + 1)
            lines[number] = (
                key[:place]
                + random.choice(("_", "-", ".", "x", '"', "é"))
                + key[place:]
                + (equals + _value)
            )
    return _encoded(random, "\n".join(lines))


# Containers: what is inside is changed, and lengths and checksums made right again.


def of_safetensors(random: Random, seed: bytes, seeds: Sequence[bytes]) -> bytes:
    """A safetensors file with another header, other tensors or other bytes."""
    kind = random.random()
    if kind < 0.15:
        return of_bytes(random, seed, seeds)
    size = int.from_bytes(seed[:8], "little")
    header, data = json.loads(seed[8 : 8 + size], object_pairs_hook=Members), seed[8 + size :]
    if kind < 0.4:
        text = dumped(changed(random, header)).encode("utf-8", "surrogatepass")
        return struct.pack("<Q", len(text)) + text + data
    tensors = [
        [name, dict(entry)["dtype"], dict(entry)["shape"], _part(data, dict(entry)["data_offsets"])]
        for name, entry in header
        if name != "__metadata__"
    ]
    metadata = Members(next((value for name, value in header if name == "__metadata__"), []))
    for _ in range(random.choice((1, 1, 2, 4))):
        metadata = _changed_tensors(random, tensors, metadata)
    entries, content = Members(), b""
    if metadata:
        entries.append(("__metadata__", metadata))
    for name, dtype, shape, values in tensors:
        entries.append(
            (
                name,
                Members(
                    [
                        ("dtype", dtype),
                        ("shape", shape),
                        ("data_offsets", [len(content), len(content) + len(values)]),
                    ]
                ),
            )
        )
        content += values
    text = dumped(entries).encode("utf-8", "surrogatepass")
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content


def _part(data: bytes, offsets: Sequence[int]) -> bytes:
    return data[offsets[0] : offsets[1]]


_SIZES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E5M2": 1,
    "F8_E4M3": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
    "I32": 4,
    "U32": 4,
    "F32": 4,
    "C64": 8,
    "F64": 8,
    "I64": 8,
    "U64": 8,
}
_ENDINGS = (
    ".alpha",
    ".lora_down.weight",
    ".lora_up.weight",
    ".lora_A.weight",
    ".lora_B.default.weight",
    ".lora_mid.weight",
    ".dora_scale",
    ".weight",
    ".bias",
    ".processor.to_q_lora.down.weight",
    ".hada_w1_a",
)
_FLOATS = (
    struct.pack("<f", float("nan")),
    struct.pack("<f", float("inf")),
    struct.pack("<f", 3e38),
    struct.pack("<f", -0.0),
    struct.pack("<f", 1e-45),
)


def _changed_tensors(random: Random, tensors: list[list[Any]], metadata: Members) -> Members:
    """Change a tensor in its place; returns the metadata."""
    kind = random.randrange(9)
    if not tensors or kind == 0:
        tree = changed(random, metadata or Members([("format", "pt")]))
        # The values are texts: others are refused by the library.
        if isinstance(tree, Members) and random.random() < 0.8:
            tree = Members(
                (
                    key,
                    value
                    if isinstance(value, str) and not isinstance(value, Text)
                    else dumped(value),
                )
                for key, value in tree
            )
        return tree if isinstance(tree, Members) else metadata
    number = random.randrange(len(tensors))
    tensor = tensors[number]
    name, dtype, shape, values = tensor
    if kind == 1:
        del tensors[number]
    elif kind == 2:
        tensors.append([_near(random, name, None), dtype, shape, values])
    elif kind == 3:
        tensor[0] = _near(random, name, None)
    elif kind == 4:
        tensor[0] = name.rpartition(".")[0] + random.choice(_ENDINGS)
    elif kind == 5:  # another shape with as many numbers
        tensor[2] = random.choice(
            ([*shape, 1], [1, *shape], shape[::-1], [1] * 40 + shape, [1] * 10 + shape)
        )
    elif kind == 6:  # no numbers, or few
        tensor[2] = random.choice(
            ([], [0], [0, 4], [4, 0], [1], [2, 2], [2**40, 0], [2**63, 0], [10**18, 10**18, 0])
        )
        count = 1
        for side in tensor[2]:
            count *= side
        tensor[3] = (values + b"\0" * 64)[: count * _SIZES[dtype]]
    elif kind == 7:
        tensor[1] = random.choice(list(_SIZES))
        count = len(values) // _SIZES[dtype]
        tensor[3] = (values * 8)[: count * _SIZES[tensor[1]]].ljust(
            count * _SIZES[tensor[1]], b"\0"
        )
    elif len(values) >= 4:
        place = random.randrange(0, len(values) - 3, 4)
        tensor[3] = values[:place] + random.choice(_FLOATS) + values[place + 4 :]
    return metadata
