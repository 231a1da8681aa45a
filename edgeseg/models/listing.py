"""Which networks there are. Without TensorFlow."""

from __future__ import annotations

from edgeseg.core.errors import UsageError
from edgeseg.models.options import NetworkOptions
from edgeseg.models.registry import ARCHITECTURES


def networks(
    architecture: str | None = None, encoder: str | None = None, width: float = 0, score_stride: int = 1
) -> tuple[list[NetworkOptions], list[str]]:
    """Return every architecture on every encoder, or the chosen ones, at a width (0: the usual one).

    With a score stride other than 1, those that can have it.

    Returns:
        The networks, and the encoders that were left out because they are published at other widths only.

    Raises:
        UsageError: there is none.
    """
    found, left_out = [], {}
    for name, each in ARCHITECTURES.items():
        if score_stride != 1 and name != "unet":
            continue
        for its_encoder in each.encoders:
            if architecture in (None, name) and encoder in (None, its_encoder):
                try:
                    found.append(NetworkOptions(name, its_encoder, width=width, score_stride=score_stride))
                except UsageError as error:  # it is published at another width only
                    left_out[its_encoder] = error
    if not found:
        what = " on ".join(filter(None, (architecture, encoder)))
        missing = UsageError(f"there is no {what}; edgeseg models lists what there is")
        raise next(iter(left_out.values()), missing)
    return found, list(left_out)
