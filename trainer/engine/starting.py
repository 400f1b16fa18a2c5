"""Where a run begins, and what it leaves behind: `--checkpoint` of an earlier step, `--resume`, restarts.

A folder's last checkpoint is the one of most steps, and the last ones by number stay when older ones are deleted.
So a run that begins at step 60,000 in a folder that holds step 90,000 must first set that aside, or what it saves
would be deleted at once, and `--resume` would take the other one. What is set aside is moved to
`superseded/1`, `superseded/2` and so on, and never deleted: checkpoints and evaluations of later steps, and those
of the same step where the run begins with another file. A copy of `metrics.jsonl` goes with them.

`begun_from.json` says which checkpoint a run was begun from. By it

* a command with `--checkpoint` that is started again (by torchrun, by SLURM, or with `--resume`) goes on from
  what it has saved since;
* `--resume` knows from where to go on, where nothing was saved yet.

It is written before the moves and after them, so that a kill between leaves a folder that says what is to be done:
to begin once more. Only process 0 writes any of this, before the first step.
"""

from __future__ import annotations

import logging
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec

from alp_builder.errors import BadDataError, UsageError
from trainer.engine.checkpoint import checkpoint_path, latest_checkpoint, step_of
from trainer.files import whole

logger = logging.getLogger(__name__)

ASIDE = "superseded"
"""Folder, in that of a run, of what later beginnings have set aside."""

ORIGIN = "begun_from.json"
"""File, in a run's folder, that says from which checkpoint it was begun."""

_EVALUATION = re.compile(r"evaluation_(\d{7,})")


@dataclass(frozen=True, slots=True)
class Start:
    """Where a run starts.

    Attributes:
        path: The checkpoint; None for the first weights.
        begins: Whether the run begins there, so that what the folder has of later steps is not its own.
    """

    path: Path | None
    begins: bool


class _Origin(msgspec.Struct):
    """What `ORIGIN` holds: a checkpoint (below the folder, or absolute), its step, whether the folder is tidy."""

    checkpoint: str
    step: int
    ready: bool


def starting_point(folder: Path, given: Path | None, *, going_on: bool) -> Start:
    """Choose where a run starts.

    Args:
        folder: Of the run.
        given: The checkpoint that the command names.
        going_on: Whether the command may have run before: then what was saved since wins over `given`.

    Raises:
        UsageError: If the run was begun from a checkpoint that is gone, and has saved none.
        BadDataError: If `ORIGIN` is damaged.
    """
    if given is None:
        return _last(folder)
    origin = _read(folder) if going_on else None
    if origin is not None and (folder / origin.checkpoint).resolve() == given.resolve():
        return _last(folder)
    return Start(given, begins=True)


def last_of(folder: Path) -> Path | None:
    """The checkpoint from which the run of a folder goes on, None if there is none; see `starting_point`."""
    return _last(folder).path


def begin_from(folder: Path, checkpoint: Path, step: int) -> None:
    """Make a folder that of a run which begins from a checkpoint: set aside what is of later steps.

    Only process 0 may call this, before anything is saved.

    Args:
        folder: Of the run.
        checkpoint: Where the run begins; it stays where it is.
        step: Its steps.

    Raises:
        UsageError: If the folder cannot be written to.
    """
    later = _later(folder, checkpoint, step)
    try:
        aside = _new_folder(folder) if later else folder
        _write(folder, checkpoint, step, ready=not later)
        for path in later:
            path.rename(aside / path.name)
        _write(folder, checkpoint, step, ready=True)
    except OSError as error:
        raise UsageError(
            f"{folder}: what it has of after step {step} cannot be set aside ({error.strerror or error}); "
            "make it a folder that can be written to, or choose another train.output_dir"
        ) from error
    if not later:
        return
    saved = sum(path.suffix == ".pt" for path in later)
    logger.info(
        "this run begins at step %d of %s: %d checkpoints and %d evaluations of other runs, to step %d, "
        "are set aside in %s; delete them yourself when you need them no more",
        step,
        checkpoint,
        saved,
        len(later) - saved,
        max(_step(path) or 0 for path in later),
        aside,
    )


def _last(folder: Path) -> Start:
    """Where the run of a folder goes on: at its newest checkpoint, or still at the one it was begun from."""
    last, origin = latest_checkpoint(folder), _read(folder)
    if origin is None:
        return Start(last, begins=False)
    if origin.ready and last is not None and (step_of(last) or 0) >= origin.step:
        return Start(last, begins=False)
    path = folder / origin.checkpoint
    if not path.is_file():
        raise UsageError(
            f"{folder}: its run was begun from {path}, which is gone, and has saved nothing since; give another "
            f"--checkpoint, or remove {folder / ORIGIN} to go on without"
        )
    return Start(path, begins=True)


def _later(folder: Path, checkpoint: Path, step: int) -> list[Path]:
    """Checkpoints and evaluations that do not belong to a run which begins from a checkpoint, latest first."""
    same = checkpoint_path(folder, step)
    least = step + 1 if same.is_file() and same.samefile(checkpoint) else step
    steps = {path: found for path in folder.iterdir() if (found := _step(path)) is not None}
    return sorted((p for p in steps if steps[p] >= least), key=lambda p: steps[p], reverse=True)


def _step(path: Path) -> int | None:
    """Steps that a checkpoint or an evaluation of a run's folder tells of, None for anything else."""
    match = _EVALUATION.fullmatch(path.name)
    return int(match[1]) if match else step_of(path)


def _new_folder(folder: Path) -> Path:
    """A folder for what is set aside, with a copy of the metrics so far."""
    number = 1
    while (aside := folder / ASIDE / str(number)).exists():
        number += 1
    aside.mkdir(parents=True)
    metrics = folder / "metrics.jsonl"
    if metrics.is_file():
        with whole(aside / metrics.name) as temporary:
            shutil.copyfile(metrics, temporary)
    return aside


def _read(folder: Path) -> _Origin | None:
    path = folder / ORIGIN
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Origin)
    except msgspec.DecodeError as error:
        raise BadDataError(
            f"{path}: damaged ({error}); remove it, and --resume goes on from the folder's last checkpoint"
        ) from error


def _write(folder: Path, checkpoint: Path, step: int, *, ready: bool) -> None:
    there, here = checkpoint.resolve(), folder.resolve()
    name = there.relative_to(here) if there.is_relative_to(here) else there
    with whole(folder / ORIGIN) as temporary:
        temporary.write_bytes(msgspec.json.encode(_Origin(str(name), step, ready)))
