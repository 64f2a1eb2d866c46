"""The page at the top of a bundle, and the crate beside it."""

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
import rocrate
from rocrate_validator import models, services
from rocrate_validator.utils.http import HttpRequester

from src.bundle import crate, layout, page
from src.record import journal

CONTEXT = "https://w3id.org/ro/crate/1.1/context"


class Answer:
    """What the address of the crate's vocabulary answers; rocrate carries the vocabulary, so no network is needed."""

    status_code, ok = 200, True
    headers: dict[str, str] = {"Content-Type": "application/ld+json"}  # noqa: RUF012

    def json(self) -> Any:
        return json.loads((Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld").read_text(encoding="utf-8"))


def test_the_crate_is_of_the_profile(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def get(_requester: HttpRequester, url: str, **_options: Any) -> Answer:
        asked.append(url)
        return Answer()

    monkeypatch.setattr(HttpRequester, "get", get, raising=False)
    settings = services.ValidationSettings(
        rocrate_uri=str(published),
        profile_identifier="process-run-crate-0.5",
        requirement_severity=models.Severity.REQUIRED,
        offline=True,
        cache_path=tmp_path / "cache",
    )
    result = services.validate(settings)
    assert [issue.message for issue in result.get_issues()] == []
    assert result.passed()
    assert set(asked) == {CONTEXT}


def test_the_crate_says_what_was_done_and_when(published: Path) -> None:
    graph = {entity["@id"]: entity for entity in json.loads((published / layout.CRATE).read_text())["@graph"]}
    attempts = journal.read(next((published / "work").rglob(journal.NAME))).attempts
    ended = attempts[max(attempts)].end
    assert ended is not None
    training = graph["#train"]
    assert training["endTime"] == graph["./"]["datePublished"] == crate._iso(ended["time_ms"])
    assert training["startTime"] == crate._iso(attempts[1].time_ms)
    assert {"@id": "checkpoints/step-30/weights.safetensors"} in training["result"]
    assert {action["@id"] for action in graph["./"]["mentions"]} == {"#train", "#generate", "#evaluate", "#compare"}
    files = {name for name in graph if (published / name).is_file()} - {layout.CRATE}
    there = {str(path.relative_to(published)) for path in published.rglob("*") if path.is_file()}
    assert files == there - {layout.CRATE}
    assert "unsigned" in graph["./"]["description"]


def test_the_page_says_what_the_comparison_says(published: Path) -> None:
    text = (published / layout.PAGE).read_text(encoding="utf-8")
    shown = html.unescape(re.sub(r"<[^>]+>", "", text))
    said = json.loads((published / "reports" / "compare-2-10-30" / "comparison.json").read_text())
    assert len(said["answers"]) == 3
    for answer in said["answers"]:
        assert answer["question"] in shown
        assert all(sentence in shown for sentence in answer["sentences"])
        assert set(answer["sentences"]) <= set(said["sentences"])
    assert "Unsigned: nothing here says who made it" in shown
    assert "The 12 songs belong to somebody and are not here" in shown
    assert page.CHECK_FILES in shown


def test_the_table_has_every_file_once_with_its_digest(published: Path) -> None:
    text = (published / layout.PAGE).read_text(encoding="utf-8")
    digests = layout.read(published / layout.DIGESTS, layout.Digests).files
    table = dict(
        re.findall(r'<code>([^<]+)</code>(?:</a>)?\s*<span class="what">[^<]*</span><code class="sha">(\w+)', text)
    )
    covered = set()
    for name, digest in table.items():
        if name in digests:
            assert digest == digests[name].sha256
            covered.add(name)
            continue
        inside = sorted(path for path in digests if path.startswith(name))
        printed = "".join(f"{hashlib.sha256((published / path).read_bytes()).hexdigest()}  {path}\n" for path in inside)
        assert digest == hashlib.sha256(printed.encode()).hexdigest()
        assert not covered & set(inside)
        covered |= set(inside)
    assert covered == digests.keys() - {layout.PAGE}


def test_the_page_runs_nothing_and_loads_nothing(published: Path) -> None:
    text = (published / layout.PAGE).read_text(encoding="utf-8")
    css = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert css is not None
    digest = base64.b64encode(hashlib.sha256(css[1].encode()).digest()).decode()
    assert f"default-src &#39;none&#39;; style-src &#39;sha256-{digest}&#39;" in text
    assert not re.search(r"<script|<img|<link|javascript:|url\(|@import", text)
    for target in re.findall(r'href="([^"]+)"', text):
        assert (published / target).is_file()


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (36_416_516, "36.4 MB"), (2 * 10**9, "2.0 GB")],
)
def test_sizes(count: int, text: str) -> None:
    assert page.size(count) == text


def test_ranges() -> None:
    assert page._ranges((1, 2, 3, 7, 9, 10)) == "1 to 3, 7 and 9 to 10"
    assert page._ranges((4,)) == "4"
