"""A recipe put onto a file: its spec, with what even the recipe does not know still marked as guessed."""

from __future__ import annotations

from dataclasses import replace

from edgeseg.core.errors import ModelError
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.export.foreign.draft import Draft, draft_spec
from edgeseg.export.foreign.recipes import Recipe
from edgeseg.export.inspection import Inspection

_OF_RECIPE = ("colour_order", "mean", "scale", "classes", "tensors.output")


def draft_by_recipe(
    found: Inspection,
    recipe: Recipe,
    size: Size | None = None,
    classes: int | None = None,
    output: str | None = None,
) -> Draft:
    """Draft a spec as edgeseg.export.foreign.draft.draft_spec does, with what the recipe knows.

    Raises:
        ModelError: the file is none of the recipe's; otherwise as draft_spec.
    """
    if output is None and len(found.outputs) > 1:
        place = recipe.outputs.get(len(found.outputs))
        output = None if place is None else found.outputs[place].name
    draft = draft_spec(found, size, classes, output)
    spec = draft.spec
    if spec.colour_order != "rgb" or spec.tensors.layout != "nchw" or not any(spec.mean):
        taken = next(each for each in found.inputs if each.name == spec.tensors.input)
        raise ModelError(f"{found.file}: takes {taken}; expected float pixels [1, 3, H, W], as {recipe.title} does")
    names = [each.name for each in found.outputs]
    class_map = _classes(spec.classes, recipe, names.index(spec.tensors.output), "classes" not in spec.guessed)
    still = [each for each in spec.guessed if each not in _OF_RECIPE]
    if class_map is None:
        still.append("classes")
    if output is None and "tensors.output" in spec.guessed:
        still.append("tensors.output")
    std = recipe.std
    return replace(
        draft,
        spec=replace(
            spec,
            mean=tuple(255 * each for each in recipe.mean),
            scale=tuple(1 / (255 * each) for each in std),
            classes=class_map or spec.classes,
            tensors=replace(spec.tensors, align_corners=recipe.align_corners),
            guessed=tuple(still),
        ),
    )


def with_camera_size(draft: Draft, recipe: Recipe | None, camera_size: Size) -> Draft:
    """Return a draft whose frames keep their shape and are padded, with the recipe's colour where it has one."""
    tensors = replace(draft.spec.tensors, padding=recipe.padding if recipe else None)
    return replace(draft, spec=replace(draft.spec, camera_size=camera_size, fit="pad", tensors=tensors))


def _classes(drafted: ClassMap, recipe: Recipe, place: int, are_in_file: bool) -> ClassMap | None:
    """Return the names that the file itself holds, else the recipe's; None if neither has any."""
    known = recipe.class_map(len(drafted), place)
    if not are_in_file:
        return known
    same = known and [each.casefold() for each in known.names] == [each.casefold() for each in drafted.names]
    return known if same else drafted
