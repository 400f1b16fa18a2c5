"""Whether what lies below a data root fits together: classes, images, shards, and no leak.

What a dry run asks of files that are there, at the price of reading them once: the annotation files (a few
seconds for COCO's 118k images) and two columns of the ALPs. Of each folder's images `SAMPLE`, spread evenly, are
looked for. No image is opened but one that has the name of an evaluation image without being known as it: whether
it is that image's file is for `trainer.data.samefiles` to say.

ALPs on object storage are read as training reads them, through the cache of shards, where they stay for it. Where
that cache is too small for all of them they would come for nothing, and it is said that they were not checked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.compute as pc
from omegaconf import DictConfig, ListConfig

from alp_builder.errors import AlpError, BadDataError
from alp_builder.page import is_safe_name
from alp_builder.reader import AlpDataset, is_remote, open_alps
from trainer.data.cocofile import CocoFile, read_coco
from trainer.data.images import EXAMPLES, SafeRoot, image_key
from trainer.data.leaks import evaluation_keys
from trainer.data.maskstore import label_of_category
from trainer.data.samefiles import EvaluationFiles
from trainer.data.shards import open_shards, scan_rows
from trainer.engine.config import construct
from trainer.engine.sources import evaluation_files
from trainer.evaluation.evaluator import read_hierarchy
from trainer.evaluation.splits import load_split

T = TypeVar("T")

SAMPLE = 1000
"""Images of a folder that are looked for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A check and what came of it.

    Attributes:
        what: What was checked.
        problem: What is wrong, empty if nothing is.
        unchecked: Why it was not checked, empty if it was.
    """

    what: str
    problem: str = ""
    unchecked: str = ""

    def line(self) -> str:
        """As shown to a user."""
        if self.unchecked:
            return f"not checked: {self.what}: {self.unchecked}"
        return f"WRONG    {self.what}: {self.problem}" if self.problem else f"ok       {self.what}"


Locate = Callable[[EvaluationFiles], Iterator[tuple[str, str]]]
"""Key and path of each image of a source that is called as an evaluation image is."""


@dataclass
class _Root:
    """What has been read of a data root so far."""

    cfg: Any
    files: dict[str, CocoFile] = field(default_factory=dict)
    keys: dict[str, set[str]] = field(default_factory=dict)
    locate: dict[str, Locate] = field(default_factory=dict)

    def coco(self, path: str) -> CocoFile:
        """A COCO-format file, read once."""
        if path not in self.files:
            self.files[path] = read_coco(path)
        return self.files[path]


def findings(cfg: Any, absent: Collection[str] = ()) -> Iterator[Finding]:
    """Check what is there; what is not there is passed over, for `trainer.engine.dryrun` names it.

    Args:
        cfg: Config with `data` as in `trainer/configs`.
        absent: Paths and URLs that are known not to be there.
    """
    root = _Root(cfg)
    for node in _nodes(cfg.data.train):
        if _has(node, "annotations", "images", "classes"):
            yield from _masks(node, root)
        elif _has(node, "folder", "finder") and str(node.folder) not in absent:
            yield from _alps(node, root)
    yield from _test(root)
    yield from _leaks(root)


def _masks(node: Any, root: _Root) -> Iterator[Finding]:
    """A source of masks or of true boxes."""
    path = Path(node.annotations)
    if not path.is_file():
        return
    rename = construct(node.rename) if node.get("rename") else {}
    classes = construct(node.classes)

    def named() -> str:
        label_of_category(root.coco(str(path)), path, classes, rename)
        return f"{path}: {len(classes)} classes to learn are among its categories"

    yield _checked(str(path), named)
    if (file := root.files.get(str(path))) is None:
        return
    names = [image.file for image in file.images]
    root.keys[str(path)] = {image_key(file.dataset_id, Path(name).stem) for name in names}
    dataset = file.dataset_id
    root.locate[str(path)] = lambda files: (
        (image_key(dataset, Path(name).stem), f"{node.images}/{name}")
        for name in names
        if files.knows_name(name) and is_safe_name(name)
    )
    yield from _found(Path(node.images), names)


def _alps(node: Any, root: _Root) -> Iterator[Finding]:
    """A source of ALPs: finished, of this split, its images there."""
    folder = str(node.folder)
    if not is_remote(folder) and not Path(folder).is_dir():
        return
    try:
        shards = _open(node, folder)
    except AlpError as error:
        yield Finding(folder, str(error))
        return
    if isinstance(shards, str):
        yield Finding(f"{folder}: its rows, their images, and whether they leak", unchecked=shards)
        return
    ids: list[tuple[str, str]] = []

    def read() -> str:
        rows = 0
        every = pc.scalar(True)
        for batch in scan_rows(shards, ["dataset_id", "image_id"], every, node.split):
            rows += len(batch)
            columns = (batch.column(i).to_pylist() for i in (0, 1))
            ids.extend(dict.fromkeys(zip(*columns, strict=True)))
        if not rows:
            raise BadDataError(f"no ALPs of split {node.split!r}")
        return f"{folder}: {rows:,} ALPs of {len(set(ids)):,} images"

    yield _checked(folder, read)
    unique = list(dict.fromkeys(ids))
    root.keys[folder] = {image_key(*pair) for pair in unique}
    if not unique:
        return

    def found() -> str:
        looked = _spread(unique)
        construct(node.finder).find_all(looked)
        return f"{folder}: images of its ALPs, {len(looked):,} looked for"

    def located(files: EvaluationFiles) -> Iterator[tuple[str, str]]:
        finder = construct(node.finder)
        named = (pair for pair in unique if files.knows_name(pair[1]))
        return ((image_key(*pair), path) for pair in named if (path := finder.find(*pair)))

    if all(Path(path).is_dir() for path in node.finder.roots.values()):
        root.locate[folder] = located
        yield _checked(f"{folder}: images of its ALPs", found)


def _open(node: Any, folder: str) -> AlpDataset | str:
    """A source's ALPs, or why their shards are not to be fetched."""
    if not is_remote(folder):
        return open_alps(folder)
    if node.get("cache") is None or node.get("shard_cache_gib") is None:
        return "its source names no cache for shards (cache, shard_cache_gib)"
    bound = int(node.shard_cache_gib * 2**30)
    shards = open_shards(folder, Path(node.cache) / "shards", bound)
    if (size := sum(info.size for info in shards.infos(node.split))) > bound:
        return (
            f"its shards have {size:,} bytes, their cache takes {bound:,}; raise shard_cache_gib, or copy "
            "the data set here and name the folder"
        )
    return shards


