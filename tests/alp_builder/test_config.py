from __future__ import annotations

from pathlib import Path

import pytest

from alp_builder.config import BuildConfig, config_dict, load_config
from alp_builder.errors import UsageError


def test_defaults_need_nothing() -> None:
    assert load_config() == BuildConfig()


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "choices.toml"
    file.write_text('with_traces = true\n[window]\nlag = -0.5\nend = "utterance"\n')
    config = load_config(file, ["window.lag = -0.3", "boxes.rule=tight", "shards.chunk_bytes=7"])
    assert config.window.lag == -0.3
    assert config.window.end == "utterance"
    assert config.boxes.rule == "tight"
    assert config.with_traces is True
    assert config.shards.chunk_bytes == 7


def test_every_field_is_spelled_out_and_reads_back() -> None:
    tree = config_dict(BuildConfig())
    assert tree["boxes"]["percentile"] == BuildConfig().boxes.percentile
    flat = [f"{a}.{b}={v}" for a, t in tree.items() if isinstance(t, dict) for b, v in t.items()]
    assert load_config(None, [item.replace("True", "true") for item in flat]) == BuildConfig()


def _numbers() -> list[str]:
    sections = {name: value for name, value in config_dict(BuildConfig()).items() if value}
    return [
        f"{section}.{field}"
        for section, fields in sections.items()
        for field, value in fields.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e300", f"{10**40}", "-1e7", '"x"'])
def test_no_number_takes_what_is_no_sensible_number(value: str) -> None:
    for field in _numbers():
        with pytest.raises(UsageError, match=r"configuration: .*alps build --show-config"):
            load_config(None, [f"{field}={value}"])


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("window.lag", "expected section.field=value"),
        ("nonsense.lag=1", "unknown field `nonsense`"),
        ("window.leg=1", "unknown field `leg`"),
        ("window=3", "Expected `object`"),
        ("window.end=never", "Invalid enum value 'never'"),
        ("shards.chunk_bytes=0", ">= 1"),
        ("boxes.percentile=50", "< 50"),
        ("with_traces=1", "Expected `bool`"),
    ],
)
def test_a_bad_choice_is_named(item: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        load_config(None, [item])
    assert "\n" not in str(caught.value)


def test_a_value_is_no_section() -> None:
    with pytest.raises(UsageError, match="with_traces is a value"):
        load_config(None, ["with_traces=true", "with_traces.x=1"])


@pytest.mark.parametrize("content", [b"[window\n", b"\xff\xfe", b"window = 1\nwindow = 2\n"])
def test_a_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.toml"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"broken\.toml: not a readable TOML file"):
        load_config(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        load_config(tmp_path / "none.toml")
