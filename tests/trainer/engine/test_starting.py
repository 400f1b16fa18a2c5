"""Where a run begins: what a folder has of later steps is set aside, and restarts go on from what was saved."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import pytest

from alp_builder.errors import BadDataError, UsageError
from tests.trainer.engine.commands import changes, command
from trainer import train
from trainer.engine import loop, starting
from trainer.engine.checkpoint import (
    State,
    checkpoint_path,
    latest_checkpoint,
    save_checkpoint,
)
from trainer.engine.progress import read_metrics
from trainer.engine.starting import Start, begin_from, last_of, starting_point

RESTARTS = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")


def folder_with(place: Path, *steps: int) -> Path:
    """A run's folder: checkpoints whose text is their step, an evaluation of the last, metrics."""
    place.mkdir(parents=True, exist_ok=True)
    for step in steps:
        checkpoint_path(place, step).write_text(f"{place.name} {step}")
    (place / f"evaluation_{max(steps):07d}").mkdir()
    (place / "metrics.jsonl").write_text("".join(f'{{"step": {s}}}\n' for s in range(3)))
    return place


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.glob("*_0*"))


def test_later_checkpoints_are_set_aside_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    run = folder_with(tmp_path / "run", 60_000, 85_000, 90_000)
    begin_from(run, checkpoint_path(run, 60_000), 60_000)
    assert latest_checkpoint(run) == last_of(run) == checkpoint_path(run, 60_000)
    aside = run / "superseded" / "1"
    assert names(aside) == ["evaluation_0090000", "step_0085000.pt", "step_0090000.pt"]
    assert (aside / "metrics.jsonl").read_text() == (run / "metrics.jsonl").read_text()
    (line,) = caplog.messages
    assert "begins at step 60000" in line
    assert "2 checkpoints and 1 evaluations of other runs, to step 90000, are set aside" in line

    checkpoint_path(run, 90_000).write_text("new")
    begin_from(run, checkpoint_path(run, 60_000), 60_000)  # never into the same folder again
    assert (aside / "step_0090000.pt").read_text() == "run 90000"
    assert (run / "superseded/2/step_0090000.pt").read_text() == "new"

    back = aside / "step_0085000.pt"  # what was set aside can be gone on with
    begin_from(run, back, 85_000)
    assert last_of(run) == back
    assert not (run / "superseded" / "3").exists()


def test_a_checkpoint_of_another_run(tmp_path: Path) -> None:
    other, empty = folder_with(tmp_path / "other", 50, 60), tmp_path / "empty"
    empty.mkdir()
    given = checkpoint_path(other, 60)
    assert starting_point(empty, given, going_on=False) == Start(given, begins=True)
    begin_from(empty, given, 60)
    assert not (empty / "superseded").exists()
    assert (
        last_of(empty) == given
    )  # killed before the first save: `--resume` begins there once more
    checkpoint_path(empty, 65).touch()
    assert starting_point(empty, None, going_on=True).path == checkpoint_path(empty, 65)

    run = folder_with(tmp_path / "run", 40, 60, 70)
    begin_from(run, given, 60)
    assert names(run) == ["step_0000040.pt"]  # 60 steps of this folder are not those of the other
    assert len(names(run / "superseded" / "1")) == 3
    assert last_of(run) == given
    given.unlink()
    with pytest.raises(UsageError, match=r"which is gone, .* give another --checkpoint") as error:
        last_of(run)
    assert "\n" not in str(error.value)
    assert len(names(other)) == 2  # nothing of the other run was touched


def test_what_was_saved_since_wins_over_the_same_checkpoint(tmp_path: Path) -> None:
    run = folder_with(tmp_path / "run", 60, 90)
    given, other = checkpoint_path(run, 60), checkpoint_path(tmp_path, 60)
    other.touch()
    # The first start, whatever it is called with: the run has not been begun there.
    assert starting_point(run, given, going_on=True) == Start(given, begins=True)
    begin_from(run, given, 60)
    assert starting_point(run, given, going_on=True).path == given
    newer = checkpoint_path(run, 65)
    newer.touch()
    given.unlink()  # by the run itself, as it keeps the last ones
    assert starting_point(run, given, going_on=True) == Start(newer, begins=False)
    assert starting_point(run, None, going_on=True) == Start(newer, begins=False)
    assert starting_point(run, given, going_on=False) == Start(given, begins=True)
    assert starting_point(run, other, going_on=True) == Start(other, begins=True)