def _test(root: _Root) -> Iterator[Finding]:
    """The evaluation: classes, images, hierarchy."""
    test = root.cfg.data.test
    path = str(test.annotations)
    if not Path(path).is_file():
        return

    def named() -> str:
        split = load_split(root.cfg.data.split)
        split.category_ids(root.coco(path).categories)
        return f"{path}: {len(split.classes)} classes to score are among its categories"

    yield _checked(path, named)
    if path not in root.files:
        return
    file = root.coco(path)
    yield from _found(Path(test.loader.images.images), [image.file for image in file.images])
    tree = test.hierarchy
    if tree is not None and Path(tree).is_file():

        def read() -> str:
            read_hierarchy(file, tree)
            return f"{tree}: a hierarchy of the test's categories"

        yield _checked(str(tree), read)


def _leaks(root: _Root) -> Iterator[Finding]:
    """Images of the evaluation among those trained on."""
    there = [path for path in root.cfg.data.held_out if Path(path).is_file()]
    every: set[str] = set()
    for path in there:
        what = f"{path}: none of its images is trained on"
        try:
            held = evaluation_keys([path], read=root.coco)
        except AlpError as error:
            yield Finding(what, str(error))
            continue
        every |= held
        for source, keys in root.keys.items():
            shared = sorted(keys & held)
            named = ", ".join(shared[:EXAMPLES])
            problem = f"{len(shared):,} are in {source}, such as {named}" if shared else ""
            yield Finding(f"{what} in {source}", problem)
    yield from _file_leaks(root, every)


def _file_leaks(root: _Root, held: set[str]) -> Iterator[Finding]:
    """Files of the evaluation's images among those trained on, under the name of another data set."""
    try:
        files = evaluation_files(root.cfg, held, root.coco)
    except AlpError:
        return  # it was said of the test
    if not files:
        return
    for source, locate in root.locate.items():
        named = [(key, path) for key, path in locate(files) if key not in held]
        shared = [named[place] for place, _ in files.among(path for _, path in named)]
        some = ", ".join(f"{key} ({Path(path).name})" for key, path in shared[:EXAMPLES])
        yield Finding(
            f"{root.cfg.data.test.loader.images.images}: none of its files is trained on in {source}",
            f"{len(shared):,} are in {source}, such as {some}" if shared else "",
        )


def _found(folder: Path, names: Sequence[str]) -> Iterator[Finding]:
    """Images that a file lists, looked for in their folder."""
    if not folder.is_dir():
        return
    root, looked = SafeRoot(folder), _spread(names)
    missing = [name for name in looked if not root.find(name)]
    what = f"{folder}: {len(looked):,} of {len(names):,} images looked for"
    some = ", ".join(missing[:EXAMPLES])
    yield Finding(what, f"{len(missing):,} are not there, such as {some}" if missing else "")


def _checked(what: str, check: Callable[[], str]) -> Finding:
    """What a check says, or the error it ends with."""
    try:
        return Finding(check())
    except AlpError as error:
        return Finding(what, str(error))


def _spread(items: Sequence[T]) -> list[T]:
    """At most `SAMPLE` items, spread evenly."""
    step = max(1, -(-len(items) // SAMPLE))
    return list(items[::step])


def _has(node: DictConfig, *keys: str) -> bool:
    return all(key in node for key in keys)


def _nodes(node: Any) -> Iterable[DictConfig]:
    """Every mapping of a config, outer ones first."""
    if isinstance(node, DictConfig):
        yield node
        for key in node:
            yield from _nodes(node[key])
    elif isinstance(node, ListConfig):
        for item in node:
            yield from _nodes(item)
