"""Data sets of road images with class-id masks: one base class, one small file a format."""

from edgeseg.data.base import Dataset, Sample
from edgeseg.data.formats import FORMATS, open_dataset

__all__ = ["FORMATS", "Dataset", "Sample", "open_dataset"]
