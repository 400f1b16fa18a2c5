"""Train a model of a config: `python -m trainer.train --config-file CONFIG [key=value ...]`.

    python -m trainer.train --config-file trainer/configs/fcosmo_tiny_world.py
    python -m trainer.train --config-file trainer/configs/fcosmo_r50_coco_openimages.py --num-gpus 8
    torchrun --nproc-per-node 8 -m trainer.train --config-file ...
    python -m trainer.launch_slurm --nodes 4 --gpus-per-node 8 --config-file ...

A run folder (`train.output_dir`) gets the config as used, `metrics.jsonl` (one line a step), checkpoints
and, at the end, the evaluation. With `--resume` a stopped run goes on from its last checkpoint and gives
the losses of a run that was never stopped. With `--checkpoint FILE` it begins from that one, and what its folder
has of later steps is set aside (`trainer.engine.starting`). On SIGTERM, SIGINT, SIGUSR1 or SIGUSR2 a run
saves its state at the end of the step and stops with exit code 75. With `--eval-only` its last checkpoint is
evaluated; with `--dry-run` nothing is trained, and what is missing of the data is listed.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

import torch
from detectron2.config import LazyConfig
from detectron2.utils import comm

from alp_builder.errors import AlpError, UsageError
from trainer.engine.agreement import agreed_checkpoint, check_agreement, facts_of_config
from trainer.engine.build import build_embedder, build_model
from trainer.engine.checkpoint import State, load_checkpoint
from trainer.engine.config import construct, load_config
from trainer.engine.distributed import gather_in_order
from trainer.engine.dryrun import report
from trainer.engine.evaluate import Evaluator
from trainer.engine.launch import check_gpus, is_requeued, is_restart, launch, leave_to_first
from trainer.engine.loop import Loop, LoopConfig
from trainer.engine.optimizer import build_optimizer
from trainer.engine.sources import TrainBatches, images_per_step
from trainer.engine.starting import Start, begin_from, starting_point
from trainer.engine.weights import initialise
from trainer.evaluation.splits import load_split

logger = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    args = _parser().parse_args(arguments)
    try:
        # Mistakes are told before processes start.
        cfg = load_config(args.config_file, args.overrides)
        if args.dry_run:
            return _dry_run(cfg)
        check_gpus(args.num_gpus, cfg.train.device)
        return launch(run, args, str(cfg.train.device))
    except AlpError as error:
        leave_to_first()
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the command's own message
        return error.exit_code


def _dry_run(cfg: Any) -> int:
    """Say what the config needs; the exit code is 1 if something is missing, wrong or not checked."""
    found = report(cfg)
    print("\n".join([*found.lines, found.summary()]))  # noqa: T201 - the command's own output
    return int(found.wrong + found.unchecked > 0)


def run(args: argparse.Namespace) -> None:
    """Train in this process, one of those that `launch` started."""
    # ------------------------------------------------------------------ configuration
    cfg = load_config(args.config_file, args.overrides)
    folder = Path(cfg.train.output_dir)
    if comm.is_main_process():
        folder.mkdir(parents=True, exist_ok=True)
    comm.synchronize()
    logging.basicConfig(
        level=logging.INFO if comm.is_main_process() else logging.WARNING, format="%(message)s"
    )
    if cfg.train.cpu_threads:
        torch.set_num_threads(cfg.train.cpu_threads)
    chosen = _starting_point(args, folder)
    last = agreed_checkpoint(chosen.path)
    check_agreement(facts_of_config(cfg))

    # ------------------------------------------------------------------ data
    split = load_split(cfg.data.split)
    state = load_checkpoint(last) if last else None
    start = int(state["step"]) if state else 0
    batches = TrainBatches(cfg, split, start)

    # ------------------------------------------------------------------ model
    embedder = build_embedder(cfg)
    check_agreement({"text encoder": embedder.fingerprint})
    model = build_model(cfg, embedder, split.base, split.classes, phrases=batches.common_phrases)
    if state is None:
        initialise(model, cfg.train.init_weights, allow_pickle=args.allow_pickle)

    # ------------------------------------------------------------------ training
    optimizer = build_optimizer(cfg, model, images_per_step(cfg))
    info = {
        "model": type(model).__name__,
        "base": list(split.base),
        "novel": list(split.novel),
        "text": embedder.fingerprint,
        "processes": comm.get_world_size(),
    }
    evaluator = Evaluator(cfg, model, split, folder) if cfg.data.test else None
    loop = Loop(
        model,
        optimizer,
        construct(cfg.schedule),
        LoopConfig(**cfg.train.loop),
        folder,
        info=info,
        evaluate=evaluator,
    )
    if state is not None:
        loop.load_state_dict(state)
        _note_processes(state, start)
    if last is not None and not args.eval_only:
        # All that could be refused has been: from here on the folder is this run's.
        if chosen.begins and comm.is_main_process():
            begin_from(folder, last, start)
        comm.synchronize()
    if comm.is_main_process():
        LazyConfig.save(cfg, str(folder / "config.yaml"))
        parameters = sum(p.numel() for p in model.parameters()) / 1e6
        logger.info(
            "%s, %.1f M parameters, %d base and %d novel classes, text encoder %s, steps %d to %d",
            info["model"],
            parameters,
            len(split.base),
            len(split.novel),
            embedder.fingerprint,
            start,
            loop.config.max_steps,
        )
    if args.eval_only:
        loop.run_evaluation(start)
        return
    if evaluator and start and loop.evaluation_due(start) and not evaluator.is_done(start):
        # The run was stopped between a checkpoint and the evaluation that belongs to it.
        loop.run_evaluation(start)
    try:
        loop.train(iter(batches), start)
    finally:
        if comm.is_main_process():
            embedder.flush()  # also where a signal stopped it: the next turn need not encode them again
    if comm.is_main_process():
        logger.info("done: %s", folder)


def _note_processes(state: State, start: int) -> None:
    """Say if the checkpoint is of another number of processes."""
    before = state["info"].get("processes", comm.get_world_size())
    if before != comm.get_world_size() and comm.is_main_process():
        logger.info(
            "the checkpoint of step %d was made by %d processes, this run has %d: every step has the same "
            "images, but sums and the sampling of regions differ, and losses with them",
            start,
            before,
            comm.get_world_size(),
        )


def _starting_point(args: argparse.Namespace, folder: Path) -> Start:
    """Where to start, by what this process sees of the folder."""
    # Where machines count restarts apart, only those know of one that lost a process.
    again = any(gather_in_order([is_restart() or is_requeued()]))
    given = Path(args.checkpoint) if args.checkpoint is not None else None
    start = starting_point(folder, given, going_on=not args.eval_only and (args.resume or again))
    last = start.path
    if last is None and args.eval_only:
        raise UsageError(f"{folder}: no checkpoint to evaluate; train first, or give --checkpoint")
    if given is None and last is not None and not (args.resume or args.eval_only or again):
        raise UsageError(
            f"{folder} has an earlier run: add --resume (make: RESUME=1) to go on from {last.name}, or choose "
            "another train.output_dir"
        )
    if given is not None and last is not None and not start.begins:
        logger.info("goes on from %s, saved since the run was begun from %s", last, given)
    return start


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainer.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config-file", required=True, help="a Python config, see trainer/configs")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what of the data is missing, and stop"
    )
    parser.add_argument("--eval-only", action="store_true", help="evaluate and stop")
    parser.add_argument(
        "--checkpoint",
        help="begin from, or evaluate, this one, not the last; later ones of the folder are set aside",
    )
    parser.add_argument(
        "--allow-pickle",
        action="store_true",
        help="let train.init_weights be a pickle, which can run any code: only for files you trust",
    )
    parser.add_argument("--num-gpus", type=int, default=1, help="processes on this machine")
    parser.add_argument("--num-machines", type=int, default=1)
    parser.add_argument("--machine-rank", type=int, default=0, help="of this machine, from 0")
    parser.add_argument("--dist-url", default="auto", help="tcp://HOST:PORT of the first machine")
    parser.add_argument(
        "overrides", nargs="*", help="changes of the config, such as optimizer.lr=0.01"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
