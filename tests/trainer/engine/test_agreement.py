"""Processes that were not given the same stop with one line; those that were agree on every step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alp_builder.errors import UsageError
from trainer.data.alternation import Alternation
from trainer.data.loaders import TrainSource, TrainSteps
from trainer.engine import agreement
from trainer.engine.agreement import (
    agreed_checkpoint,
    check_agreement,
    facts_of_config,
    facts_of_steps,
)
from trainer.engine.config import load_config

CONFIG = Path(agreement.__file__).parents[1] / "configs" / "fcosmo_tiny_world.py"


class Numbers(list[int]):
    """Records with a hash."""

    def content_hash(self) -> str:
        return f"hash {len(self)}"


def steps(
    rank: int, masks: int = 20, alps: int = 30, ratio: tuple[int, int] = (1, 1)
) -> TrainSteps:
    def item(record: int, rng: np.random.Generator) -> dict[str, Any]:
        return {"record": record, "draw": float(rng.random())}

    sources = {
        "mask": TrainSource(Numbers(range(masks)), item, 4),
        "alp": TrainSource(Numbers(range(alps)), item, 4),
    }
    return TrainSteps(sources, Alternation(*ratio), 0, rank, 2)  # type: ignore[arg-type]


def test_processes_share_each_batch_and_its_source_from_any_step_on() -> None:
    first, second, alone = steps(0), steps(1), steps(0)
    alone.world_size = 1
    for step in (0, 1, 2, 7, 40, 41):  # epochs of 5 and of 7 batches end in between
        (_, a, left), (_, b, right), (_, c, both) = (s[step] for s in (first, second, alone))
        assert a == b == c == ("alp" if step % 2 else "mask")
        assert left + right == both


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (steps(1, alps=29), "alp images: 30 in process 0, 29 in process 1; give all machines"),
        (steps(1, masks=21), "mask images: 20 in process 0, 21 in process 1"),
        (steps(1, ratio=(2, 1)), "alternation: 1:1, 1 at a time in process 0, 2:1, 1 at a time in"),
    ],
)
def test_shorter_data_on_one_machine_are_refused(
    other: TrainSteps, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [dict(facts_of_steps(steps(0), 6)), dict(facts_of_steps(other, 6))]
    monkeypatch.setattr(agreement, "gather_in_order", lambda _: both)
    with pytest.raises(UsageError, match=told) as error:
        check_agreement(both[1])
    assert "\n" not in str(error.value)


def test_equal_processes_pass() -> None:
    check_agreement(facts_of_steps(steps(0), 6))


def test_what_must_be_equal_in_a_config_and_what_need_not() -> None:
    here = facts_of_config(load_config(CONFIG))
    assert here == facts_of_config(
        load_config(CONFIG, ["data.cache=/scratch", "data.train.num_workers=3"])
    )
    for change in ("optimizer.lr=0.1", "train.loop.max_steps=3", "model.pixel_mean=[1,2,3]"):
        there = facts_of_config(load_config(CONFIG, [change]))
        assert [name for name in here if here[name] != there[name]] == [
            ".".join(change.split("=")[0].split(".")[:-1])
        ]


def test_a_checkpoint_that_one_machine_does_not_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert agreed_checkpoint(None) is None
    kept = tmp_path / "step_0000004.pt"
    kept.touch()
    assert agreed_checkpoint(kept) == kept
    monkeypatch.setattr(agreement, "gather_in_order", lambda _: [str(kept), ""])
    assert agreed_checkpoint(None) == kept  # process 0 saw it first
    kept.unlink()
    with pytest.raises(UsageError, match=r"must be a folder that all machines share"):
        agreed_checkpoint(None)
