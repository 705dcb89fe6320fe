"""The report: one HTML file with its pictures inside, to be opened anywhere."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from sonic_runtime.whole_file import write_whole

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; color: #22272e;
  max-width: 1120px; margin: 2rem auto; padding: 0 1.2rem; background: #fff; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
p.lead { color: #59636e; margin: 0 0 1.2rem; }
.numbers { display: grid; grid-template-columns: repeat(auto-fill, minmax(155px, 1fr)); gap: .6rem; margin: 1rem 0; }
.number { border: 1px solid #d9dee3; border-radius: 8px; padding: .55rem .8rem; }
.number b { display: block; font-size: 1.3rem; font-weight: 600; }
.number span { color: #59636e; font-size: .82rem; }
.good b { color: #1c7c43; } .bad b { color: #b3261e; }
img { max-width: 100%; height: auto; } .row { display: flex; flex-wrap: wrap; gap: .8rem; }
table { border-collapse: collapse; font-size: .88rem; } th { text-align: left; border-bottom: 2px solid #d9dee3; }
th, td { padding: .25rem .9rem .25rem 0; } td { border-bottom: 1px solid #eceff2; }
td.n { text-align: right; font-variant-numeric: tabular-nums; } tr.bad td { color: #b3261e; }
pre { background: #f5f7f9; padding: .8rem; border-radius: 8px; overflow: auto; font-size: .82rem; }
""".strip()


class Page:
    """Collects the parts of a report in order.

    Args:
        title: heading of the page.
        lead: a sentence below it.
    """

    def __init__(self, title: str, lead: str) -> None:
        self._title = title
        self._parts = [f"<h1>{html.escape(title)}</h1>", f'<p class="lead">{html.escape(lead)}</p>']

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{html.escape(text)}</p>")

    def code(self, text: str) -> None:
        """Add lines as they are."""
        self._parts.append(f"<pre>{html.escape(text)}</pre>")

    def numbers(self, numbers: Iterable[tuple[str, str, bool | None]]) -> None:
        """Add a row of large numbers: label, value, and whether it is good or bad (None: neither)."""
        cells = []
        for label, value, good in numbers:
            kind = "" if good is None else " good" if good else " bad"
            cells.append(
                f'<div class="number{kind}"><b>{html.escape(value)}</b><span>{html.escape(label)}</span></div>'
            )
        self._parts.append(f'<div class="numbers">{"".join(cells)}</div>')

    def images(self, *images: tuple[bytes, str], kind: str = "png") -> None:
        """Add images side by side: file contents and a description for those who cannot see them."""
        tags = [
            f'<img alt="{html.escape(text)}" src="data:image/{kind};base64,{base64.b64encode(content).decode()}">'
            for content, text in images
        ]
        self._parts.append(f'<div class="row">{"".join(tags)}</div>')

    def table(self, header: Sequence[str], rows: Iterable[Sequence[str]], bad_rows: Sequence[bool] = ()) -> None:
        """Add a table; the first column is text, the others are aligned as numbers."""
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
        lines = []
        for i, row in enumerate(rows):
            cells = "".join(f"<td{'' if j == 0 else ' class=n'}>{html.escape(cell)}</td>" for j, cell in enumerate(row))
            lines.append(f"<tr{' class=bad' if i < len(bad_rows) and bad_rows[i] else ''}>{cells}</tr>")
        self._parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>")

    def write(self, path: Path) -> Path:
        """Write the file, whole or not at all, and return it."""
        body = "\n".join(self._parts)
        content = (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(self._title)}</title>'
            f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
        )
        return write_whole(path, content.encode())
