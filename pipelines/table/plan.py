"""What is run: rows, presets, and the jobs they make.

A **row** is a model and what supervises it beside the masks of base classes:

    none     nothing: the open-vocabulary baseline
    alps     ALPs of simulated narratives (noise profile `coco`)
    boxes    true boxes with class names, of all classes: the oracle

A **job** is one training, by row and seed, or one pretraining of the backbone that the rows of a seed
share. A job is a plain value that says everything its result depends on; it is stored beside the result,
so a result is only ever taken for the job that asked for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from alp_builder.errors import UsageError
from alp_builder.simulate import SceneConfig

CONFIGS = Path("trainer/configs/table")

MODELS = ("maskrcnn", "fcosmo")
SUPERVISIONS = ("none", "alps", "boxes")

MODEL_NAMES = {"maskrcnn": "Mask R-CNN*", "fcosmo": "FCOS-MO"}
SUPERVISION_NAMES = {
    "none": "none (open vocabulary)",
    "alps": "ALPs",
    "boxes": "true boxes (oracle)",
}


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """How much is spent, and on what machine.

    Attributes:
        seeds: Seeds of every row.
        steps: Optimiser steps of a row; a row with two sources spends half of them on each.
        pretrain_steps: Steps of the shared backbone.
        device: As `train.device`.
        slots: Trainings at a time; 0 for as many as there are cores.
        threads: Of torch, in each training on a CPU.
        loader_workers: Processes that read data for each training.
        scenes: Scenes of the world's train, val and test split.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 1_200
    pretrain_steps: int = 1_600
    device: str = "cpu"
    slots: int = 0
    threads: int = 1
    loader_workers: int = 0
    scenes: tuple[int, int, int] = (4_000, 300, 600)


# Trainings of one thread, one for each core, use two cores better than one training of two threads: the
# threads of so small a model spend half their time waiting for one another.
PRESETS = {
    "cpu": Preset(),
    "gpu": Preset(steps=12_000, pretrain_steps=5_000, device="cuda", slots=4, loader_workers=3),
}
"""`cpu` is meant for two cores and some hours, `gpu` for one GPU and a dozen cores."""

QUICK = Preset(seeds=(0,), steps=600, pretrain_steps=1_000)
"""`make table-quick`: one seed, half the steps."""


def world_settings(preset: Preset) -> SceneConfig:
    """The world of the table: few, large things in small images, so that a small model can learn it."""
    train, val, test = preset.scenes
    return SceneConfig(
        train=train,
        val=val,
        test=test,
        image_size=96,
        min_things=3,
        max_things=6,
        min_scale=0.2,
        max_scale=0.6,
        clutter=10,
    )


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Attributes:
        name: Folder of the run below the table's folder, such as `fcosmo_alps/seed0`.
        kind: `train` or `pretrain`.
        config: Config file.
        overrides: Changes of it, `key=value`.
        steps: Optimiser steps.
        threads: Of torch, on a CPU.
        backbone: Job whose backbone it starts from; empty for none.
    """

    name: str
    kind: str
    config: str
    overrides: tuple[str, ...]
    steps: int
    threads: int
    backbone: str = ""


class AlpSet(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """ALPs of the world.

    Attributes:
        profile: Noise profile of the narrator.
        percent: How many of the train split's narratives, the first ones.
    """

    profile: str = "coco"
    percent: int = 100

    @property
    def folder(self) -> str:
        """Where they are, below the data folder."""
        return f"alps_{self.profile}" + ("" if self.percent == 100 else f"_{self.percent}percent")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a table: a model, its supervision, and changes of the config.

    Attributes:
        name: Unique name, a folder.
        model: Of `MODELS`.
        supervision: Of `SUPERVISIONS`.
        changes: Further overrides of the config.
        profile: Noise profile of the narrator whose ALPs are used.
        percent: How many of the train split's narratives are used.
        config: Config below `CONFIGS`; of the model and the supervision unless given.
        times: How many times the preset's steps it has.
    """

    name: str
    model: str
    supervision: str
    changes: tuple[str, ...] = ()
    profile: str = "coco"
    percent: int = 100
    config: str = ""
    times: int = 1

    @property
    def alps(self) -> AlpSet:
        """The ALPs it needs."""
        return AlpSet(profile=self.profile, percent=self.percent)


ROWS = tuple(
    Row(name=f"{model}_{supervision}", model=model, supervision=supervision)
    for model in MODELS
    for supervision in SUPERVISIONS
)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Rows, how much is spent on them, and where things are.

    Attributes:
        rows: What is trained.
        preset: How much is spent.
        data: Folder of the world, `world/`, `alps_PROFILE/` and caches below it.
        runs: Folder of the runs.
        split: Split that is evaluated; choices are made on `val`, the table is of `test`.
    """

    rows: tuple[Row, ...]
    preset: Preset
    data: str
    runs: str
    split: str = "test"

    def __post_init__(self) -> None:
        if self.split not in ("val", "test"):
            raise UsageError(f"split {self.split}: expected val or test")
        if not self.rows or not self.preset.seeds:
            raise UsageError("a table needs a row and a seed: none is left")

    def jobs(self) -> list[Job]:
        """Pretrainings first, then the rows of the first seed, of the second, and so on."""
        jobs = [self._pretraining(seed) for seed in self.preset.seeds]
        for seed in self.preset.seeds:
            jobs += [self.job(row, seed) for row in self.rows]
        return jobs

    def job(self, row: Row, seed: int) -> Job:
        """The training of a row."""
        backbone = self._pretraining(seed).name
        test, steps = f"{self.data}/world", self.preset.steps * row.times
        return Job(
            name=f"{row.name}/seed{seed}",
            kind="train",
            config=f"{CONFIGS}/{row.config or f'{row.model}_{row.supervision}.py'}",
            overrides=(
                *self._shared(seed),
                f"data.alps={self.data}/{row.alps.folder}",
                f"data.test.annotations={test}/instances_{self.split}.json",
                f"data.test.loader.images.images={test}/{self.split}",
                f"data.train.num_workers={self.preset.loader_workers}",
                f"train.init_weights={self.runs}/{backbone}/backbone.safetensors",
                f"train.loop.max_steps={steps}",
                *row.changes,
            ),
            steps=steps,
            threads=self.preset.threads,
            backbone=backbone,
        )

    def _pretraining(self, seed: int) -> Job:
        return Job(
            name=f"backbone/seed{seed}",
            kind="pretrain",
            config=f"{CONFIGS}/fcosmo_none.py",
            overrides=self._shared(seed),
            steps=self.preset.pretrain_steps,
            threads=self.preset.threads,
        )

    def _shared(self, seed: int) -> tuple[str, ...]:
        return (
            f"data.world={self.data}/world",
            f"data.cache={self.data}/cache",
            f"train.seed={seed}",
            f"train.device={self.preset.device}",
        )


def chosen_rows(names: Sequence[str], rows: Sequence[Row] = ROWS) -> tuple[Row, ...]:
    """Rows by name, all of them if none is named.

    Raises:
        UsageError: If there is no row of a name.
    """
    known = {row.name: row for row in rows}
    for name in names:
        if name not in known:
            raise UsageError(f"no row {name!r}: expected some of {', '.join(known)}")
    return tuple(row for row in rows if not names or row.name in names)
