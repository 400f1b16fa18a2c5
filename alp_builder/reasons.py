"""What each reason for setting a record or a phrase aside means, in words that follow a number of them."""

from __future__ import annotations

from alp_builder.extraction import DROPPED

RECORD_REASONS: dict[str, str] = {
    "not_json": "no JSON; expected one record a line",
    "not_utf8": "no UTF-8 text",
    "missing_field": "lack a field of Localized Narratives",
    "wrong_type": "hold a value of a wrong type",
    "too_large": "larger than the limits of the configuration's section input",
    "negative_time": "hold a time before 0 s",
    "unsorted_times": "their times step back",
    "time_out_of_range": "hold a time later than input.max_time",
    "not_normalised": "points far outside the image; expected fractions of its sides, not pixels",
    "no_traces": "have no trace",
    "empty_caption": "have an empty caption",
    "no_timed_words": "have no timed words",
}
"""Reasons of records, and what usable records may lack."""

PHRASE_REASONS: dict[str, str] = {
    "narration_frame": "name the picture or a place in it",
    "abstract": "name no thing (a colour, a number, a kind)",
    "no_timed_words": "no timed word covers them",
    "times_out_of_order": "their words' times are out of order",
    "no_points": "no trace point in their window",
    "outside_image": "trace outside the image",
    "few_points": "fewer points than boxes.min_points",
    "low_score": "score under boxes.min_score",
    "not_selected": "left out by `alps export --to shards`",
}
"""Reasons of phrases, without the prefix of their counts."""


def dropped_phrases(counts: dict[str, int]) -> list[tuple[str, int]]:
    """Phrases without ALP by reason, the most frequent first; reasons that never occurred are left out.

    Args:
        counts: The counts of a manifest or a build.
    """
    found = [
        (name.removeprefix(DROPPED), number)
        for name, number in counts.items()
        if name.startswith(DROPPED) and number
    ]
    return sorted(found, key=lambda item: (-item[1], item[0]))
