"""One HTML page that needs nothing beside it: pictures are within, nothing is fetched, no script runs."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np

from edgeseg.core.labels import Colour

JPEG_QUALITY = 88
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --dim: #5c6670; --paper: #fff; --line: #d9dee3; --bar: #2f6fb3; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ec; --dim: #9aa5b0; --paper: #15181b; --line: #343b42; --bar: #6aa9ea; }
}
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .5rem 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { margin: .3rem 0; } .dim { color: var(--dim); }
.figures { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0; }
.figures div { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .9rem; }
.figures b { display: block; font-size: 1.35rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: .2rem .7rem .2rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); overflow-wrap: normal; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.swatch { display: inline-block; width: .9em; height: .9em; margin-right: .5em; border: 1px solid var(--line);
  vertical-align: -.1em; }
.bar { display: inline-block; height: .6em; margin-right: .5em; background: var(--bar); border-radius: .2em; }
.track { display: inline-block; width: 3rem; text-align: left; }
img { display: block; max-width: 100%; height: auto; background: #fff; border-radius: .4rem; }
.wide img { min-width: 44rem; }
.named { white-space: nowrap; }
"""


class Share(float):
    """A number from 0 to 1 that a table shows with a bar."""


class Percent(float):
    """A number from 0 to 1 that a table shows as a percentage."""


class Page:
    """A page that grows from top to bottom. Every text is escaped: class names and paths may hold anything."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._parts = [f"<h1>{escape(title)}</h1>"]

    def heading(self, text: str) -> None:
        self._parts.append(f"<h2>{escape(text)}</h2>")

    def text(self, text: str) -> None:
        self._parts.append(f'<p class="dim">{escape(text)}</p>')

    def figures(self, figures: Iterable[tuple[str, str]]) -> None:
        """Add (name, value) pairs, large."""
        boxes = (f"<div><b>{escape(value)}</b>{escape(name)}</div>" for name, value in figures)
        self._parts.append(f'<div class="figures">{"".join(boxes)}</div>')

    def table(
        self,
        header: Sequence[str],
        rows: Iterable[Sequence[str | float | None]],
        colours: Sequence[Colour] = (),
    ) -> None:
        """Add a table; None is a dash. With `colours`, the first cell of each row has its RGB colour beside it."""
        body = []
        numbers = [False] * len(header)
        for index, row in enumerate(rows):
            numbers = [isinstance(value, float) or seen for value, seen in zip(row, numbers, strict=True)]
            cells = [_cell(value, number) for value, number in zip(row, numbers, strict=True)]
            if colours:
                colour = ",".join(map(str, colours[index]))
                cells[0] = cells[0].replace(
                    "<td>", f'<td class="named"><span class="swatch" style="background:rgb({colour})"></span>', 1
                )
            body.append(f"<tr>{''.join(cells)}</tr>")
        heads = (
            f'<th class="number">{escape(name)}</th>' if number else f"<th>{escape(name)}</th>"
            for name, number in zip(header, numbers, strict=True)
        )
        head = f"<thead><tr>{''.join(heads)}</tr></thead>" if any(header) else ""
        self._parts.append(f'<div class="wide"><table>{head}<tbody>{"".join(body)}</tbody></table></div>')

    def picture(self, path: Path, text: str, photographic: bool = False) -> None:
        """Add a PNG file; with `photographic` as JPEG, a fraction of its size."""
        content, kind = path.read_bytes(), "png"
        if photographic:
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
            assert pixels is not None
            content = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
            kind = "jpeg"
        encoded = base64.b64encode(content).decode("ascii")
        kind_of_box = ' class="wide"' if photographic else ""
        self._parts.append(
            f'<div{kind_of_box}><img alt="{escape(text)}" src="data:image/{kind};base64,{encoded}"></div>'
        )

    def html(self) -> str:
        """Return the whole page."""
        body = "\n".join(self._parts)
        return (
            f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(self._title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
        )


def _cell(value: str | float | None, number: bool) -> str:
    if isinstance(value, Share):
        width = f"{3 * min(1.0, max(0.0, value)):.2f}rem"
        bar = f'<span class="track"><span class="bar" style="width:{width}"></span></span>'
        return f'<td class="number">{bar}{value:.3f}</td>'
    if isinstance(value, Percent):
        return f'<td class="number">{value:.2%}</td>'
    if isinstance(value, float):
        return f'<td class="number">{value:.4g}</td>'
    text = "–" if value is None else escape(value)  # noqa: RUF001  (a dash)
    return f'<td class="number">{text}</td>' if number else f"<td>{text}</td>"
