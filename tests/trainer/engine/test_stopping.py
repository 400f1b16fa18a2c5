"""Signals: a checkpoint at the end of the step, then what the signal would have done."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.engine.test_loop import loop, losses
from tests.trainer.tiny import alternating, fcosmo
from trainer.engine import stopping
from trainer.engine.checkpoint import latest_checkpoint, load_checkpoint
from trainer.engine.stopping import EXIT_CODE, SIGNALS, Stopped, StopSignals

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a loop hands over to what was there
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    after = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        signal.signal(number, handler)
    signal.signal(signal.SIGTERM, found)
    torch.set_num_threads(threads)
    assert after == before


def interrupted(step: int, number: int, start: int = 0) -> Iterator[Any]:
    """Batches; a signal comes in while that of a step is made."""
    for place, items in enumerate(alternating(start), start):
        if place == step:
            os.kill(os.getpid(), number)
        yield items


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    loop(fcosmo(), whole, max_steps=4).train(alternating())
    with pytest.raises(Stopped, match="stopped by SIGTERM; the same command with --resume") as stop:
        loop(fcosmo(), parts, max_steps=4).train(interrupted(1, signal.SIGTERM))
    assert stop.value.exit_code == EXIT_CODE == 75
    last = latest_checkpoint(parts)
    assert last is not None
    assert last.name == "step_0000002.pt"  # the step under way was finished
    resumed = loop(fcosmo(seed=9), parts, max_steps=4)
    resumed.train(alternating(2), resumed.load_state_dict(load_checkpoint(last)))
    assert losses(parts) == losses(whole)


def test_a_handler_that_was_there_takes_over_after_the_checkpoint(tmp_path: Path) -> None:
    seen: list[str] = []

    def handler(number: int, _: object) -> None:
        last = latest_checkpoint(tmp_path)
        seen.append(f"{signal.Signals(number).name} {last.name if last else None}")

    previous = signal.signal(signal.SIGUSR2, handler)
    try:
        loop(fcosmo(), tmp_path, max_steps=3).train(interrupted(0, signal.SIGUSR2))
    finally:
        signal.signal(signal.SIGUSR2, previous)
    assert seen == ["SIGUSR2 step_0000001.pt"]
    assert len(losses(tmp_path)) == 3  # it returned, and training went on


def test_a_handler_that_ends_the_process_does(tmp_path: Path) -> None:
    previous = signal.signal(signal.SIGUSR1, lambda *_: sys.exit(144))
    try:
        with pytest.raises(SystemExit, match="144"):
            loop(fcosmo(), tmp_path, max_steps=3).train(interrupted(1, signal.SIGUSR1))
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert latest_checkpoint(tmp_path) == tmp_path / "step_0000002.pt"


def test_a_second_signal_acts_at_once_unless_it_is_the_first_one_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Tests that run in the background were told to ignore it.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            monkeypatch.setattr(stopping, "REPEAT_SECONDS", 0.0)
            assert signals.asked_anywhere(torch.device("cpu"))
            with pytest.raises(Stopped, match="SIGINT"):
                os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, previous)


def test_ignored_signals_stay_ignored() -> None:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), signal.SIGINT)
            assert not signals.asked_anywhere(torch.device("cpu"))
            signals.hand_over()  # nothing was asked
    finally:
        signal.signal(signal.SIGINT, previous)


def test_an_evaluation_is_left_at_once_for_its_state_is_saved(tmp_path: Path) -> None:
    def evaluate(_: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("still evaluating")

    one = loop(fcosmo(), tmp_path, evaluate, max_steps=4, evaluate_every=3, checkpoint_every=4)
    with pytest.raises(Stopped):
        one.train(alternating())
    assert latest_checkpoint(tmp_path) == tmp_path / "step_0000003.pt"
