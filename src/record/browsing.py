"""What somebody reads who opens MLflow's pages: names of runs, descriptions, the columns of the list.

In: parameters, and texts of others. Out: strings for MLflow's tags. Nothing is sent here.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from src import config
from src.base import provenance
from src.base.console import plural
from src.base.errors import Problem
from src.config import Params
from src.record import layout, metrics

VIEW = "results"
"""Id of the saved view, in its tag and in addresses."""

STORY = "\n\n## The training\n\n"
"""Stands in a run's description between its results and the story of its attempts."""
MOST_OF_RESULTS = 3_000
"""Characters; with the story's they stay below the 8,000 that a description may have."""

NAME = "attributes.`Run Name`"
"""The first column; the others are chosen."""
COLUMNS = (
    f"metrics.`{metrics.BITS_GAINED}`",
    f"metrics.`{metrics.WAY_TO_MUSIC}`",
    f"metrics.`{metrics.MEDIAN_LOSS}`",
    f"metrics.`{metrics.LOSS}`",
    "params.`train.learning_rate`",
    "params.`layers`",
    "params.`train.steps`",
    "params.`seed`",
    "tags.`device`",
    "tags.`attempts`",
    "tags.`ended`",
)

SHORT = {"learning_rate": "lr", "dilations": "layers", "seed": "seed"}
"""What is varied most, so it comes first in a name."""
KEPT = {"checkpoint_every", "keep_last", "keep_for_audit", "validate_every"}
"""Parameters of what is kept and seen of a training, not of the training."""
FOLLOWS = "global_condition_cardinality"
"""A parameter that is the number of genres again."""
MOST_DIFFERENCES = 3
"""In a name: MLflow's pages show about forty characters of it."""


def page(base: str, experiment: str) -> str:
    """The address of the runs, with the columns of the saved view. base: the server's address."""
    return f"{base}/#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"


def experiment_tags(experiment: str) -> dict[str, str]:
    """Tags of the experiment: its description and the saved view of its runs."""
    state = {
        "searchFilter": "",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": COLUMNS,
        "columnOrder": (NAME, *COLUMNS),
        "columnWidths": {NAME: 280, **{column: 150 if "results/" in column else 110 for column in COLUMNS}},
    }
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()
    saved = {"name": "Results", "createdAt": 0, "updatedAt": 0, "state": f"deflate;{packed}"}
    return {
        "mlflow.note.content": (
            f"Each run is one training of the study. [The runs with their results]({page('', experiment)}) stand in a "
            "table; the view *Results* has the columns that are worth sorting by. A run's page says what came out and "
            "what interrupted it; its charts begin with the loss and end with each measure; under *Artifacts* are what "
            "it generated (`generations/`) and the page that compares its steps (`reports/`). Its attempts are nested "
            "below it. Checkpoints are [in the registry](#/models/wavenet): `models:/wavenet@newest`, "
            "`models:/wavenet@step-20`."
        ),
        f"mlflow.sharedViewState.{VIEW}": json.dumps(saved),
    }


def run_name(params: Params, fingerprint: str, root: Path = Path()) -> str:
    """A name that says what differs from the parameters of the last commit: `demo · lr 0.004, layers 12 · 1a2b3c4d`.

    Of music of one's own it also says how much there is, since "demo" is only the scale: `demo · 6 songs · 1a2b3c4d`.
    """
    told = differences(params, committed(root, params.study.profile) or params)
    told += [own] if (own := own_songs(root, fingerprint)) else []
    more = f" +{len(told) - MOST_DIFFERENCES}" if len(told) > MOST_DIFFERENCES else ""
    named = ", ".join(told[:MOST_DIFFERENCES]) + more
    return " · ".join(part for part in (params.study.profile, named, fingerprint[:8]) if part)


def own_songs(root: Path, fingerprint: str) -> str:
    """How many songs of one's own a run is trained on: "6 songs"; empty if they were composed or nothing says so."""
    try:
        library, run = (
            json.loads(path.read_text(encoding="utf-8"))
            for path in (root / "data/library.json", layout.training_folder(root, fingerprint) / "run.json")
        )
        songs = sum(run["songs"].values())
        return plural(songs, "song") if library["kind"] == "own" and songs else ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""  # a clone without data, or a run from before run.json


def committed(root: Path, profile: str) -> Params | None:
    """The parameters of a profile as the last commit has them; None if it does not have them, or there is none."""
    with TemporaryDirectory() as folder:
        for name in ("params.yaml", f"params/{profile}.yaml"):
            path = Path(folder) / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(provenance.git(root, "show", f"HEAD:./{name}"), encoding="utf-8")
        try:
            return config.load(Path(folder), profile)
        except Problem:
            return None


def differences(params: Params, base: Params) -> list[str]:
    """What decides a training and differs from `base`, in a few characters each: ["lr 0.004", "layers 12", "3 genres"].

    Genres are the names of those that are studied, whatever words mean them: the caller leaves out those without songs.
    """
    here, there = _decisive(params), _decisive(base)
    order = sorted(here, key=lambda key: (key == "steps", key not in SHORT))
    told = [
        f"{SHORT.get(key, key.replace('_', ' '))} {_short(here[key])}" for key in order if here[key] != there.get(key)
    ]
    if params.genres != base.genres:
        same_number = len(params.genres) == len(base.genres)
        told.append("other genres" if same_number else plural(len(params.genres), "genre"))
    return told


def _decisive(params: Params) -> dict[str, Any]:
    sections = params.profile.train, params.profile.model, params.profile.clips
    own = {"seed": str(params.study.seed), "device": params.study.device}
    every = {key: value for section in sections for key, value in section.model_dump().items()} | own
    # Where two have the same number of layers, what differs is in MLflow's parameters.
    return {key: value for key, value in every.items() if key not in {*KEPT, FOLLOWS}}


def _short(value: Any) -> str:
    if isinstance(value, (tuple, list, Mapping)):
        return str(len(value))
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: "none"}[value]
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


def description(before: str, *, results: str | None = None, story: str | None = None) -> str:
    """A run's description with a new part, Markdown. before: what it is now."""
    told, _, rest = before.rpartition(STORY)  # without results it is the story alone
    told = told if results is None else results.strip()[:MOST_OF_RESULTS]
    rest = rest if story is None else story
    return f"{told}{STORY}{rest}" if told else rest
