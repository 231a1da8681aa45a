#!/bin/sh
# The container's start: an image whose TensorRT has no code for this board's GPU is said at once, in one line.
python -I -m edgeseg.runtime.machine.jetpacks || exit
exec edgeseg-camera "$@"
