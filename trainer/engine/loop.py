"""The training loop: one source a step, and every step a function of (seed, step, state).

Exact resume rests on three rules. The loader's order is a function of seed and step. The learning rate
is a function of the step. And every step seeds torch's generator from (seed, step, rank), so no
generator's state has to be saved. What remains is the state: weights, buffers (the averages of
positives are among them), momentum, the loss scale and the averaged weights; a checkpoint holds them.

Before an evaluation the state is saved too, and where the process is asked to stop (`trainer.engine.stopping`).

Loss values are checked before the backward pass and gradient norms after it, on all processes together:
the first infinite or undefined one stops the run, names the images of that step and saves the state.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from detectron2.utils import comm
from detectron2.utils.events import EventStorage
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from alp_builder.errors import UsageError
from trainer.engine.average import WeightAverage
from trainer.engine.checkpoint import (
    State,
    checkpoint_path,
    prune_checkpoints,
    save_checkpoint,
)
from trainer.engine.distributed import take_from_first
from trainer.engine.nonfinite import report_nonfinite
from trainer.engine.progress import Progress
from trainer.engine.stopping import StopSignals

Batch = list[dict[str, Any]]
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SEED_STRIDE = 1_000_003  # a prime, so that (seed, step) pairs do not meet in practice


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """How to train, apart from what.

    Attributes:
        max_steps: Optimiser steps of the whole training.
        seed: Of all randomness.
        precision: `fp32`, `bf16` or `fp16` (with loss scaling) for the forward pass.
        accumulate: Parts a batch is split into, whose gradients are added up: less memory. The
            classifier's columns and the averages of positives are then those of the parts.
        clip_norm: Largest norm of the gradient; 0 does not clip.
        average_decay: Decay of the averaged weights; 0 keeps none.
        checkpoint_every: Steps between checkpoints.
        keep_checkpoints: How many of the last ones stay.
        evaluate_every: Steps between evaluations; 0 evaluates at the end only.
    """

    max_steps: int
    seed: int = 0
    precision: str = "fp32"
    accumulate: int = 1
    clip_norm: float = 0.0
    average_decay: float = 0.0
    checkpoint_every: int = 1000
    keep_checkpoints: int = 2
    evaluate_every: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value, kind = getattr(self, field.name), str(field.type)
            expected: tuple[type, ...] = {"int": (int,), "float": (int, float), "str": (str,)}[kind]
            if isinstance(value, bool) or not isinstance(value, expected):
                raise UsageError(f"train.loop.{field.name}={value}: expected {kind}")
        if self.precision not in PRECISIONS:
            known = ", ".join(PRECISIONS)
            raise UsageError(f"train.loop.precision={self.precision}: expected one of {known}")
        if min(self.max_steps, self.accumulate, self.checkpoint_every) < 1:
            raise UsageError(
                "train.loop: expected max_steps, accumulate and checkpoint_every of at least 1"
            )
        if not 0 <= self.average_decay < 1 or self.clip_norm < 0:
            raise UsageError("train.loop: expected 0 <= average_decay < 1 and clip_norm >= 0")


class Loop:
    """Trains a model.

    Args:
        model: Gives a dict of losses for a batch; wrapped for several processes here.
        optimizer: Over the model's parameters; each group's `lr` is its base rate.
        schedule: Factor of the learning rate by the share of training done, from 0 to 1.
        config: How to train.
        folder: Where checkpoints and metrics go.
        info: Plain values to keep in every checkpoint.
        evaluate: Called with the step after every `evaluate_every` steps and at the end.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: Callable[[float], float],
        config: LoopConfig,
        folder: Path,
        info: dict[str, Any] | None = None,
        evaluate: Callable[[int], object] | None = None,
    ) -> None:
        self.bare_model = model
        self.model: Any = _wrap(model)
        self.optimizer = optimizer
        self.base_rates = [group["lr"] for group in optimizer.param_groups]
        self.schedule = schedule
        self.config = config
        self.folder = folder
        self.info = info or {}
        self.evaluate = evaluate
        self.device = next(model.parameters()).device
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "fp16")
        self.average = WeightAverage(model, config.average_decay) if config.average_decay else None

    def state_dict(self, step: int) -> State:
        """State after `step` steps, as a checkpoint keeps it."""
        return {
            "step": step,
            "model": self.bare_model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average.state_dict() if self.average else {},
            "info": self.info,
        }

    def load_state_dict(self, state: State) -> int:
        """Take over a checkpoint's state; returns the number of steps done.

        Raises:
            UsageError: If it is of another model, optimiser or text encoder.
        """
        before, now = state.get("info", {}).get("text"), self.info.get("text")
        if before != now and before and now:
            raise UsageError(
                f"the checkpoint was trained with the text encoder {before}, the config has {now}; "
                "set text.name as in training"
            )
        try:
            self.bare_model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            if self.average:
                # Where no average was kept until now, it begins with the weights.
                given = state["average"] or dict(self.bare_model.named_parameters())
                self.average.load_state_dict(given)
            return int(state["step"])
        except (KeyError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UsageError(
                f"the checkpoint does not fit this config's model or optimiser ({reason}); give the config "
                "it was trained with, or start anew from its weights: train.init_weights"
            ) from error

    def train(self, batches: Iterator[Batch], start: int = 0) -> None:
        """Run the steps from `start` to the last.

        Args:
            batches: Batches in the order of the steps, the first one for step `start`.
            start: First step, counted from 0.

        Raises:
            NonFiniteError: If a loss or a gradient is infinite or undefined.
            Stopped: If a signal asked for it; the state is saved.
        """
        self.model.train()
        reporter = self.folder if comm.is_main_process() else None
        total = self.config.max_steps
        with (
            StopSignals() as signals,
            EventStorage(start),
            Progress(reporter, start, total) as progress,
        ):
            for step in range(start, total):
                batch = next(batches)
                losses, rate = self.step(step, batch)
                progress.report(step, batch[0]["source"], losses, rate)
                done = step + 1
                stop, evaluate = signals.asked_anywhere(self.device), self.evaluation_due(done)
                if stop or evaluate or done % self.config.checkpoint_every == 0:
                    progress.flush()
                    self._save(done)
                if stop:
                    signals.hand_over()
                if evaluate:
                    with signals.at_once():
                        self.run_evaluation(done)

    def step(self, step: int, batch: Batch) -> tuple[dict[str, float], float]:
        """One optimiser step; returns the losses by name, their sum as `loss`, and the rate."""
        config = self.config
        seed_step(config.seed, step)
        factor = self.schedule(step / config.max_steps)
        for group, base in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = base * factor
        self.optimizer.zero_grad(set_to_none=True)
        parts = split_batch(batch, config.accumulate)
        summed: dict[str, Tensor] = {}
        for i, part in enumerate(parts):
            last = i == len(parts) - 1
            losses = self._backward(step, part, len(parts), synchronise=last)
            for name, value in losses.items():
                summed[name] = summed.get(name, 0.0) + value.detach() / len(parts)
        self._update(step, batch)
        values = {name: float(value) for name, value in summed.items()}
        return {"loss": sum(values.values()), **values}, self.optimizer.param_groups[0]["lr"]

    def _backward(
        self, step: int, part: Batch, parts: int, *, synchronise: bool
    ) -> dict[str, Tensor]:
        """Add one part's gradient; gradients travel between processes with the last part only."""
        ddp = isinstance(self.model, DistributedDataParallel)
        context = self.model.no_sync() if ddp and not synchronise else nullcontext()
        with context:
            losses = self._forward(part)
            total = torch.stack([value.float() for value in losses.values()]).sum()
            if not _finite_everywhere(total):
                self._stop(step, part, "loss")
            torch.autograd.backward(self.scaler.scale(total / parts))
        return losses

    def _forward(self, part: Batch) -> dict[str, Tensor]:
        try:
            with self._autocast():
                losses: dict[str, Tensor] = self.model(part)
        except FloatingPointError:
            # How the region proposals say it, on all processes together.
            return {"loss": torch.tensor(float("nan"), device=self.device)}
        return losses

    def _update(self, step: int, batch: Batch) -> None:
        self.scaler.unscale_(self.optimizer)
        parameters = [p for p in self.bare_model.parameters() if p.grad is not None]
        limit = self.config.clip_norm or float("inf")
        norm = nn.utils.clip_grad_norm_(parameters, limit)
        # Loss scaling meets infinite gradients now and then by design, and skips those steps.
        if not self.scaler.is_enabled() and not _finite_everywhere(norm):
            self._stop(step, batch, "gradient")
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average:
            self.average.update(step)

    def _autocast(self) -> torch.autocast:
        dtype = PRECISIONS[self.config.precision]
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype != torch.float32)

    def _save(self, done: int) -> None:
        if comm.is_main_process():
            save_checkpoint(checkpoint_path(self.folder, done), self.state_dict(done))
            prune_checkpoints(self.folder, self.config.keep_checkpoints, done)
        comm.synchronize()

    def evaluation_due(self, done: int) -> bool:
        """Whether the model is to be evaluated after `done` steps."""
        every = self.config.evaluate_every
        return done == self.config.max_steps or (every > 0 and done % every == 0)

    def run_evaluation(self, done: int) -> None:
        """Evaluate after `done` steps, the averaged weights where there are any.

        Each process has met other images, and BatchNorm's averages of them differ: all of them evaluate with
        those of process 0, which are the checkpoint's.
        """
        if self.evaluate is None:
            return
        take_from_first(self.bare_model.buffers())
        with self.average.applied() if self.average else nullcontext():
            self.evaluate(done)
        self.model.train()
        comm.synchronize()

    def _stop(self, step: int, batch: Batch, what: str) -> None:
        report_nonfinite(
            what, step, batch, self.bare_model, self.folder, lambda: self.state_dict(step)
        )


def seed_step(seed: int, step: int) -> None:
    """Seed torch for a step of this process, so that a resumed run draws the same numbers."""
    torch.manual_seed((seed * SEED_STRIDE + step) * comm.get_world_size() + comm.get_rank())


def split_batch(batch: Batch, parts: int) -> list[Batch]:
    """Cut a batch into at most `parts` parts of nearly equal size, none empty."""
    parts = max(1, min(parts, len(batch)))
    cuts = [len(batch) * i // parts for i in range(parts + 1)]
    return [batch[a:b] for a, b in itertools.pairwise(cuts)]


def _finite_everywhere(value: Tensor) -> bool:
    bad = (~torch.isfinite(value.detach())).float()
    if comm.get_world_size() > 1:
        torch.distributed.all_reduce(bad)
    return not bool(bad.item())


def _wrap(model: nn.Module) -> nn.Module:
    if comm.get_world_size() == 1:
        return model
    device = next(model.parameters()).device
    # An ALP step leaves the mask branch and, by default, the box layers without gradient: they are
    # unused, the same ones on every process, and the optimiser must not move them.
    return DistributedDataParallel(
        model,
        device_ids=[device.index] if device.type == "cuda" else None,
        broadcast_buffers=False,
        find_unused_parameters=True,
    )
