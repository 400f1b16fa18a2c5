"""Seeded mutations of bytes and of JSON trees: the same seed makes the same damage on every machine.

A mutation is small (a few places of a good file), because what is damaged a little gets furthest into a
program. What a parser would refuse at once teaches nothing after the first time.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, -(2**70), 1e308, -0.0, 0.5, "", "x" * 3000, "\x00", "\ud800",
    "\u202e", "..", "/etc/passwd", "=1+1", "<b>", [], {}, [[]], [{}], [None], [[{"x": 1}]], {"x": {}},
    "1.5", "nan", float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
"""Values that fit nowhere, or fit a type and no meaning."""

_PIECES = (
    b"\0",
    b"\xff",
    b"{",
    b"]" * 50,
    b"\r",
    b"\n",
    b'"',
    b"-",
    b"\xff\xff\xff\x7f",
    b"9" * 40,
)


def mutated_bytes(data: bytes, rng: random.Random, most: int = 4) -> bytes:
    """Bytes with one to `most` places flipped, cut out, doubled, overwritten, inserted into or cut off."""
    out = bytearray(data)
    for _ in range(_few(rng, most)):
        place = rng.randrange(len(out) + 1)
        action = rng.randrange(6)
        if action == 0 and place < len(out):
            out[place] ^= 1 << rng.randrange(8)
        elif action == 1:
            del out[place : place + rng.randint(1, 200)]
        elif action == 2:
            out[place:place] = out[place : place + rng.randint(1, 200)]
        elif action == 3:
            out[place:place] = rng.choice(_PIECES)
        elif action == 4:
            piece = rng.choice(_PIECES)
            out[place : place + len(piece)] = piece
        else:
            del out[place:]
        if not out:
            break
    return bytes(out)


def mutated_tree(tree: Any, rng: random.Random, most: int = 3) -> Any:
    """A JSON tree with one to `most` values turned, replaced, removed, doubled or swapped."""
    tree = copy.deepcopy(tree)
    for _ in range(_few(rng, most)):
        places = list(_places(tree))
        if not places:
            break
        node, key = rng.choice(places)
        action = rng.randrange(6)
        if action >= 4:
            node[key] = _turned(node[key], rng)
        elif action == 0:
            node[key] = copy.deepcopy(rng.choice(ODD))
        elif action == 1:
            del node[key]
        elif action == 2 and isinstance(node, list):
            node.insert(rng.randrange(len(node) + 1), copy.deepcopy(node[key]))
        else:
            other, name = rng.choice(places)
            try:
                node[key], other[name] = other[name], node[key]
            except (KeyError, IndexError):
                continue
    return tree


def _turned(value: Any, rng: random.Random) -> Any:
    """Another value of the same type, which gets further into a program than one of another type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice(
            [0, -1, 1, -value, value + 1, value * 1000, 2**31 - 1, 2**31, 2**63 - 1, -(2**63)]
        )
    if isinstance(value, float):
        return rng.choice(
            [0.0, -1.0, -value, value * 1000, 1e-320, 1e18, 1e38, 1e300, value + 1e-9]
        )
    if isinstance(value, str):
        return mutated_bytes(value.encode(errors="replace"), rng, 2).decode(errors="replace")
    return copy.deepcopy(rng.choice(ODD)) if rng.random() < 0.2 else value


def mutated_json(tree: Any, rng: random.Random) -> bytes:
    """The text of a mutated tree; some of it is no JSON by the letter (`NaN`) or no UTF-8."""
    try:
        text = json.dumps(mutated_tree(tree, rng), ensure_ascii=rng.random() < 0.5)
        return text.encode(errors="surrogatepass")
    except (ValueError, RecursionError):  # a swap made a circle
        return b"{}"


def _few(rng: random.Random, most: int) -> int:
    """One in half of the cases, else up to `most`."""
    return 1 if rng.random() < 0.5 else rng.randint(1, most)


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    keys = (
        list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    )
    for key in keys:
        yield node, key
        yield from _places(node[key])
