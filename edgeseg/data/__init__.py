"""Data sets of road images with class-id masks: one base class, one small file a format."""

from edgeseg.data.base import BrokenSample, Dataset, Sample
from edgeseg.data.formats import FORMATS, Format, open_dataset
from edgeseg.data.merged import merged

__all__ = ["FORMATS", "BrokenSample", "Dataset", "Format", "Sample", "merged", "open_dataset"]
