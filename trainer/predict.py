r"""Find things by name in any image: `python -m trainer.predict ... --classes "dog,red kite" IMAGE ...`.

    python -m trainer.predict --config-file trainer/configs/fcosmo_tiny_world.py \
        --checkpoint runs/fcosmo_tiny_world --classes "striped mug, rocket" --out found photo.jpg

The classes may be any texts the encoder takes; the model need not have been trained on them. OUT gets

    results.json      COCO results: image_id, category_id, bbox (xywh), score, segmentation (RLE)
    instances.json    the images and categories those ids mean, as a COCO file without annotations
    NAME.png          each image with masks, boxes, names and scores drawn in

`--html page.html` makes a page of them as `alps show` does, beside the ALPs (`--alps DIR`) and the truth
(`--truth instances.json`) of the same images where they are given.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from alp_builder.errors import AlpError, BadDataError, UsageError
from trainer.data.items import read_image
from trainer.data.loaders import item_of_image
from trainer.engine.build import build_embedder, build_model
from trainer.engine.checkpoint import latest_checkpoint, load_checkpoint, weights_of
from trainer.engine.config import load_config
from trainer.engine.inference import coco_results, detect, write_results
from trainer.engine.pictures import draw, save_png

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    args = _parser().parse_args(arguments)
    try:
        predict(args)
    except AlpError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the command's own message
        return error.exit_code
    return 0


def predict(args: argparse.Namespace) -> None:
    """Predict on the images of the arguments and write the results."""
    names = [name.strip() for name in args.classes.split(",") if name.strip()]
    files = find_images(args.images)
    cfg = load_config(args.config_file, args.set)
    model = load_model(cfg, Path(args.checkpoint), average=args.average)
    model.set_vocabulary(names)  # type: ignore[operator]
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    category_ids = list(range(1, len(names) + 1))
    results, images = [], []
    for image_id, file in enumerate(tqdm(files, unit="image"), start=1):
        pixels = read_image(str(file), "RGB")
        item = item_of_image(
            pixels,
            str(file),
            image_id,
            short_side=cfg.data.test.loader.images.short_side,
            max_long_side=cfg.data.test.loader.images.max_long_side,
        )
        (found,) = detect(model, [item], torch.float32)
        results += coco_results(image_id, found, category_ids)
        height, width = pixels.shape[:2]
        images.append({"id": image_id, "file_name": str(file), "height": height, "width": width})
        picture = draw(pixels, found, names, args.threshold)
        save_png(out / f"{image_id:04d}_{file.stem}.png", picture)
    categories = [{"id": i, "name": name} for i, name in zip(category_ids, names, strict=True)]
    record = {"images": images, "categories": categories, "annotations": []}
    write_results(out / "instances.json", record)
    write_results(out / "results.json", results)
    if args.html:
        _write_page(args, files, out)
    print(f"{len(results)} detections in {len(files)} images: {out}")  # noqa: T201 - the summary


def _write_page(args: argparse.Namespace, files: list[Path], out: Path) -> None:
    """The page of the predictions just written; image files are looked for where the images were."""
    from alp_builder.page import PageConfig, PageRequest, write_page  # of no use without --html

    folders = dict.fromkeys(str(file.parent) for file in files)
    request = PageRequest(
        alps=Path(args.alps) if args.alps else None,
        images=list(folders),
        predictions=out / "results.json",
        truth=Path(args.truth) if args.truth else None,
    )
    summary = write_page(request, Path(args.html), PageConfig(sample=0))
    print(f"page: {summary.path} ({summary.size / 1e6:.1f} MB)")  # noqa: T201 - the summary


def load_model(cfg: Any, checkpoint: Path, *, average: bool = False) -> nn.Module:
    """A trained model, ready to predict.

    Args:
        cfg: The config it was trained with.
        checkpoint: Its checkpoint, or a run folder, whose last one is taken.
        average: Whether to take the averaged weights.

    Raises:
        UsageError: If there is no checkpoint, it has no averaged weights, or is of another model or
            text encoder than the config's.
        BadDataError: If the checkpoint is damaged, or does not say its base classes.
    """
    path = latest_checkpoint(checkpoint) if checkpoint.is_dir() else checkpoint
    if path is None:
        raise UsageError(f"{checkpoint}: no checkpoint in this folder; train first")
    state = load_checkpoint(path)
    embedder = build_embedder(cfg)
    trained = state["info"].get("text")
    if trained != embedder.fingerprint:
        raise UsageError(
            f"{path}: trained with the text encoder {trained}, the config has "
            f"{embedder.fingerprint}; set text.name as in training"
        )
    base = state["info"].get("base")
    if not isinstance(base, list):
        raise BadDataError(
            f"{path}: does not say its base classes; expected a checkpoint of trainer.train"
        )
    model = build_model(cfg, embedder, base)
    try:
        model.load_state_dict(weights_of(state, path, average=average))
    except RuntimeError as error:
        raise UsageError(
            f"{path}: is not of this config's model ({state['info'].get('model')})"
        ) from error
    return model.eval()


def find_images(paths: list[str]) -> list[Path]:
    """Image files of paths; a folder stands for the images in it.

    Raises:
        UsageError: If a path does not exist, or there is no image.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            files += sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
        elif path.is_file():
            files.append(path)
        else:
            raise UsageError(f"{path}: no such image or folder")
    if not files:
        raise UsageError(f"{', '.join(paths)}: no images in there")
    return files


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainer.predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files or folders")
    parser.add_argument("--config-file", required=True, help="the config of the training")
    parser.add_argument("--checkpoint", required=True, help="a checkpoint file or a run folder")
    parser.add_argument("--classes", required=True, help="names to look for, separated by commas")
    parser.add_argument("--out", default="predictions", help="folder of the results")
    parser.add_argument("--threshold", type=float, default=0.3, help="least score to draw")
    parser.add_argument("--html", metavar="FILE", help="make a page to look at the predictions")
    parser.add_argument("--alps", metavar="DIR", help="ALPs of the images, for --html")
    parser.add_argument("--truth", metavar="JSON", help="COCO instances of the images, for --html")
    parser.add_argument("--average", action="store_true", help="use the averaged weights")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="changes of the config"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
