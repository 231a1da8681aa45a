"""A Unix socket from which other processes read class maps."""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import threading
import time

from edgeseg.core.errors import UsageError
from edgeseg.runtime.sinks.base import Delivery, Sink, SinkContext
from edgeseg.runtime.sinks.listener import listen
from edgeseg.runtime.sinks.mask_message import HEADER_BYTES, MaskMessage, header_of
from edgeseg.runtime.sinks.mask_reader import MaskReader
from edgeseg.runtime.sinks.places import WatchedPlace

_MAX_READERS = 64
_PATIENCE_S = 10.0  # for a reader that takes nothing, as one that is stopped in a debugger
_LEAST_PATIENCE_S = 1.0  # with it when its place is wanted
_TICK_S = 1.0
_FAREWELL_S = 2.0  # at the end, for readers that have not got the last mask yet


class MaskSocket(Sink):
    """Serves class maps to 64 readers; each gets the newest one it can take, and none slows another.

    A reader that takes nothing for ten seconds is dropped; where all places are taken, the one that has taken nothing
    for the longest goes for the one that comes. A socket whose path is deleted is made again.

    Readers that ask for version 2 get the confidence, too. The message is described in sinks/mask_message.py and in
    docs/embedding.md. A socket that a killed run left behind is replaced; one at which another process answers is not.
    """

    needs_picture = False

    def __init__(self, context: SinkContext) -> None:
        super().__init__(context.uri)
        self._path = context.path
        self._classes = context.spec.classes
        height, width = context.spec.input_size
        self._message_bytes = HEADER_BYTES + height * width
        self._server: socket.socket | None = None
        self._readers: dict[socket.socket, MaskReader] = {}
        self._lock = threading.Lock()
        self._notice = context.notice
        self._place: WatchedPlace | None = None
        self._served = 0
        self._dropped = 0
        self._missed = 0
        self._is_closing = False

    def start(self) -> None:
        """Listen, so that readers can connect before the first mask. Raises UsageError."""
        try:
            self._server = listen(self._path, self.uri, _MAX_READERS)
            self._place = WatchedPlace(self._path)
        except OSError as error:
            raise UsageError(f"output {self.uri}: cannot listen there ({error.strerror}); choose another") from error
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._selector = selectors.DefaultSelector()
        for channel in (self._server, self._woken):
            self._selector.register(channel, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="edgeseg-socket", daemon=True)
        self._thread.start()

    def write(self, delivery: Delivery) -> None:
        class_map, classes = delivery.class_map, self._classes
        header = header_of(
            delivery.record, delivery.captured_monotonic, class_map.shape, len(classes), classes.ignore_index
        )
        message = MaskMessage(header, class_map, delivery.confidence)
        with self._lock:
            for reader in self._readers.values():
                self._missed += reader.put(message)
        self._wake_up()

    def close(self) -> None:
        """Let readers have the last mask, then the end of the stream."""
        if self._server is None:
            return
        self._is_closing = True
        self._wake_up()
        self._thread.join()
        for channel in (self._server, self._wake, self._woken, *self._readers):
            channel.close()
        self._selector.close()
        self._server = None
        with contextlib.suppress(OSError):
            if self._place and self._place.is_there():  # else another run has taken it
                self._path.unlink()

    def counts(self) -> dict[str, int]:
        """Readers that ever connected, those dropped since they took nothing, and masks missed by slow ones."""
        return {"readers": self._served, "dropped_readers": self._dropped, "missed": self._missed}

    def _wake_up(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it has been woken already
            self._wake.send(b"\0")

    def _serve(self) -> None:
        end: float | None = None
        while end is None or (time.monotonic() < end and self._has_work()):
            for key, events in self._selector.select(_FAREWELL_S / 40 if end else _TICK_S):
                if key.fileobj is self._server:
                    self._accept()
                elif key.fileobj is self._woken:
                    self._woken.recv(4096)
                elif reader := self._readers.get(key.fileobj):  # type: ignore[call-overload]
                    self._attend(reader, events)  # else it was dropped a moment ago
            for reader in list(self._readers.values()):
                if reader.has_work:
                    self._attend(reader, selectors.EVENT_WRITE)
            self._look_after()
            if self._is_closing and end is None:
                end = time.monotonic() + _FAREWELL_S

    def _has_work(self) -> bool:
        return any(reader.has_work for reader in self._readers.values())

    def _accept(self) -> None:
        assert self._server is not None
        try:
            channel, _ = self._server.accept()
        except OSError as error:  # it has gone again, or no descriptor is left
            if error.errno in (errno.EMFILE, errno.ENFILE):
                time.sleep(_TICK_S / 20)  # it is still there, and the next look finds it at once
            return
        if len(self._readers) >= _MAX_READERS and not self._make_place():
            channel.close()
            return
        channel.setblocking(False)
        # Masks in the kernel's buffer grow old there: it holds little more than one.
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._message_bytes)
        self._selector.register(channel, selectors.EVENT_READ)
        with self._lock:
            self._readers[channel] = MaskReader(channel)
            self._served += 1

    def _attend(self, reader: MaskReader, events: int) -> None:
        try:
            # Readers have nothing to say but which version they want: else what can be read is their end.
            if events & selectors.EVENT_READ:
                self._hear(reader)
            with self._lock:
                reader.send()
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if reader.has_work else 0)
            self._selector.modify(reader.channel, wanted)
        except BlockingIOError:
            return
        except OSError:
            self._forget(reader)

    def _hear(self, reader: MaskReader) -> None:
        said = reader.channel.recv(4096)
        if not said:
            raise ConnectionResetError
        with self._lock:
            reader.hear(said)

    def _forget(self, reader: MaskReader) -> None:
        self._selector.unregister(reader.channel)
        with self._lock:
            del self._readers[reader.channel]
        reader.channel.close()

    def _make_place(self) -> bool:
        """Drop the reader that has taken nothing for the longest, if that is long."""
        slowest = max(self._readers.values(), key=MaskReader.stuck_s)
        if slowest.stuck_s() < _LEAST_PATIENCE_S:
            return False
        self._drop(slowest)
        return True

    def _drop(self, reader: MaskReader) -> None:
        self._forget(reader)
        self._dropped += 1

    def _look_after(self) -> None:
        """Drop readers that take nothing, and make the socket again if its path is gone."""
        if self._is_closing:
            return
        for reader in [each for each in self._readers.values() if each.stuck_s() > _PATIENCE_S]:
            self._drop(reader)
        if self._place and self._place.is_lost():
            self._place = None
            self._listen_again()

    def _listen_again(self) -> None:
        assert self._server is not None
        try:
            server = listen(self._path, self.uri, _MAX_READERS)
            self._place = WatchedPlace(self._path)
        except (OSError, UsageError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self._notice(f"output {self.uri} was deleted or replaced, and no reader can connect any more: {reason}")
            return
        self._selector.unregister(self._server)
        self._server.close()
        self._server = server
        self._selector.register(server, selectors.EVENT_READ)
        self._notice(f"output {self.uri} was deleted or moved away; it listens there again")
