"""The report of a library for its owner: names included, so it stays in data/.

In: the manifest's rows. Out: one HTML page without scripts: what is kept, what is not and why, and which genre texts
no rule knows.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from html import escape

from src.manifest import rows
from src.manifest.rows import Row

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: .5rem 0 1.5rem } td, th { padding: .15rem .8rem .15rem 0; text-align: left }
td.n { text-align: right; font-variant-numeric: tabular-nums } summary { cursor: pointer; font-weight: 600 }
.bar { background: #4a7a8c; height: .7rem; display: inline-block } li { overflow-wrap: anywhere }
p.private { background: #fff4d6; padding: .5rem .8rem }
"""


def page(listed: Sequence[Row], genres: Sequence[str]) -> str:
    """The page as HTML text."""
    kept = [row for row in listed if row.status == "kept"]
    hours = sum(row.duration_s or 0 for row in kept) / 3600
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Your library</title>",
        f"<style>{_STYLE}</style><h1>Your library</h1>",
        "<p class=private>This page names your files. It is meant for you and is never published.</p>",
        f"<p>{len(listed):,} files, {len(kept):,} kept ({hours:,.1f} hours), {len(listed) - len(kept):,} skipped.</p>",
        "<h2>Kept, by genre</h2>",
        _bars((genre, sum(row.genre == genre for row in kept)) for genre in genres),
        "<h2>Kept, by decade</h2>",
        _bars(sorted(Counter(rows.decade(row.year) for row in kept).items())),
        "<h2>Kept, by length</h2>",
        _bars(rows.lengths(kept).items()),
        "<h2>Genre texts that no rule knows</h2>",
        "<p>Add a word to <code>genres</code> in params.yaml to study one of them.</p>",
        _bars(_unknown_texts(listed)),
        "<h2>Skipped, by reason</h2>",
        *_skipped(listed),
        "</html>\n",
    ]
    return "\n".join(parts)


def _bars(counted: Iterable[tuple[str, int]]) -> str:
    items = list(counted)
    if not items:
        return "<p>None.</p>"
    most = max(1, *(count for _, count in items))
    lines = (
        f"<tr><td>{escape(name)}<td class=n>{count:,}"
        f"<td><span class=bar style='width:{12 * count / most:.2f}rem'></span>"
        for name, count in items
    )
    return f"<table>{''.join(lines)}</table>"


def _unknown_texts(listed: Sequence[Row]) -> list[tuple[str, int]]:
    texts = Counter(row.genre_text for row in listed if row.genre is None and row.genre_text)
    return texts.most_common(100)


def _skipped(listed: Sequence[Row]) -> list[str]:
    reasons: dict[str, list[Row]] = defaultdict(list)
    for row in listed:
        if row.reason:
            reasons[row.reason].append(row)
    lines = []
    for reason, files in sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0])):
        lines.append(f"<details><summary>{len(files):,} · {escape(reason)}</summary><ul>")
        lines += [f"<li>{escape(row.path)}{_detail(row)}" for row in files]
        lines.append("</ul></details>")
    return lines or ["<p>None.</p>"]


def _detail(row: Row) -> str:
    told = [escape(row.genre_text or "")] if row.genre_text else []
    if row.duration_s is not None:
        told.append(f"{row.duration_s:.2f} s")
    return f" <small>({', '.join(told)})</small>" if told else ""