@pytest.mark.parametrize("moves", [0, 1, 2])
def test_a_kill_while_things_are_set_aside(
    moves: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = folder_with(tmp_path / "run", 60, 85, 90)
    given, left, own = checkpoint_path(run, 60), [moves], Path.rename

    def rename(path: Path, target: Path) -> Path:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return own(path, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "rename", rename)
        begin_from(run, given, 60)
    # What is left of the other run is not taken for this one's.
    assert starting_point(run, None, going_on=True) == Start(given, begins=True)
    assert starting_point(run, given, going_on=True) == Start(given, begins=True)
    begin_from(run, given, 60)
    assert last_of(run) == given
    aside = {p.name: p.read_text() for p in run.glob("superseded/*/step_*.pt")}
    assert aside == {"step_0000085.pt": "run 85", "step_0000090.pt": "run 90"}


def test_a_folder_that_takes_nothing_is_left_as_it_is(tmp_path: Path) -> None:
    run = folder_with(tmp_path / "run", 60, 90)
    (run / "superseded").write_text("a file")
    with pytest.raises(
        UsageError, match=r"cannot be set aside \(.*choose another train.output_dir"
    ):
        begin_from(run, checkpoint_path(run, 60), 60)
    assert last_of(run) == checkpoint_path(run, 90)
    (run / starting.ORIGIN).write_text("{")
    with pytest.raises(BadDataError, match=r"begun_from.json: damaged .*; remove it"):
        last_of(run)


@pytest.mark.parametrize("variable", [*RESTARTS, "elsewhere", "--resume", None])
def test_a_checkpoint_counts_for_the_first_start_only(
    variable: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in RESTARTS:
        monkeypatch.setenv(name, str(int(name == variable)))
    if variable == "elsewhere":  # another machine lost a process, and only that one counts it
        monkeypatch.setattr(train, "gather_in_order", lambda items: [*items, True])
    run = folder_with(tmp_path / "run", 60, 90)
    given = checkpoint_path(run, 60)
    begin_from(run, given, 60)
    newer = checkpoint_path(run, 65)
    newer.touch()
    args = argparse.Namespace(checkpoint=str(given), resume=variable == "--resume", eval_only=False)
    start = train._starting_point(args, run)
    assert start == (Start(newer, begins=False) if variable else Start(given, begins=True))
    args.eval_only = True
    assert train._starting_point(args, run).path == given


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_a_run_begun_from_an_earlier_checkpoint_is_killed_and_goes_on(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.INFO)
    run, other = tmp_path / "run", tmp_path / "other"
    more = ["train.loop.checkpoint_every=1", "train.loop.keep_checkpoints=3"]
    assert train.main(command("fcosmo", *changes(place, run), *more)) == 0
    losses = read_metrics(run / "metrics.jsonl")
    given = tmp_path / "kept.pt"
    checkpoint_path(run, 2).rename(given)

    def killed(path: Path, state: State) -> None:
        if state["step"] == 4:
            raise UsageError("killed")
        save_checkpoint(path, state)

    monkeypatch.setattr(loop, "save_checkpoint", killed)
    again = command("fcosmo", "--checkpoint", str(given), *changes(place, run), *more)
    assert train.main(again) == 2
    assert names(run) == ["step_0000003.pt"]
    assert names(run / "superseded" / "1") == [
        "evaluation_0000004", "step_0000003.pt", "step_0000004.pt",
    ]  # fmt: skip
    assert read_metrics(run / "superseded" / "1" / "metrics.jsonl") == losses

    monkeypatch.setattr(loop, "save_checkpoint", save_checkpoint)
    with monkeypatch.context() as restarted:
        restarted.setenv("TORCHELASTIC_RESTART_COUNT", "1")
        caplog.clear()
        assert train.main(again) == 0
    assert any("steps 3 to 4" in line for line in caplog.messages)
    assert any("saved since the run was begun from" in line for line in caplog.messages)
    assert read_metrics(run / "metrics.jsonl") == losses
    scores = [
        json.loads((folder / "evaluation_0000004" / "metrics.json").read_text())
        for folder in (run, run / "superseded" / "1")
    ]
    assert scores[0] == scores[1]

    def dies(*_: object) -> None:
        raise UsageError("killed")

    elsewhere = changes(place, other)
    with monkeypatch.context() as patch:
        patch.setattr(loop.Loop, "step", dies)
        assert train.main(command("fcosmo", "--checkpoint", str(given), *elsewhere)) == 2
    capsys.readouterr()
    assert train.main(command("fcosmo", *elsewhere)) == 2
    assert "add --resume (make: RESUME=1) to go on from kept.pt" in capsys.readouterr().err
    assert train.main(command("fcosmo", "--resume", *elsewhere)) == 0
    assert read_metrics(other / "metrics.jsonl") == losses[2:]
