"""CVAT's XML and its archives, for tests."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tests.helpers.data import write_picture

LABELS = (("road", "#804080", "any"), ("car", "#00008e", "any"), ("lane", "#ffffff", "polyline"))


def image(name: str, *shapes: str, width: object = 30, height: object = 20, more: object = "") -> str:
    """Return an `<image>`."""
    return f'<image id="0" name="{name}" {more} width="{width}" height="{height}">{"".join(shapes)}</image>'


def shape(kind: str, label: object = "road", z_order: object = 0, content: object = "", **attributes: object) -> str:
    """Return a shape with its attributes."""
    own = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f'<{kind} label="{label}" source="manual" occluded="0"{own} z_order="{z_order}">{content}</{kind}>'


def polygon(label: str, points: str, z_order: object = 0, **attributes: object) -> str:
    return shape("polygon", label, z_order, points=points, **attributes)


def track(label: str, *entries: str, more: str = "") -> str:
    """Return a `<track>`."""
    return f'<track id="0" label="{label}" source="manual" {more}>{"".join(entries)}</track>'


def entry(frame: int, x: int, keyframe: int = 0, outside: int = 0) -> str:
    """Return a box of a track, 4 pixels wide and 4 high."""
    place = f'xtl="{x}.00" ytl="2.00" xbr="{x + 4}.00" ybr="6.00"'
    return (
        f'<box frame="{frame}" keyframe="{int(keyframe)}" outside="{outside}" occluded="0" {place} z_order="0"></box>'
    )


def cvat(*children: str, labels: tuple[tuple[str, str, str], ...] = LABELS, meta: str = "", of: str = "task") -> str:
    """Return an annotations.xml."""
    rows = "".join(
        f"<label><name>{name}</name><color>{colour}</color><type>{kind}</type><attributes></attributes></label>"
        for name, colour, kind in labels
    )
    head = f"<meta><{of}><name>roads</name>{meta}<labels>{rows}</labels></{of}></meta>"
    body = "".join(children)
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{head}{body}</annotations>\n'


def video_meta(frames: int, width: int = 30, height: int = 20, step: int = 1) -> str:
    size = f"<original_size><width>{width}</width><height>{height}</height></original_size>"
    last = f"<start_frame>0</start_frame><stop_frame>{frames - 1}</stop_frame>"
    return f"<size>{frames}</size><mode>interpolation</mode>{last}<frame_filter>step={step}</frame_filter>{size}"


def write_cvat(root: Path, text: str, *pictures: str, folder: str = "images") -> Path:
    """Write a folder as CVAT exports it, unpacked."""
    root.mkdir(parents=True, exist_ok=True)
    for name in pictures:
        write_picture(root / folder / name)
    (root / "annotations.xml").write_text(text, encoding="utf-8")
    return root


def packed(folder: Path, archive: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Pack a folder as CVAT does."""
    with zipfile.ZipFile(archive, "w", method) as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                file.write(path, path.relative_to(folder).as_posix())
    return archive
