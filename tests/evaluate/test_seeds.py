"""Several trainings in one table: known spreads, and the sentence that the page makes of them."""

import statistics
from pathlib import Path

import pytest

from src import config
from src.base import files
from src.base.errors import Problem
from src.compare import sentences
from src.evaluate import seeds
from src.evaluate.schema import ALL, BITS, Evaluation
from src.record import layout
from tests.compare import evaluations
from tests.conftest import ROOT

STEPS = (20, 300, 1000)


def runs() -> dict[str, Evaluation]:
    return {f"{seed:016x}": evaluations.made(seed, STEPS) for seed in (1, 2, 3)}


def test_mean_spread_and_change_are_those_of_the_runs() -> None:
    measured = runs()
    found = seeds.collect(measured)
    row = found.row(BITS)
    assert row is not None
    assert found.step == 1000
    assert found.fingerprints == tuple(measured)
    bits = {
        step: [each.against[step]["linear"][ALL].difference.value or 0.0 for each in measured.values()]
        for step in STEPS
    }
    assert row.values == tuple(bits[1000])
    assert row.mean == pytest.approx(statistics.mean(bits[1000]))
    assert row.spread == pytest.approx(statistics.stdev(bits[1000]))
    assert set(row.changes) == {20, 300}
    assert row.changes[20] == pytest.approx(statistics.mean(bits[1000]) - statistics.mean(bits[20]))
    assert row.in_spreads(20) == pytest.approx(abs(row.changes[20]) / row.spread)
    assert {each.measure for each in found.rows} == {BITS, *evaluations.SOUND}


def test_three_runs_alike_have_no_spread_to_measure_by() -> None:
    same = evaluations.made(1, STEPS)
    row = seeds.collect({"a": same, "b": same, "c": same}).row(BITS)
    assert row is not None
    assert row.spread == 0
    assert row.in_spreads(20) is None
    assert list(sentences.luck(seeds.collect({"a": same, "b": same, "c": same}), 20)) == []


def test_a_step_that_one_run_lacks_does_not_count() -> None:
    measured = {"a": evaluations.made(1, STEPS), "b": evaluations.made(2, STEPS[:2])}
    assert seeds.collect(measured).step == 300


def test_the_file_is_read_for_its_own_study_alone(tmp_path: Path) -> None:
    found = seeds.collect(runs())
    assert seeds.read(tmp_path, found.fingerprints[0]) is None
    files.write_json(tmp_path / seeds.FILE, found.model_dump(mode="json"))
    assert seeds.read(tmp_path, found.fingerprints[1]) is None
    again = seeds.read(tmp_path, found.fingerprints[0])
    assert again is not None
    assert again.model_dump(mode="json") == found.model_dump(mode="json")
    (tmp_path / seeds.FILE).write_text('{"format": 1, "rows": 3}', encoding="utf-8")
    with pytest.raises(Problem, match="make seeds"):
        seeds.read(tmp_path, found.fingerprints[0])


def test_the_sentence_has_the_table_s_figures() -> None:
    found = seeds.collect(runs())
    row = found.row(BITS)
    assert row is not None
    (said,) = sentences.luck(found, 20)
    assert "Over 3 training seeds" in said.text
    assert f"{row.in_spreads(20):,.0f} times that" in said.text
    sound = [each for each in found.rows if each.measure != BITS]
    beyond = sum((each.in_spreads(20) or 0) > sentences.MOST_LUCK for each in sound)
    assert f"{beyond} of {len(sound)} measures" in said.text


def test_a_seed_s_run_is_the_study_s_own_beside_it(tmp_path: Path) -> None:
    (tmp_path / layout.IMPORTED / "seed-2021").mkdir(parents=True)
    (tmp_path / layout.IMPORTED / "seed-2020").mkdir()
    (tmp_path / layout.IMPORTED / "study-2019").mkdir()
    assert [place.name for place in layout.seeded(tmp_path)] == ["seed-2020", "seed-2021"]
    place = layout.imported("seed-2020", tmp_path)
    assert place == layout.seed(2020, tmp_path)
    assert place.own
    assert place.training is None
    assert not layout.imported("study-2019", tmp_path).own
    params = config.load(ROOT)
    trained = {name: layout.trained_with(name, params) for name in ("current", "seed-2020", "study-2019")}
    assert [each and each.study.seed for each in trained.values()] == [params.study.seed, 2020, None]
    assert layout.current(tmp_path).own
