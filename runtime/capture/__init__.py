"""The process that may hang: it reads a source and hands frames over through shared memory."""
