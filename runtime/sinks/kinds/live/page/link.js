// The WebSocket: opens it again when it ends, acknowledges what was drawn, and knows how old things are.

const RETRY_MS = 1000;

export class Link {
  // `on` holds hello(document), beat(document) and frame(buffer, received), of which the last returns a promise that is
  // fulfilled with the frame's id once it is drawn.
  constructor(on) {
    this.on = on;
    this.offset = null; // of this page's clock, less the server's
    this.roundTrip = null;
    this.heardAt = null;
    this.isOpen = false;
    this.closedBecause = "";
    this.drawing = Promise.resolve();
    this.open();
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/live`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => { this.isOpen = true; this.offset = null; this.sayPaused(); };
    socket.onmessage = (event) => this.hear(socket, event.data, performance.now());
    socket.onclose = (event) => {
      this.isOpen = false;
      this.closedBecause = event.reason;
      setTimeout(() => this.open(), RETRY_MS);
    };
    this.socket = socket;
  }

  hear(socket, data, received) {
    this.heardAt = received;
    if (typeof data !== "string") {
      // One after the other: pictures must not overtake each other while they are decoded.
      this.drawing = this.drawing
        .then(() => this.on.frame(data, received))
        .then(({ sent, frame }) => this.acknowledge(socket, { sent, frame, received }))
        .catch((error) => { console.error(error); socket.close(); });
      return;
    }
    const document = JSON.parse(data);
    if (document.clock) [this.offset, this.roundTrip] = [document.clock.offset, document.clock.round_trip];
    this.estimate(document.sent, received);
    this.on[document.type]?.(document);
    this.acknowledge(socket, { sent: document.sent, received });
  }

  acknowledge(socket, message) {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ ...message, done: performance.now() }));
  }

  // Before the server has measured the way, the message is taken to have come at once.
  estimate(sent, received) {
    if (this.offset === null) this.offset = received - sent;
  }

  // Age in ms of what was captured at a time of the server's clock.
  age(captured) {
    return performance.now() - this.offset - captured;
  }

  pause(isPaused) {
    this.isPaused = isPaused;
    this.sayPaused();
  }

  sayPaused() {
    const paused = Boolean(this.isPaused || document.hidden); // nobody sees a hidden page
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ paused }));
  }
}
