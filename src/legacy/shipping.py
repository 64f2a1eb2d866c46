"""An imported run in MLflow, with its original time stamps. In: the run's files. Out: a sentence on what was sent."""

from src.legacy.reading import Findings
from src.record.layout import RunFiles
from src.record.shipping import Shipper
from src.record.tracking import Point, Store


def ship(place: RunFiles, found: Findings, fingerprint: str) -> str:
    """Send the journal and the generations; sending again changes nothing.

    Raises `TrackingError` if MLflow does not take it; the same call goes on from there.
    """
    store = Store()
    network = found.network.model_dump(mode="json") if found.network else {}
    params = {
        "genres": ",".join(found.genres),
        "model": network,
        "steps": "numbered from 0: step n is after n + 1 updates",
    }
    tags = {"imported": "true", "source": "ibab/tensorflow-wavenet", "known_study": str(found.known).lower()}
    begin_ms = found.training.clock.begin_ms[0] if found.training is not None else None
    run_id = store.run(fingerprint, place.name, params, tags, start_time_ms=begin_ms)
    sent = 0
    if place.training is not None and place.journal is not None:
        sent = Shipper(store, run_id, place.training).ship()
    generation_points, clips = _generations(store, run_id, place, found)
    store.points(run_id, generation_points)
    store.status(run_id, "FINISHED", _end_ms(found))
    return f"MLflow: the run {place.name} got {sent:,} new steps; it has {clips} clips."


def _generations(store: Store, run_id: str, place: RunFiles, found: Findings) -> tuple[list[Point], int]:
    points: list[Point] = []
    clips = 0
    for step in sorted({wav.step for wav in found.wavs}):
        if place.generation(step).is_dir():
            store.files(run_id, place.generation(step), f"generations/{place.generation(step).name}")
            clips += sum(wav.step == step for wav in found.wavs)
    if found.generation is not None and found.order:
        at_ms = found.generation.stamps_ms[0]
        for (step, genre), (seconds, _) in zip(found.order, found.generation.clip_seconds(), strict=True):
            at_ms += round(seconds * 1000)
            points.append((f"generation_seconds.{genre}", seconds, at_ms, step))
    return points, clips


def _end_ms(found: Findings) -> int | None:
    """When the last of it happened."""
    ends = []
    if found.generation is not None:
        ends.append(found.generation.stamps_ms[-1])
    if found.training is not None:
        ends += [attempt.died_ms for attempt in found.training.attempts if attempt.died_ms is not None]
    return max(ends) if ends else None
