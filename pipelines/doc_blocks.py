"""Runs the code blocks of Markdown pages and compares what they print with what the page says.

    python -m pipelines.doc_blocks docs/analysts.md --folder FOLDER [--update]

A page runs from top to bottom in a folder where `make alps` has run. Its fences:

| fence | what happens |
| --- | --- |
| `python` | runs, in one namespace for the page; a `text` fence right after it is what it prints |
| `console` | each line after `$ ` that starts with `alps` runs; the lines below it are what it prints |
| others (`sh`, `text`, ...) | nothing |

In expected output a line `...` stands for any lines. A comment `<!-- needs: torch -->` before a fence leaves it
out where such a module is missing. `--update` writes what was printed into the page, except where it has a `...`,
and copies pictures that the page saved and shows to where it shows them.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from alp_builder.cli.main import main as alps
from alp_builder.files import write_atomic

WIDTH = "100"
"""Columns that commands believe the terminal to have."""

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NEEDS = re.compile(r"<!-- needs: ([\w ]+) -->\s*$")
_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+\.png)\)")


@dataclass(frozen=True)
class Block:
    """A fence of a page.

    Attributes:
        kind: `python`, `console`, `text` or another word.
        text: What stands in it, with its last line end.
        start: Where its text starts in the page.
        line: Line of the page its text starts at, from 1.
        needs: Modules without which it does not run.
        adjoins: Whether nothing but space stands between it and the fence before.
    """

    kind: str
    text: str
    start: int
    line: int
    needs: tuple[str, ...]
    adjoins: bool


class BlockError(Exception):
    """A block that failed or printed something else than the page says."""


def read_blocks(page: str) -> list[Block]:
    """The fences of a page, in order."""
    blocks: list[Block] = []
    end = 0
    for match in _FENCE.finditer(page):
        needs = _NEEDS.search(page[: match.start()])
        blocks.append(
            Block(
                kind=match[1],
                text=match[2],
                start=match.start(2),
                line=page.count("\n", 0, match.start(2)) + 1,
                needs=tuple(needs[1].split()) if needs else (),
                adjoins=bool(blocks) and not page[end : match.start()].strip(),
            )
        )
        end = match.end()
    return blocks


def run_page(page: Path, folder: Path, update: bool = False) -> list[str]:
    """Runs a page.

    Args:
        page: Markdown file.
        folder: Where it runs.
        update: Write what was printed into the page.

    Returns:
        The blocks left out for want of a module, as `line N: needs torch`.

    Raises:
        BlockError: At the first block that fails; with `update`, only where code raises.
    """
    text = page.read_text("utf-8")
    blocks = read_blocks(text)
    names: dict[str, Any] = {"__name__": page.stem}
    edits: list[tuple[Block, str]] = []
    left_out: list[str] = []
    with contextlib.chdir(folder), _columns():
        for number, block in enumerate(blocks):
            if missing := [name for name in block.needs if find_spec(name) is None]:
                left_out.append(f"line {block.line}: needs {', '.join(missing)}")
            elif block.kind == "python":
                printed = _run_python(block, page, names)
                after = blocks[number + 1] if number + 1 < len(blocks) else None
                if after and after.kind == "text" and after.adjoins:
                    edits.append((after, printed))
            elif block.kind == "console":
                edits.append((block, _run_console(block)))
    for block, printed in edits:
        if not update and not agrees(block.text, printed):
            raise BlockError(
                f"{page.name}, line {block.line}: the page says\n{block.text}\nbut it gave\n{printed}"
            )
    if update:
        _rewrite(page, text, edits)
        for shown in _PICTURE.findall(text):
            made = folder / Path(shown).name
            if made.is_file():
                shutil.copyfile(made, page.parent / shown)
    return left_out


def agrees(expected: str, printed: str) -> bool:
    """Whether output is what was expected; spaces at ends of lines do not count, a line `...` is any lines."""
    pattern = "".join(
        r"(?:.*\n)*" if line.strip() == "..." else re.escape(line.rstrip()) + r"\n"
        for line in expected.strip().splitlines()
    )
    found = "".join(f"{line.rstrip()}\n" for line in printed.strip().splitlines())
    return re.fullmatch(pattern, found) is not None


def _run_python(block: Block, page: Path, names: dict[str, Any]) -> str:
    """Runs code, line numbers those of the page; returns what it printed."""
    code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, names)  # noqa: S102  # our own pages
    return out.getvalue()


def _run_console(block: Block) -> str:
    """Runs the commands; returns the block as a terminal would show it, without progress bars."""
    shown: list[str] = []
    for line in block.text.splitlines():
        if not line.startswith("$ "):
            continue
        shown.append(line)
        words = shlex.split(line[2:])
        if words[0] != "alps":
            raise BlockError(f"line {block.line}: {line!r} is not run; use a `sh` fence")
        shown += _run_alps(words[1:])
    return "\n".join(shown) + "\n"


def _run_alps(words: list[str]) -> list[str]:
    out, errors = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
        contextlib.suppress(SystemExit),  # argparse has said why
    ):
        alps(words)
    out.seek(0)
    messages = [line for line in errors.getvalue().splitlines() if line.startswith("alps")]
    return [*out.read().splitlines(), *messages]


@contextlib.contextmanager
def _columns() -> Iterator[None]:
    """Commands believe a terminal of `WIDTH` columns while the block runs."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = WIDTH
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def _rewrite(page: Path, text: str, edits: list[tuple[Block, str]]) -> None:
    for block, printed in reversed(edits):
        if "..." not in block.text.splitlines() and not agrees(block.text, printed):
            lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
            fresh = "\n".join(lines) + "\n"
            text = text[: block.start] + fresh + text[block.start + len(block.text) :]
    write_atomic(page, text.encode())


def main(argv: list[str] | None = None) -> int:
    """Runs pages from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("pages", type=Path, nargs="+", help="Markdown files")
    parser.add_argument("--folder", type=Path, required=True, help="where `make alps` has run")
    parser.add_argument(
        "--update", action="store_true", help="write what was printed into the pages"
    )
    args = parser.parse_args(argv)
    for page in args.pages:
        try:
            for line in run_page(page.resolve(), args.folder, args.update):
                sys.stderr.write(f"{page}: left out, {line}\n")
        except BlockError as error:
            sys.stderr.write(f"error: {error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
