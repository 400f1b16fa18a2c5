"""LazyConfigs: loading them with clear errors, and building what their nodes describe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from detectron2.config import LazyConfig, instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

from alp_builder.errors import UsageError


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Any:
    """A config file with changes from the command line.

    A config is a Python program: load only files you trust.

    Args:
        path: A `.py` file as in `trainer/configs`.
        overrides: Changes such as `optimizer.lr=0.01`.

    Raises:
        UsageError: If there is no such file, or a change does not fit it.
    """
    file = Path(path)
    if file.suffix != ".py" or not file.is_file():
        raise UsageError(f"{file}: no such config; expected a Python file as in trainer/configs")
    cfg = LazyConfig.load(str(file))
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if "=" not in override or (
            not override.startswith("+") and OmegaConf.select(cfg, key, default=cfg) is cfg
        ):
            raise UsageError(f"{override!r}: expected key=value with a key of {file.name}")
        try:
            cfg = LazyConfig.apply_overrides(cfg, [override])
        except Exception as error:
            reason = str(error).strip().splitlines()[0]
            raise UsageError(f"{override}: cannot be applied ({reason})") from error
    return cfg


def construct(node: Any, **arguments: Any) -> Any:
    """Call what a node describes, with plain Python lists and dicts as arguments.

    Args:
        node: A `LazyCall` node of a config; references to other nodes are resolved.
        **arguments: Objects that replace arguments of the node.
    """
    given = {k: plain(node[k]) for k in node if k not in arguments}
    return instantiate(given | arguments)


def plain(node: Any) -> Any:
    """A node as dicts and lists; omegaconf's own are slow, and fail where numpy indexes them."""
    if isinstance(node, ListConfig):
        return [plain(item) for item in node]
    if not isinstance(node, DictConfig):
        return node
    if is_dataclass(OmegaConf.get_type(node)):
        return OmegaConf.to_object(node)
    return {str(key): plain(node[key]) for key in node}
