"""The console script: what a user types, what comes back."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from alp_builder.cli import audit, build, main, stats, validate
from alp_builder.cli.parsing import percent
from alp_builder.config import BuildConfig, config_dict
from alp_builder.errors import BadDataError, printable
from alp_builder.executors import Executor
from alp_builder.manifest import read_manifest, write_manifest
from tests.alp_builder.conftest import Builder
from tests.alp_builder.simulated import simulated_records, to_line, write_narratives

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def alps(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, here: Executor
) -> Run:
    """Runs `alps WORDS` in this process; returns exit code, standard output and standard error."""
    real = build.build
    monkeypatch.setattr(build, "build", lambda *a, **k: real(*a, **k, executor=here))

    def run(*words: object) -> tuple[int, str, str]:
        try:
            code = main.main([str(word) for word in words])
        except SystemExit as stop:
            code = int(stop.code or 0)
        sys.stdout.flush()
        printed = capfdbinary.readouterr()
        return code, printed.out.decode(), printed.err.decode()

    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_narratives(tmp_path / "x.jsonl", simulated_records(10))


def _gold_of(folder: Path, path: Path) -> Path:
    """A gold file by which every box of a data set is exactly right."""
    frame = pd.read_parquet(folder)
    frame[frame.component_index == 0].to_csv(path, index=False)
    return path


class TestHelp:
    def test_the_verbs_come_in_the_order_of_use(self, alps: Run) -> None:
        code, out, _ = alps("--help")
        assert code == 0
        places = [out.index(f"    {verb}") for verb in ("build", "validate", "stats", "audit")]
        assert places == sorted(places)
        assert "Exit codes: 0 good, 1 bad data, 2 bad usage" in out

    @pytest.mark.parametrize("verb", ["build", "validate", "stats", "audit"])
    def test_each_shows_an_example(self, verb: str, alps: Run) -> None:
        code, out, _ = alps(verb, "--help")
        assert code == 0
        assert f"example:\n  alps {verb} " in out

    @pytest.mark.parametrize("verb", [verb.__name__.rpartition(".")[2] for verb in main.VERBS])
    def test_examples_mean_in_a_shell_what_they_say(self, verb: str, alps: Run) -> None:
        _, out, _ = alps(verb, "--help")
        lines = [line for line in out.splitlines() if line.startswith(f"  alps {verb} ")]
        for line in lines:
            words = list(shlex.shlex(line.rstrip("\\"), posix=True, punctuation_chars="<>"))
            assert not {"<", ">", ">="} & set(words), "an unquoted condition writes a file"

    def test_version(self, alps: Run) -> None:
        code, out, _ = alps("--version")
        assert (code, out.split()[0]) == (0, "alp-toolkit")

    def test_every_module_of_a_verb_is_wired(self) -> None:
        assert set(main.VERBS) >= {build, validate, stats, audit}


class TestUsage:
    """Exit code 2 and one line."""

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ([], "the following arguments are required: VERB"),
            (["nonsense"], "invalid choice: 'nonsense'"),
            (["build", "x", "--nonsense"], "unrecognized arguments"),
            (["build", "x"], "--out DIR is missing"),
            (["build", "none.jsonl", "--out", "o"], "none.jsonl: no such file, folder or glob"),
            (["build", "--out", "o"], "no input"),
            (["build", "x", "--out", "o", "--workers", "0"], "expected 1 or more"),
            (["build", "x", "--out", "o", "--workers", "two"], "invalid int value"),
            (["build", "x", "--out", "o", "--split", "../up"], "expected letters, digits"),
            (["build", "x", "--out", "o", "--max-bad-fraction", "2"], "expected between 0 and 1"),
            (["build", "x", "--out", "o", "--max-bad-fraction", "nan"], "expected between 0 and 1"),
            (["build", "x", "--out", "o", "--set", "window.lag"], "expected section.field=value"),
            (["build", "x", "--out", "o", "--set", "a.b=1"], "unknown field `a`"),
            (["build", "x", "--out", "o", "--config", "none.toml"], "not a readable TOML file"),
            (["audit", "o"], "no truth to compare with"),
            (["validate"], "the following arguments are required: DIR"),
        ],
    )
    def test_a_bad_call(self, words: list[str], message: str, alps: Run) -> None:
        code, out, err = alps(*words)
        assert (code, out) == (2, "")
        assert message in err.splitlines()[-1]
        assert "Traceback" not in err

    @pytest.mark.parametrize("verb", ["validate", "stats"])
    def test_a_folder_that_is_no_data_set(self, verb: str, alps: Run, tmp_path: Path) -> None:
        code, out, err = alps(verb, tmp_path)
        assert (code, out) == (1, "")
        assert err.startswith(f"alps {verb}: {tmp_path}: no ALP data set")
        assert err.count("\n") == 1


class TestBuild:
    def test_a_build_ends_with_its_summary(self, alps: Run, file: Path, tmp_path: Path) -> None:
        out = tmp_path / "o u'r"
        code, text, err = alps("build", file, "--out", out, "--split", "val", "--with-traces")
        assert code == 0
        for words in ("narratives read            10", "phrases found", "ALPs written",
                      "narratives/s", f"shards: {out} (1 files"):  # fmt: skip
            assert words in text
        assert "building" in err
        frame = pd.read_parquet(out)
        assert f"ALPs written       {len(frame):>10,}" in text
        assert set(frame.split) == {"val"}
        assert "trace_x" in frame
        command = next(x for x in text.splitlines() if x.startswith("open:")).split(maxsplit=1)[1]
        shown = subprocess.run(command, shell=True, capture_output=True, text=True)
        assert shown.returncode == 0, shown.stderr
        assert f"[{len(frame)} rows x {len(frame.columns)} columns]" in shown.stdout

    def test_what_is_wrong_with_records_is_said_in_words(self, alps: Run, tmp_path: Path) -> None:
        records = simulated_records(3)
        for record in records:
            for point in record["traces"][0]:
                point["x"], point["y"] = 640 * point["x"], 480 * point["y"]
        pixels = write_narratives(tmp_path / "pixels.jsonl", records)
        code, text, _ = alps("build", pixels, "--out", tmp_path / "out")
        assert code == 1
        assert "3  not_normalised: points far outside" in text
        assert "not pixels" in text

    def test_an_empty_input_is_noticed(self, alps: Run, tmp_path: Path) -> None:
        (tmp_path / "empty.jsonl").write_bytes(b"\n")
        code, text, _ = alps("build", tmp_path / "empty.jsonl", "--out", tmp_path / "out")
        assert code == 0
        assert "note: the inputs are empty" in text

    def test_figures_for_machines(self, alps: Run, file: Path, tmp_path: Path) -> None:
        code, text, err = alps("build", file, "--out", tmp_path / "out", "--json")
        figures = json.loads(text)
        assert (code, err) == (0, "")
        assert {"out", "counts", "rejected", "bad_fraction", "seconds", "narratives_per_s",
                "already_built", "reused_chunks", "notes", "shards"} == set(figures)  # fmt: skip
        assert figures["counts"]["narratives"] == 10
        again = json.loads(alps("build", file, "--out", tmp_path / "out", "--json")[1])
        assert again["already_built"] is True
        assert again["counts"] == figures["counts"]

    @pytest.mark.parametrize(
        ("bad", "limit", "code"),
        [(0, None, 0), (1, None, 1), (1, "0.2", 0), (2, "0", 1), (0, "0", 0)],
    )
    def test_too_many_bad_records(
        self, bad: int, limit: str | None, code: int, alps: Run, file: Path, tmp_path: Path
    ) -> None:
        with file.open("ab") as stream:
            stream.write(b"{}\n" * bad)
        option = [] if limit is None else ["--max-bad-fraction", limit]
        for _ in range(2):  # also when there is nothing left to do
            found, text, err = alps("build", file, "--out", tmp_path / "out", *option)
            assert found == code
            assert ("too many bad records" in err) == bool(code)
            assert (f"  {bad:>10,}  missing_field" in text) == bool(bad)
        assert alps("validate", tmp_path / "out")[0] == 0
        found, text, _ = alps("build", file, "--out", tmp_path / "out", "--json", *option)
        assert (found, json.loads(text)["rejected"].get("missing_field", 0)) == (code, bad)

    def test_names_are_shown_without_control_characters(self, alps: Run, tmp_path: Path) -> None:
        odd = tmp_path / "a\x1b[31m\nb.jsonl"
        code, _, err = alps("build", odd, "--out", tmp_path / "out")
        assert code == 2
        assert "\x1b" not in err
        assert err.count("\n") == 1

    def test_the_configuration_shown_is_one_that_can_be_read(
        self, alps: Run, tmp_path: Path
    ) -> None:
        code, text, _ = alps("build", "--show-config", "--set", "window.lag=-0.25")
        tree = tomllib.loads(text)
        expected = config_dict(BuildConfig())
        expected["window"]["lag"] = -0.25
        del expected["calibration"]  # has a file of its own
        assert (code, tree) == (0, expected)
        (tmp_path / "c.toml").write_text(text)
        assert alps("build", "--show-config", "--config", tmp_path / "c.toml")[1] == text

    def test_a_note_says_why_all_is_built_again(
        self, alps: Run, file: Path, tmp_path: Path
    ) -> None:
        alps("build", file, "--out", tmp_path / "out")
        code, text, _ = alps("build", file, "--out", tmp_path / "out", "--set", "boxes.margin=0.1")
        assert code == 0
        assert text.startswith("note: rebuilding: ")
        assert "nothing to do" in alps(
            "build", file, "--out", tmp_path / "out", "--set", "boxes.margin=0.1"
        )[1]  # fmt: skip


class TestValidate:
    def test_good(self, alps: Run, built: Path) -> None:
        code, text, _ = alps("validate", built)
        assert code == 0
        assert text.startswith(f"{built}: all true (")
        figures = json.loads(alps("validate", built, "--json")[1])
        assert figures == {"valid": True, "shards": figures["shards"], "rows": figures["rows"]}
        assert figures["rows"] > 100

    def test_bad(self, alps: Run, copy_of_built: Path) -> None:
        next(copy_of_built.glob("split=*/*")).unlink()
        code, out, err = alps("validate", copy_of_built)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "listed in the manifest, not on disk" in err
        code, out, _ = alps("validate", copy_of_built, "--json")
        assert code == 1
        assert json.loads(out)["valid"] is False
        assert "not on disk" in json.loads(out)["problem"]


class TestStats:
    def test_for_people(self, alps: Run, built: Path) -> None:
        code, text, _ = alps("stats", built, "--top", "2")
        assert code == 0
        for words in (
            "Left side of the box",
            "[image width]",
            "in [0, 1]",
            "median:",
            "split val:",
        ):
            assert words in text
        nouns = text.split("most frequent nouns ")[1].split("\n\n")[0]
        assert nouns.count("\n") == 2
        rows = len(pd.read_parquet(built))
        assert text.rindex(f"{rows:,} ALPs of ") > text.index("gave ALPs")

    def test_for_machines(self, alps: Run, built: Path) -> None:
        code, text, _ = alps("stats", built, "--json")
        figures = json.loads(text)
        assert code == 0
        assert figures["alps"] == len(pd.read_parquet(built))
        assert set(figures["splits"]) == {"train", "val"}
        assert figures["columns"]["score"]["doc"]
        assert {"images", "narratives", "datasets", "counts", "top_nouns"} <= set(figures)

    @pytest.mark.parametrize("top", ["0", "-3"])
    def test_no_nouns(self, top: str, alps: Run, built: Path) -> None:
        assert alps("stats", built, "--top", top)[0] == 0

    def test_a_manifest_that_lost_a_count(self, alps: Run, copy_of_built: Path) -> None:
        manifest = read_manifest(copy_of_built)
        counts = {"rejected.not_json": 1} | manifest.counts
        del counts["lines"]
        write_manifest(copy_of_built, msgspec.structs.replace(manifest, counts=counts))
        assert alps("stats", copy_of_built)[0] == 0

    def test_a_data_set_without_rows(self, alps: Run, tmp_path: Path, build_here: Builder) -> None:
        (tmp_path / "x.jsonl").write_bytes(b"")
        build_here(tmp_path / "x.jsonl", tmp_path / "out")
        assert alps("stats", tmp_path / "out")[0] == 0


class TestAudit:
    def test_for_people_and_machines(self, alps: Run, built: Path, tmp_path: Path) -> None:
        gold = _gold_of(built, tmp_path / "gold.csv")
        code, text, _ = alps("audit", built, "--gold", gold)
        assert code == 0
        assert "centre inside" in text
        figures: dict[str, Any] = json.loads(alps("audit", built, "--gold", gold, "--json")[1])
        keys = {
            "nouns",
            "recall",
            "iou_mean",
            "coverage_mean",
            "centre_inside",
            "area_ratio_median",
        }
        assert set(figures["rules"]) == {"default", "tight"}
        assert all(keys <= set(rule) for rule in figures["rules"].values())
        default = figures["rules"]["default"]
        assert (default["recall"], default["centre_inside"]) == (1, 1)
        assert default["iou_mean"] == pytest.approx(1, abs=1e-5)
        assert figures["rules"]["tight"]["iou_mean"] < 0.9

    def test_truth_of_other_images(self, alps: Run, built: Path, tmp_path: Path) -> None:
        gold = tmp_path / "gold.csv"
        gold.write_text(
            "dataset_id,image_id,caption,char_start,char_end,x0,y0,x1,y1\na,b,c,0,1,0,0,1,1\n"
        )
        code, _, err = alps("audit", built, "--gold", gold)
        assert (code, err.count("\n")) == (2, 1)
        assert "none of its 1 nouns is in" in err


class TestMain:
    def _alps(self, *words: object, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "alp_builder.cli.main", *map(str, words)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def test_a_reader_that_leaves_is_no_error(self, built: Path) -> None:
        process = self._alps("stats", built)
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == b""

    def test_a_terminal_without_unicode(self, built: Path) -> None:
        process = self._alps("stats", built, env=os.environ | {"PYTHONIOENCODING": "ascii"})
        out, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, b"")
        assert rb"\u2588" in out

    @pytest.mark.parametrize(
        ("error", "code", "words"),
        [
            (KeyboardInterrupt(), 130, "stopped; run the same command again"),
            (BadDataError("a shard is\nbroken"), 1, "a shard is broken"),
            (
                OSError(28, "No space left on device", "a/b.json"),
                2,
                "a/b.json: No space left on dev",
            ),
            (OSError(13, "Permission denied"), 2, "alps stats: Permission denied"),
        ],
    )
    def test_errors_become_one_line_and_a_code(
        self, error: BaseException, code: int, words: str, alps: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # fmt: skip
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr(stats, "open_alps", fail)
        found, out, err = alps("stats", "anywhere")
        assert (found, out, err.count("\n")) == (code, "", 1)
        assert words in err

    @pytest.mark.parametrize("bug", [ZeroDivisionError(), OSError("no errno, not the system's")])
    def test_a_bug_is_not_hidden(self, bug: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise bug

        monkeypatch.setattr(stats, "open_alps", fail)
        with pytest.raises(type(bug)):
            main.main(["stats", "anywhere"])

    @pytest.mark.parametrize(
        "words",
        [
            "validate LONG",
            "stats LONG",
            "build LONG --out OUT",
            "build http://[bad/x.jsonl --out OUT",
            "build FILE --out s3://[bad/x",
            "fetch coco_val --base-url http://[bad",
            "card ALPS --out FILE",
            "export ALPS --to hf --out FILE/x",
            "export ALPS --to coco --out FILE/x --images OUT",
            "validate FILE",
        ],
    )
    def test_what_cannot_be_is_one_line(
        self, words: str, alps: Run, built: Path, file: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "out").mkdir()
        places = {"LONG": "x" * 300, "OUT": tmp_path / "out", "FILE": file, "ALPS": built}
        for name, place in places.items():
            words = words.replace(name, str(place))
        code, out, err = alps(*words.split())
        assert code in (1, 2)
        assert (out, err.count("\n")) == ("", 1)


def test_a_real_build_of_one_process(file: Path, tmp_path: Path) -> None:
    """From the shell to shards without anything of this process."""
    file.write_bytes(file.read_bytes() + to_line({"no": "narrative"}))
    command = [sys.executable, "-m", "alp_builder.cli.main", "build", str(file)]
    options = ["--out", str(tmp_path / "out"), "--workers", "1", "--max-bad-fraction", "0.5"]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "missing_field" in done.stdout
    assert len(pd.read_parquet(tmp_path / "out")) > 10


def test_small_words() -> None:
    assert printable("plain ünïcode 画像") == "plain ünïcode 画像"
    assert printable("a\tb\x1b\u202e\udcff") == "a\\tb\\x1b\\u202e\\udcff"
    assert (percent(1, 8), percent(1, 0)) == ("12.5 %", "-")
