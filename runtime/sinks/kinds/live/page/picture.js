// The picture, the classes over it, the boundary of the free space, and the probe that tells what is where.

const FREE_TO_THE_TOP = -1;
const NOT_SEEN = -2;

export class Picture {
  constructor(find) {
    this.stage = find("stage");
    [this.picture, this.classes, this.lines] = ["picture", "classes", "lines"].map(find);
    this.context = this.picture.getContext("2d", { alpha: false });
    [this.probe, this.tip] = [find("probe"), find("tip")];
    this.at = null; // of the probe, as shares of the picture
    this.hasBoundary = true;
    this.follow();
  }

  // Draws a decoded frame. Returns how often each class id occurs in what the network saw of the picture.
  draw(frame, decoded, palette) {
    [this.frame, this.decoded, this.palette] = [frame, decoded, palette];
    const { width, height } = decoded.bitmap;
    if (this.picture.width !== width || this.picture.height !== height) {
      [this.picture.width, this.picture.height] = [width, height];
    }
    this.context.drawImage(decoded.bitmap, 0, 0);
    decoded.bitmap.close();
    const counts = this.drawClasses();
    this.drawBoundary();
    this.tell();
    return counts;
  }

  // Draws the classes of the newest frame: also when what is shown of them has changed.
  drawClasses() {
    if (!this.frame) return null;
    const [, , columns, rows] = this.frame.target;
    if (this.classes.width !== columns || this.classes.height !== rows || !this.image) {
      [this.classes.width, this.classes.height] = [columns, rows];
      this.overlay = this.classes.getContext("2d");
      this.image = this.overlay.createImageData(columns, rows);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    const counts = this.palette.paint(this.decoded.classes, this.frame.map[1], this.frame.target, this.pixels);
    this.overlay.putImageData(this.image, 0, 0);
    const [left, top, width, height] = this.frame.source.map((share) => `${100 * share}%`);
    Object.assign(this.classes.style, { left, top, width, height });
    return counts;
  }

  // Where the road ends, column by column: a light line with a dark edge, legible over anything.
  drawBoundary() {
    const context = this.lines.getContext("2d");
    const { width, height } = this.picture;
    [this.lines.width, this.lines.height] = [width, height];
    const rows = this.decoded?.boundary;
    if (!rows || !this.hasBoundary) return;
    const [left, top, columns, lines] = this.frame.target;
    const [x0, y0, wide, high] = this.frame.source;
    const path = new Path2D();
    let isDrawing = false;
    for (let column = left; column < left + columns; column++) {
      const row = rows[column];
      if (row === NOT_SEEN) { isDrawing = false; continue; }
      const edge = row === FREE_TO_THE_TOP ? 0 : Math.min(Math.max(row + 1 - top, 0), lines);
      const x = (x0 + (wide * (column - left + 0.5)) / columns) * width;
      const y = (y0 + (high * edge) / lines) * height;
      path[isDrawing ? "lineTo" : "moveTo"](x, y);
      isDrawing = true;
    }
    const unit = Math.max(1, width / 640);
    context.lineJoin = "round";
    for (const [colour, thickness] of [["#000c", 5], ["#fff", 2.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = thickness * unit;
      context.stroke(path);
    }
  }

  follow() {
    this.stage.addEventListener("pointermove", (event) => this.point(event));
    this.stage.addEventListener("pointerdown", (event) => this.point(event));
    this.stage.addEventListener("pointerleave", () => this.aim(null));
    this.stage.addEventListener("blur", () => this.aim(null));
    this.stage.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!step) return;
      event.preventDefault();
      const [x, y] = this.at ?? [0.5, 0.5];
      const far = event.shiftKey ? 0.05 : 0.01;
      this.aim([clamp(x + step[0] * far), clamp(y + step[1] * far)]);
    });
  }

  point(event) {
    const box = this.picture.getBoundingClientRect();
    this.aim([clamp((event.clientX - box.left) / box.width), clamp((event.clientY - box.top) / box.height)]);
  }

  aim(at) {
    this.at = at;
    this.tell();
  }

  // Says what is under the probe; called for each frame too, since the picture moves under it.
  tell() {
    const found = this.at && this.frame && this.lookUp(...this.at);
    this.probe.hidden = this.tip.hidden = !found;
    if (!found) return;
    const [x, y] = this.at.map((share) => `${100 * share}%`);
    Object.assign(this.probe.style, { left: x, top: y });
    const swatch = document.createElement("i");
    swatch.style.background = found.colour;
    this.tip.replaceChildren(swatch, found.text);
    const [right, below] = [this.at[0] > 0.6, this.at[1] > 0.8];
    Object.assign(this.tip.style, {
      left: right ? "auto" : `calc(${x} + 14px)`,
      right: right ? `calc(${100 - 100 * this.at[0]}% + 14px)` : "auto",
      top: below ? "auto" : `calc(${y} + 10px)`,
      bottom: below ? `calc(${100 - 100 * this.at[1]}% + 10px)` : "auto",
    });
  }

  lookUp(x, y) {
    const [left, top, columns, rows] = this.frame.target;
    const [x0, y0, wide, high] = this.frame.source;
    const [u, v] = [(x - x0) / wide, (y - y0) / high];
    if (u < 0 || v < 0 || u > 1 || v > 1) return { colour: "#0000", text: "not seen by the model" };
    const column = left + Math.min(columns - 1, Math.floor(u * columns));
    const row = top + Math.min(rows - 1, Math.floor(v * rows));
    const at = row * this.frame.map[1] + column;
    const id = this.decoded.classes[at];
    const sure = this.decoded.confidence;
    const parts = [this.palette.classes[id]?.name ?? `unknown (${id})`];
    if (sure) parts.push(`${Math.round((sure[at] / 255) * 100)} %`);
    return { colour: this.palette.css(id), text: [...parts, `column ${column}, row ${row}`].join(" · ") };
  }
}

function clamp(share) {
  return Math.min(1, Math.max(0, share));
}
