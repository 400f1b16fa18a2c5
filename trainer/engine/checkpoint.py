"""Checkpoints: whole or not at all, and loaded without running anybody's code.

A checkpoint is one file, `step_0001000.pt`, written under a temporary name, flushed to disk and renamed,
so a file under its final name is always complete. It holds tensors and plain values only:

    format, step, model, optimizer, scaler, average, info

and is read with `weights_only=True`, after its check sums: torch leaves them out, so that a flipped bit would pass
for a weight. Older formats of others (detectron2's `.pkl`) are pickles, which
run code as they load: they are refused unless the caller allows them.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from alp_builder.errors import AlpError, BadDataError, UsageError
from trainer.files import whole

FORMAT = 1
"""Version of the layout."""

PARTS = ("format", "step", "model", "info")
"""What every checkpoint has."""

_NAME = re.compile(r"step_(\d{7,})\.pt")

State = dict[str, Any]


def checkpoint_path(folder: Path, step: int) -> Path:
    """File of the state after `step` steps."""
    return folder / f"step_{step:07d}.pt"


def save_checkpoint(path: Path, state: State) -> None:
    """Publish a state atomically.

    Args:
        path: Final name.
        state: Tensors and plain values, nested in dicts and lists.
    """
    with whole(path) as temporary, temporary.open("wb") as file:
        torch.save({"format": FORMAT, **state}, file)


def load_checkpoint(path: Path) -> State:
    """Read one of our checkpoints; tensors come on the CPU.

    Raises:
        UsageError: If there is no such file.
        BadDataError: If it is not one of ours, is damaged, or of a newer format.
    """
    found = _load_tensors(path)
    state: State = found if isinstance(found, dict) else {}
    missing = [part for part in PARTS if part not in state]
    if missing:
        raise BadDataError(f"{path}: not a checkpoint of this project (no {', no '.join(missing)})")
    if what := _problem(state):
        raise BadDataError(f"{path}: damaged checkpoint ({what})")
    if state["format"] > FORMAT:
        raise BadDataError(
            f"{path}: checkpoint format {state['format']}, this version reads up to {FORMAT}: update"
        )
    return state


def load_weights(path: Path, *, allow_pickle: bool = False) -> dict[str, Tensor]:
    """Read weights by name from any checkpoint: ours, torchvision's, detectron2's, safetensors.

    Args:
        path: The file.
        allow_pickle: Whether a pickle may be loaded; it can run any code, so only for trusted files.

    Raises:
        UsageError: If there is no such file, or it is a pickle and those are not allowed.
        BadDataError: If there are no weights in it.
    """
    if path.suffix == ".safetensors":
        return _load_safetensors(path)
    state = _load_pickle(path) if allow_pickle and path.suffix == ".pkl" else _load_tensors(path)
    for key in ("model", "state_dict"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict):
        raise BadDataError(f"{path}: holds no weights by name")
    weights = {k: torch.as_tensor(v) for k, v in state.items() if hasattr(v, "shape")}
    if not weights:
        raise BadDataError(f"{path}: holds no weights by name")
    return weights


def weights_of(state: State, path: Path, *, average: bool = False) -> dict[str, Tensor]:
    """The weights of a checkpoint by name, parameters and buffers.

    Args:
        state: The checkpoint.
        path: Where it came from, for the message.
        average: Whether to take the averaged parameters.

    Raises:
        UsageError: If averaged weights are asked for and there are none.
    """
    weights = dict(state["model"])
    if average:
        if not state.get("average"):
            raise UsageError(
                f"{path}: has no averaged weights (train.loop.average_decay was 0); leave out --average"
            )
        weights |= state["average"]
    return weights


def latest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint of a folder with the most steps, None if there is none."""
    found = _checkpoints(folder)
    return found[-1] if found else None


def step_of(path: Path) -> int | None:
    """Steps in a checkpoint's name, None if it is not named like one."""
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else None


def prune_checkpoints(folder: Path, keep: int, done: int | None = None) -> None:
    """Delete all but the last `keep` checkpoints, and what processes that were killed left half written.

    Only the process that writes checkpoints may call this.

    Args:
        folder: Of the run.
        keep: How many stay, at least one.
        done: Steps of the run; checkpoints of more steps are of another one: they stay, and do not count.
    """
    own = [p for p in _checkpoints(folder) if done is None or (step_of(p) or 0) <= done]
    for path in [*own[: -max(keep, 1)], *folder.glob(".step_*.pt.*.tmp")]:
        path.unlink(missing_ok=True)


def export_safetensors(checkpoint: Path, out: Path, *, average: bool = False) -> None:
    """Write a checkpoint's weights as safetensors, for use outside of this project.

    Args:
        checkpoint: One of ours.
        out: The file to write.
        average: Whether to take the averaged weights.

    Raises:
        UsageError: If averaged weights are asked for and there are none.
    """
    state = load_checkpoint(checkpoint)
    weights = weights_of(state, checkpoint, average=average)
    info = {k: str(v) for k, v in state["info"].items()} | {"step": str(state["step"])}
    with whole(out) as temporary:
        save_file({k: v.contiguous() for k, v in weights.items()}, temporary, metadata=info)


def _checkpoints(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    steps = {step: p for p in folder.iterdir() if (step := step_of(p)) is not None}
    return [steps[step] for step in sorted(steps)]


def _problem(state: State) -> str:
    """What is wrong with the parts of a checkpoint, an empty string for nothing."""
    model = state["model"]
    if not isinstance(state["format"], int):
        return "its format is no number"
    if not isinstance(model, dict) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in model.items()
    ):
        return "its model is no weights by name"
    if not isinstance(state["step"], int):
        return "its step is no number"
    return "" if isinstance(state["info"], dict) else "its info is no dictionary"


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise UsageError(f"{path}: no such checkpoint")
    try:
        return load_file(path)
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise BadDataError(f"{path}: damaged safetensors file ({error})") from error


def _check_archive(path: Path) -> None:
    """Checks the sums of a checkpoint's archive; formats of before 2020 are none and have no sums.

    Raises:
        BadDataError: If a part is damaged, packed (torch packs none: it may be a bomb) or overlaps another.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
        if packed or sum(part.file_size for part in parts) > path.stat().st_size:
            raise BadDataError(
                f"{path}: damaged checkpoint (its parts are packed, or too large for it)"
            )
        if (bad := archive.testzip()) is not None:
            raise BadDataError(f"{path}: damaged checkpoint ({bad}: its check sum differs)")


def _load_tensors(path: Path) -> Any:
    if not path.is_file():
        raise UsageError(f"{path}: no such checkpoint")
    try:
        _check_archive(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UsageError(
            f"{path}: is a pickle, which runs code as it loads, or is damaged; expected tensors only. "
            "For a .pkl you trust, allow it with --allow-pickle"
        ) from error
    except AlpError:
        raise
    except Exception as error:  # zipfile and torch raise whatever damage makes them meet
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadDataError(f"{path}: damaged checkpoint ({reason})") from error


def _load_pickle(path: Path) -> Any:
    if not path.is_file():
        raise UsageError(f"{path}: no such checkpoint")
    try:
        with path.open("rb") as file:
            return pickle.load(file, encoding="latin1")  # noqa: S301 - the caller trusts the file
    except Exception as error:  # as above
        raise BadDataError(f"{path}: damaged pickle ({error})") from error
