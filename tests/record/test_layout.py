"""Where the files of a run are."""

from dataclasses import replace
from pathlib import Path

import pytest

from src.base.errors import Problem
from src.record import checkpoint, journal, layout
from tests.record.test_checkpoint import MODEL, RUN, sample


def test_folders_of_an_older_checkout_are_found(tmp_path: Path) -> None:
    saved = tmp_path / "checkpoints" / "step-20"
    checkpoint.save(saved, sample(20))
    saved.rename(tmp_path / "checkpoints" / "step-000020")
    run = layout.current(tmp_path)
    assert checkpoint.load(run.checkpoint(20)).step == 20
    assert run.training == tmp_path / "work" / "train" / RUN
    newest, passed = checkpoint.newest(tmp_path / "checkpoints", at_most=100, fingerprint=RUN)
    assert (newest.step if newest else None, passed) == (20, [])


def test_the_new_name_comes_first(tmp_path: Path) -> None:
    for name in ("step-20", "step-000020"):
        (tmp_path / "generations" / name).mkdir(parents=True)
    assert layout.current(tmp_path).generation(20).name == "step-20"
    assert layout.current(tmp_path).generation(5020).name == "step-5020"


def test_an_unknown_run_names_those_that_exist(tmp_path: Path) -> None:
    (tmp_path / "work" / "runs" / "study-2019").mkdir(parents=True)
    with pytest.raises(Problem, match="imported runs: study-2019"):
        layout.imported("other", tmp_path)


@pytest.mark.parametrize("name", ["..", ".", "", "../train", "a/b", "/tmp", "-x", "A"])
def test_a_name_cannot_lead_out_of_the_imported_runs(tmp_path: Path, name: str) -> None:
    (tmp_path / layout.IMPORTED).mkdir(parents=True)
    with pytest.raises(Problem, match="There is no run named"):
        layout.imported(name, tmp_path)


def test_a_run_s_files_lie_below_its_folder_and_its_journal_only_where_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "work" / "runs" / "study-2019"
    folder.mkdir(parents=True)
    run = layout.imported("study-2019", tmp_path)
    assert run == layout.RunFiles(
        "study-2019", folder / "checkpoints", folder / "generations", folder / "metrics", folder
    )
    assert run.generation_times(20) == folder / "times" / "generate-step-20.json"
    assert run.journal is None
    (folder / journal.NAME).touch()
    assert run.journal == folder / journal.NAME
    unknown = layout.current(tmp_path)  # no checkpoint says which run it was
    assert (unknown.training, unknown.journal, unknown.generation_times(20)) == (None, None, None)


def test_a_damaged_checkpoint_does_not_hide_which_run_the_others_are_of(tmp_path: Path) -> None:
    for step in (10, 20):
        checkpoint.save(tmp_path / "checkpoints" / f"step-{step}", sample(step))
    (tmp_path / "checkpoints" / "step-10" / checkpoint.ABOUT).write_text("{")
    assert layout.current(tmp_path).training == tmp_path / "work" / "train" / RUN


def test_what_an_import_wrote_is_read_and_damage_is_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "work" / "runs" / "study-2019"
    folder.mkdir(parents=True)
    run = layout.imported("study-2019", tmp_path)
    assert layout.about_import(run) is None
    written = layout.ImportedRun(
        run="study-2019", fingerprint="study-2019-0123", known_study=True, steps="numbers", inferred_fields={},
        network=MODEL, genres=("rock",), notes=(),
    )  # fmt: skip
    (folder / layout.ABOUT).write_text(written.model_dump_json())
    assert layout.about_import(run) == written
    assert layout.about_import(replace(run, name="current")) is None
    for content, says in (("{}", "fields are wrong"), ("", "fields are wrong"), ("\udcff", "utf-8")):
        (folder / layout.ABOUT).write_bytes(content.encode("utf-8", "surrogateescape"))
        with pytest.raises(Problem, match=f"about.json cannot be read .*{says}.*python -m src.legacy DIR"):
            layout.about_import(run)
