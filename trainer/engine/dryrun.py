"""What a config needs on disk, and what of it is missing: `python -m trainer.train ... --dry-run`.

The config is walked, not run: every node that names a file or a folder to read is looked at, then whether they
fit together. No model is built, and nothing is written but shards of object storage, into the cache that training
reads them from; so a data root can be checked before a machine with GPUs is paid for.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from omegaconf import DictConfig, ListConfig

from alp_builder.errors import AlpError
from alp_builder.reader import is_remote, open_alps
from trainer.engine.dataroot import findings
from trainer.evaluation.splits import load_split

FILES = {
    "annotations": "COCO-format instances file",
    "hierarchy": "class hierarchy of Open Images",
    "names": "other names of the classes",
}
"""Keys of a config that name a file to read."""

FOLDERS = {"images": "folder of images", "folder": "folder of ALP shards (`make alps`)"}
"""Keys that name a folder to read."""


@dataclass(frozen=True, slots=True)
class Need:
    """Something a config reads.

    Attributes:
        path: Where it is to be.
        what: What it is.
        key: Where the config says so.
        problem: What is wrong with it, empty if nothing is.
    """

    path: str
    what: str
    key: str
    problem: str

    def line(self) -> str:
        """As shown to a user."""
        state = "ok      " if not self.problem else "MISSING "
        reason = f": {self.problem}" if self.problem else ""
        return f"{state} {self.path}  ({self.what}, {self.key}){reason}"


def needs_of(cfg: Any) -> list[Need]:
    """What a config reads, each path once.

    Args:
        cfg: Config with `data`, `text` and `train` as in `trainer/configs`.
    """
    found: dict[str, Need] = {}
    for need in (*_walk(cfg.data, "data"), *_other(cfg)):
        found.setdefault(need.path, need)
    return list(found.values())


def _walk(node: Any, key: str) -> Iterator[Need]:
    """Needs of the nodes below a key."""
    if isinstance(node, ListConfig):
        for place, item in enumerate(node):
            yield from _walk(item, f"{key}[{place}]")
        return
    if not isinstance(node, DictConfig):
        return
    for name in map(str, node):
        value, inner = node[name], f"{key}.{name}"
        if isinstance(value, str) and name in FILES:
            yield _need(value, FILES[name], inner, folder=False)
        elif isinstance(value, str) and name in FOLDERS:
            yield _need(value, FOLDERS[name], inner, folder=True)
        elif name == "roots" and isinstance(value, DictConfig):
            for family in map(str, value):
                what = f"images of {family} that ALPs speak of"
                yield _need(value[family], what, f"{inner}.{family}", folder=True)
        elif name == "held_out" and isinstance(value, ListConfig):
            for place, path in enumerate(value):
                what = "evaluation images, kept out of training"
                yield _need(path, what, f"{inner}[{place}]", folder=False)
        else:
            yield from _walk(value, inner)


def _other(cfg: Any) -> Iterator[Need]:
    """The class split and the first weights."""
    try:
        load_split(cfg.data.split)
    except AlpError as error:
        yield Need(str(cfg.data.split), "class split", "data.split", str(error))
    encoder = cfg.text.encoders.get(cfg.text.name, {})
    for name in ("vectors", "names"):
        if isinstance(path := encoder.get(name), str):
            key = f"text.encoders.{cfg.text.name}.{name}"
            yield _need(path, "text encoder", key, folder=False)
    weights = str(cfg.train.init_weights)
    if weights and "://" not in weights:
        yield _need(weights, "first weights", "train.init_weights", folder=False)


def _need(path: str, what: str, key: str, *, folder: bool) -> Need:
    if folder and is_remote(path):
        return Need(path, what, key, _remote_problem(path))
    return Need(path, what, key, _problem(Path(path), folder=folder))


def _remote_problem(url: str) -> str:
    """What is wrong with ALPs on object storage; only the manifest is fetched."""
    try:
        with tempfile.TemporaryDirectory() as cache:
            open_alps(url, cache=Path(cache))
    except AlpError as error:
        return str(error).removeprefix(f"{url}: ")
    return ""


def _problem(path: Path, *, folder: bool) -> str:
    if not path.exists():
        return "no such folder" if folder else "no such file"
    if folder != path.is_dir():
        return "is a file, expected a folder" if folder else "is a folder, expected a file"
    if folder:
        with os.scandir(path) as entries:
            return "" if next(entries, None) is not None else "is empty"
    return "" if path.stat().st_size else "is empty"


class _Shape(msgspec.Struct):
    images: list[msgspec.Raw]
    categories: list[msgspec.Raw]


class Report(NamedTuple):
    """What a dry run has to say.

    Attributes:
        lines: For the user.
        wrong: How many of them tell of something missing or wrong.
        unchecked: How many of them tell of something that was not checked.
    """

    lines: list[str]
    wrong: int
    unchecked: int

    def summary(self) -> str:
        """All of it in one line."""
        of = f"of {len(self.lines)}"
        parts = [f"{self.wrong} {of} missing or wrong"] if self.wrong else []
        parts += [f"{self.unchecked} {of} not checked"] if self.unchecked else []
        return ", ".join(parts) or "nothing is missing"


def report(cfg: Any) -> Report:
    """Look for what a config needs.

    First what is to be there: COCO-format files that are there are also opened, and their images and categories
    counted. Then whether what is there fits together (`trainer.engine.dataroot`).
    """
    lines: list[str] = []
    wrong = unchecked = 0
    absent = set()
    for need in needs_of(cfg):
        line, problem = need.line(), need.problem
        if not problem and need.what == FILES["annotations"]:
            try:
                shape = msgspec.json.decode(Path(need.path).read_bytes(), type=_Shape)
                line += f": {len(shape.images):,} images, {len(shape.categories):,} categories"
            except msgspec.DecodeError as error:
                problem = f"not in COCO format ({error})"
                line = Need(need.path, need.what, need.key, problem).line()
        if problem:
            wrong += 1
            absent.add(need.path)
        lines.append(line)
    try:
        load_split(cfg.data.split)
    except AlpError:
        return Report(lines, wrong, unchecked)
    for finding in findings(cfg, absent):
        wrong += bool(finding.problem)
        unchecked += bool(finding.unchecked)
        lines.append(finding.line())
    return Report(lines, wrong, unchecked)
