"""`make page-picture`: draws what the README shows of `alps show`, a page in a real browser.

Scenes are simulated larger than those of the sample, narrated and built in a folder that is thrown away; the page
is opened in Debian's Chromium; one of its phrases may be pointed at. Everything shown is simulated.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image

from alp_builder.cli.main import main as alps
from alp_builder.errors import UsageError
from alp_builder.files import write_atomic

WIDTH, HEIGHT = 1360, 820
SCENES = 12
SIDE = 640


def main() -> int:
    """Draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=4, help="of the scenes")
    parser.add_argument("--index", type=int, default=1, help="which narrative of the page")
    parser.add_argument("--phrase", type=int, help="which phrase is pointed at")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = make_page(Path(folder), args.seed)
        write_atomic(args.out, photograph(page, args.index, args.phrase))
    return 0


def make_page(folder: Path, seed: int) -> Path:
    """The page of a few simulated narratives.

    Raises:
        RuntimeError: If a step fails; it has said why.
    """
    world, narratives, shards = folder / "world", folder / "narratives.jsonl", folder / "sample"
    page = folder / "page.html"
    scenes = ["--train", SCENES, "--val", 0, "--test", 0, "--image-size", SIDE, "--seed", seed]
    told = ["--coco", world / "instances_train.json", "--profile", "vidln"]
    shown = ["--images", world, "--narratives", narratives]
    for step in (
        ["simulate", "scenes", "--out", world, *scenes, "--workers", 1, "--json"],
        ["simulate", "narratives", *told, "--out", narratives, "--json"],
        ["build", narratives, "--out", shards, "--with-traces", "--workers", 1, "--json"],
        ["show", shards, *shown, "--out", page, "--json"],
    ):
        if alps([str(word) for word in step]):
            raise RuntimeError(f"alps {step[0]} failed")
    return page


def photograph(page: Path, index: int, phrase: int | None) -> bytes:
    """The page in a browser, as PNG of 256 colours.

    Raises:
        UsageError: If there is no Chromium.
    """
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise UsageError("no Chromium on this machine (Debian: apt install chromium)")
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=flags)
        window = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        window.goto(f"{page.as_uri()}#{index}")
        if phrase is not None:
            window.hover(f".phrase >> nth={phrase}")
        window.wait_for_timeout(300)  # until what fades has faded
        picture = Image.open(BytesIO(window.screenshot()))
        browser.close()
    target = BytesIO()
    picture.convert("RGB").quantize(256).save(target, "PNG", optimize=True)
    return target.getvalue()


if __name__ == "__main__":
    sys.exit(main())
