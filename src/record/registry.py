"""What MLflow knows of the data set and of checkpoints: an input by digest, logged models, versions in its registry.

A checkpoint stays the folder that it is on the disk (safetensors and JSON): nothing is pickled, there is no code beside
it, and MLflow never loads it. `models:/wavenet@newest` is the last compared step of the newest run, `@step-20` its step
20; each version is tagged with the fingerprint of its run.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.config import step_folder, step_name
from src.record import metrics
from src.record.guarded import Point, guarded, now_ms, send
from src.record.journal import View

NAME = "wavenet"
NEWEST = "newest"
"""An alias; MLflow keeps `latest` to itself, for the version that was made last."""

DESCRIPTION = (
    "Checkpoints of a WaveNet (`weights.safetensors`, `optimizer.safetensors`, `checkpoint.json`): files without code, "
    "so no flavour of MLflow loads them. `mlflow artifacts download --artifact-uri models:/wavenet@newest` fetches the "
    "newest; `src.record.checkpoint.load` reads it and verifies every byte. Aliases point to the newest run; the tag "
    "`fingerprint` says which run a version is of."
)


class Registry:
    """The part of a `tracking.Store` that is about the data set and checkpoints. Raises `TrackingError`."""

    def __init__(self, client: Any, experiment: str) -> None:
        self._client, self._experiment = client, experiment

    def dataset(self, run_id: str, name: str, digest: str, counts: Mapping[str, int]) -> None:
        """Record the training set by digest and counts, without its content."""
        with guarded("recording the data set"):
            from mlflow.entities import Dataset, DatasetInput, InputTag

            source = json.dumps({"tags": {"content": "private; see the digest"}})
            profile = json.dumps({key: int(value) for key, value in counts.items()})
            entry = Dataset(name=name, digest=digest[:36], source_type="code", source=source, profile=profile)
            tag = InputTag("mlflow.data.context", "training")
            self._client.log_inputs(run_id, datasets=[DatasetInput(dataset=entry, tags=[tag])])

    def checkpoint(self, run_id: str, step: int, fingerprint: str) -> str:
        """Id of the logged model that stands for a checkpoint, an output of its run; created if there is none."""
        with guarded("recording a checkpoint"):
            from mlflow.entities import LoggedModelOutput

            name = step_name(step)
            models = self._client.search_logged_models(
                [self._experiment], f"name = '{name}' and source_run_id = '{run_id}'", max_results=1
            )
            if models:
                return str(models[0].model_id)
            params = {"step": str(step), "fingerprint": fingerprint}
            model = self._client.create_logged_model(
                self._experiment, name=name, source_run_id=run_id, params=params, model_type=NAME
            )
            self._client.finalize_logged_model(model.model_id, "READY")
            self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step)])
            return str(model.model_id)

    def points(self, run_id: str, model_id: str, points: Sequence[Point]) -> None:
        """Log metric values of a run that belong to one checkpoint; those that are there already are left alone."""
        with guarded("writing a checkpoint's metrics"):
            from mlflow.entities import Metric

            known = {one.key: one.value for one in self._client.get_logged_model(model_id).metrics or ()}
            fresh = [
                # MLflow refuses another value of the same time: what was measured anew is of now.
                Metric(name, value, now_ms() if name in known else at, step, model_id=model_id)
                for name, value, at, step in ((metrics.accepted(key), *rest) for key, *rest in points)
                if known.get(name) != value
            ]
            send(self._client, run_id, fresh)

    def register(
        self, run_id: str, fingerprint: str, view: View, checkpoints: Path, steps: Sequence[int], *, named: bool
    ) -> None:
        """Put checkpoints of a finished run into the registry, files and all. Again changes nothing.

        checkpoints: the folder that holds step-20 and so on. named: whether the aliases may point to this run.
        """
        known = self._versions(run_id)
        versions = {}
        for step in steps:
            model = self.checkpoint(run_id, step, fingerprint)
            loss = view.median_loss(step)
            if loss is not None and step in view.steps:
                self.points(run_id, model, [(metrics.MEDIAN_LOSS, loss, view.steps[step].time_ms, step)])
            with guarded("copying a checkpoint"):
                folder = step_folder(checkpoints, step)
                there = {Path(file.path).name for file in self._client.list_logged_model_artifacts(model)}
                if {path.name for path in folder.iterdir()} - there:
                    self._client.log_model_artifacts(model, str(folder))
            versions[step] = known.get(step) or self._version(run_id, model, step, fingerprint)
        if named and versions:
            self._name(run_id, versions)

    def _versions(self, run_id: str) -> dict[int, str]:
        """Step → version, of a run's checkpoints that are registered."""
        with guarded("looking into the registry"):
            if not self._client.search_registered_models(f"name = '{NAME}'"):
                self._client.create_registered_model(NAME, description=DESCRIPTION)
            found = self._client.search_model_versions(f"name = '{NAME}' and run_id = '{run_id}'")
            return {int(one.tags["step"]): str(one.version) for one in found if "step" in one.tags}

    def _version(self, run_id: str, model_id: str, step: int, fingerprint: str) -> str:
        """A new version that stands for a checkpoint."""
        with guarded("registering a checkpoint"):
            made = self._client.create_model_version(
                NAME,
                self._client.get_logged_model(model_id).artifact_location,
                run_id,
                tags={"step": str(step), "fingerprint": fingerprint},
                description=f"Step {step:,} of run {fingerprint}.",
                await_creation_for=0,
                model_id=model_id,
            )
            return str(made.version)

    def _name(self, run_id: str, versions: Mapping[int, str]) -> None:
        """Let the aliases point to these versions, unless they point to a run that began later."""
        with guarded("naming the newest checkpoints"):
            aliases = self._client.get_registered_model(NAME).aliases
            if NEWEST in aliases:
                other = self._client.get_model_version(NAME, aliases[NEWEST]).run_id
                run, named = self._client.get_run(run_id), self._client.get_run(other)
                if named.info.lifecycle_stage == "active" and named.info.start_time > run.info.start_time:
                    return
            wanted = {step_name(step): version for step, version in versions.items()}
            for alias, version in (wanted | {NEWEST: versions[max(versions)]}).items():
                if str(aliases.get(alias)) != version:
                    self._client.set_registered_model_alias(NAME, alias, version)
