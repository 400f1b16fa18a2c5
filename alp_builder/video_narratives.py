"""Records of Video Localized Narratives as image narratives, one for each actor and key frame with trace.

A record there describes a video: several actors, each with a caption, timed words and a trace whose points
say on which key frame they lie (Voigtlaender et al., "Connecting Vision and Language with Video Localized
Narratives", CVPR 2023). Read as image narratives, each key frame that has trace keeps the whole caption and
all its words, and only the points that lie on it: words spoken over another key frame have no points here.

Times there are milliseconds since the epoch for points, and since the start of the recording for words.
Points recorded before the recording starts are left out, as no word can be spoken over them.
"""

from __future__ import annotations

from itertools import groupby

import msgspec

from alp_builder.records import (
    Identifier,
    Int64,
    NarrativeRecord,
    RecordError,
    TracePoint,
    Utterance,
)

MARKER = b'"actor_narratives"'
"""Bytes by which a line of this format is told from Localized Narratives."""


class _Point(msgspec.Struct, gc=False):
    x: float
    y: float
    time_ms_since_epoch: Int64
    kf_idx: int


class _Word(msgspec.Struct, gc=False):
    referenced_word: str
    start_ms: float
    end_ms: float


class _Actor(msgspec.Struct, gc=False):
    actor_name: Identifier
    recording_start_time_ms_since_epoch: Int64
    caption: str
    traces: list[list[_Point]]
    time_alignment: list[_Word]


class _Video(msgspec.Struct, gc=False):
    dataset_id: Identifier
    video_id: Identifier
    keyframe_names: list[Identifier]
    actor_narratives: list[_Actor]
    annotator_id: Int64


_DECODER = msgspec.json.Decoder(_Video)


def parse(data: bytes) -> list[NarrativeRecord]:
    """Turns one video record into image narratives, by actor and then by key frame.

    Args:
        data: A line of JSON.

    Returns:
        The narratives; `image_id` is `VIDEO/KEYFRAME`, `dataset_id` is `vidln_` and the data set's name.
        An actor without any trace gives one narrative of the video, without traces, to be counted.

    Raises:
        RecordError: If a point names a key frame that the video does not have.
        msgspec.DecodeError: If the line is not JSON of this form.
    """
    video = _DECODER.decode(data)
    return [record for actor in video.actor_narratives for record in _by_keyframe(video, actor)]


def _by_keyframe(video: _Video, actor: _Actor) -> list[NarrativeRecord]:
    """The narratives of one actor, in the order of the key frames."""
    start = actor.recording_start_time_ms_since_epoch
    traces: dict[int, list[list[TracePoint]]] = {}
    for segment in actor.traces:
        for keyframe, run in groupby(segment, key=lambda point: point.kf_idx):
            if not 0 <= keyframe < len(video.keyframe_names):
                detail = f"kf_idx {keyframe} of {len(video.keyframe_names)} key frames"
                raise RecordError("wrong_type", detail)
            points = [
                TracePoint(point.x, point.y, (point.time_ms_since_epoch - start) / 1000)
                for point in run
                if point.time_ms_since_epoch >= start
            ]
            if points:
                traces.setdefault(keyframe, []).append(points)
    words = [
        Utterance(word.referenced_word, word.start_ms / 1000, word.end_ms / 1000)
        for word in actor.time_alignment
    ]
    if not traces:  # told of as other narratives without trace are
        return [NarrativeRecord(f"vidln_{video.dataset_id}", video.video_id, video.annotator_id,
                                actor.caption, words, actor=actor.actor_name)]  # fmt: skip
    return [
        NarrativeRecord(
            dataset_id=f"vidln_{video.dataset_id}",
            image_id=f"{video.video_id}/{video.keyframe_names[keyframe]}",
            annotator_id=video.annotator_id,
            caption=actor.caption,
            timed_caption=words,
            traces=traces[keyframe],
            actor=actor.actor_name,
        )
        for keyframe in sorted(traces)
    ]
