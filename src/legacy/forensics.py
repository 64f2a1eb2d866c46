"""What the files of a study say, finding by finding. In: `Findings`. Out: `Report`, for the page and forensics.json.

A finding is one plain sentence, the evidence for it, and how it is known: read from the files, inferred from them,
estimated, or published elsewhere. Figures are computed from the files each time; nothing is written down here.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from src.legacy import claims, findings_files, findings_log, findings_loss, findings_restarts
from src.legacy.analysis import Analysis, analyse
from src.legacy.finding import Claim, Finding
from src.legacy.reading import Findings


@dataclass(frozen=True)
class Report:
    """All findings about one import."""

    name: str
    found: Findings
    analysis: Analysis | None
    findings: tuple[Finding, ...]
    claims: tuple[Claim, ...]
    tables: dict[str, list[dict[str, Any]]]
    notes: tuple[str, ...]

    def finding(self, key: str) -> Finding | None:
        """The finding of this key, if the files had one."""
        return next((item for item in self.findings if item.key == key), None)

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "run": self.name,
            "known_study": self.found.known,
            "findings": [asdict(item) for item in self.findings],
            "claims": [asdict(item) for item in self.claims],
            "tables": self.tables,
            "notes": list(self.notes),
        }

    def summary(self) -> list[str]:
        """A line for each finding, for the terminal."""
        return [f"{item.title}: {item.sentence}" for item in self.findings]


def examine(name: str, found: Findings, clips: Sequence[dict[str, Any]], notes: Sequence[str]) -> Report:
    """Compute every finding the files allow. clips: sound measures of the generated clips, a row each."""
    findings: list[Finding] = []
    tables: dict[str, list[dict[str, Any]]] = {}
    analysis = analyse(found.training) if found.training else None
    if analysis:
        findings += findings_log.findings(analysis, found.known)
        findings += findings_restarts.findings(analysis)
        findings += findings_loss.findings(analysis, found.known)
        tables["windows"] = findings_loss.windows(analysis)
        tables["restarts"] = findings_restarts.restarts(analysis)
        tables["hours"] = findings_restarts.hours(analysis)
    findings += findings_files.findings(found, clips)
    tables["checkpoints"] = findings_files.checkpoints(found)
    tables["clips"] = list(clips)
    findings += claims.more_songs(clips) if found.known else []
    said = claims.claims({item.key: item for item in findings}) if found.known else []
    return Report(name, found, analysis, tuple(findings), tuple(said), tables, tuple(notes))


def about(found: Findings, report: Report, fingerprint: str) -> dict[str, Any]:
    """What work/runs/<name>/about.json says: what was imported, and what in it is inferred."""
    return {
        "run": report.name,
        "fingerprint": fingerprint,
        "imported": True,
        "known_study": found.known,
        "steps": "numbers of the study itself, counted from 0: its step 20 is the network after 21 updates",
        "inferred_fields": {
            "step": "time_ms: the stamp before the attempt, its start, and the seconds of the steps before",
            "attempt": "time_ms where no stamp precedes it; start_step where it wrote no step",
            "generation": "start and temperature: the reference's defaults; the clips' order and shares of an interval",
        },
        "network": found.network.model_dump(mode="json") if found.network else None,
        "genres": list(found.genres),
        "notes": list(report.notes),
    }
