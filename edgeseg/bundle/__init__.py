"""`edgeseg bundle`: everything that a device without internet needs, in one archive."""
