"""`alps simulate scenes|narratives`: a simulated world with known truth, and its narrator."""

from __future__ import annotations

import argparse
import sys

import msgspec

from alp_builder.cli.parsing import local_path
from alp_builder.errors import UsageError
from alp_builder.simulate import (
    PROFILES,
    EmojiConfig,
    SceneConfig,
    find_profile,
    simulate_narratives,
    simulate_scenes,
)

SCENES_EXAMPLE = """example:
  alps simulate scenes --out data/world --train 2000 --val 300 --test 300 --seed 1 --workers 2
  alps simulate scenes --shapes emoji --out data/world300 --train 20000     # 300 classes, for GPUs

The data are simulated, and say so in their `info` blocks. A stopped run goes on where it was when
the same command is given again; a world that is there already is kept if it is of the same settings."""

NARRATIVES_EXAMPLE = """example:
  alps simulate narratives --coco data/world/instances_train.json --profile coco \\
      --out data/world/narratives_train.jsonl

works on any COCO instance file with masks; for real COCO images add --dataset-id mscoco_val2017.
The meaning of every phrase goes to narratives_train.truth.jsonl beside the narratives."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its two forms."""
    parser = subparsers.add_parser(
        "simulate",
        help="make simulated scenes, or simulated narratives of images with masks",
        description="Draw a simulated world with known truth, or narrate images that have masks.",
        epilog=SCENES_EXAMPLE + "\n\n" + NARRATIVES_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    forms = parser.add_subparsers(dest="what", required=True, metavar="{scenes,narratives}")
    _add_scenes(forms)
    _add_narratives(forms)
    parser.set_defaults(run=run)


def _add_scenes(forms: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    scenes = forms.add_parser(
        "scenes",
        help="images, COCO instance files and a split of base and novel classes",
        description="Draw a simulated world: images, instances_{train,val,test}.json, split.json.",
        epilog=SCENES_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    scenes.add_argument("--out", type=local_path, required=True, help="folder that shall appear")
    defaults = SceneConfig()
    for field in SceneConfig.__struct_fields__:
        default = getattr(defaults, field)
        flag = "--" + field.replace("_", "-")
        note = f"{SCENE_HELP[field]} (default {default})"
        scenes.add_argument(flag, type=type(default), default=default, help=note)
    _add_common(scenes)
    scenes.add_argument(
        "--shapes",
        choices=("vector", "emoji"),
        default="vector",
        help="vector: 36 classes of drawn shapes; emoji: 300 classes of a colour-emoji font",
    )
    emoji = scenes.add_argument_group("with --shapes emoji")
    emoji.add_argument("--emoji-font", metavar="FILE", help="by default the one installed")
    bends = EmojiConfig()
    for field, note in EMOJI_HELP.items():
        flag, default = "--" + field, getattr(bends, field)
        emoji.add_argument(flag, type=float, help=f"{note} (default {default})")


def _add_narratives(forms: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    narratives = forms.add_parser(
        "narratives",
        help="narratives of a COCO data set with masks, and what each phrase means",
        description="Narrate images with masks, in the Localized Narratives schema, simulated.",
        epilog=NARRATIVES_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = narratives.add_argument
    add("--coco", type=local_path, required=True, help="COCO instance file with polygons or RLE")
    add("--out", type=local_path, required=True, help="narratives file (.jsonl)")
    add("--profile", default="coco", help=f"noise: {', '.join(PROFILES)} (default coco)")
    add("--seed", type=int, default=0, help="seed (default 0)")
    add("--per-image", type=int, default=1, help="narratives of each image (default 1)")
    add("--dataset-id", help="how records name the data set (default: what the file's info says)")
    add("--limit", type=int, help="narrate only the first so many images")
    add("--min-side", type=float, default=0.03, help="least side of a thing, in image sides")
    _add_common(narratives)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=1, help="processes; the bytes do not change")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


SCENE_HELP = {
    "seed": "seed of the world",
    "train": "scenes of the train split",
    "val": "scenes of the val split",
    "test": "scenes of the test split",
    "image_size": "side of the square images in pixels",
    "min_things": "fewest things a scene tries to place",
    "max_things": "most things of a scene",
    "min_scale": "least longer side of a thing, in image sides",
    "max_scale": "greatest longer side of a thing, in image sides",
    "repeat_rate": "probability that a thing is followed by another of its class",
    "min_visible": "least share of a thing that stays visible",
    "clutter": "most pieces of clutter",
    "shadow": "darkness of shadows, 0 for none",
    "grain": "amplitude of the pixel noise in grey levels",
    "jpeg_quality": "quality of the image files",
}
"""Help of each field of `SceneConfig`."""

EMOJI_HELP = {
    "turn": "greatest turn to each side, degrees",
    "mirror": "probability that a thing is mirrored",
    "stretch": "greatest change of width against height, a share",
    "shear": "greatest shear",
    "perspective": "by how much of its box a corner moves at most",
    "hue": "greatest turn of the colours, degrees",
    "saturation": "greatest change of saturation, a share",
    "brightness": "greatest change of brightness, a share",
    "contrast": "greatest change of contrast, a share",
    "blur": "greatest radius of blur, in sides of the thing",
    "cover": "probability that a bar lies over a thing",
}
"""Help of each field that `EmojiConfig` adds."""


def run(args: argparse.Namespace) -> int:
    """Carry out `alps simulate`; prints a summary and returns the exit code.

    Raises:
        UsageError: If an argument is out of range or a file is missing.
        BadDataError: If the COCO file cannot be used.
    """
    summary: msgspec.Struct
    if args.what == "scenes":
        summary = simulate_scenes(
            _settings(args),
            args.out,
            args.workers,
            progress=not args.json,
            emoji_font=args.emoji_font or "",
        )
    else:
        summary = simulate_narratives(
            args.coco,
            find_profile(args.profile),
            args.out,
            seed=args.seed,
            per_image=args.per_image,
            dataset_id=args.dataset_id,
            limit=args.limit,
            min_side=args.min_side,
            workers=args.workers,
            progress=not args.json,
        )
    if args.json:
        sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
    else:
        for name, value in msgspec.to_builtins(summary).items():
            sys.stdout.write(f"{name.replace('_', ' '):>24}: {_plain(value)}\n")
    return 0


def _settings(args: argparse.Namespace) -> SceneConfig:
    """Settings of the world that is asked for."""
    common = {field: getattr(args, field) for field in SceneConfig.__struct_fields__}
    given = {f: getattr(args, f) for f in EMOJI_HELP if getattr(args, f) is not None}
    if args.shapes == "emoji":
        return EmojiConfig(**common, **given)
    if odd := [f"--{f}" for f in given] + ["--emoji-font"] * (args.emoji_font is not None):
        raise UsageError(f"{', '.join(odd)}: only with --shapes emoji")
    return SceneConfig(**common)


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
