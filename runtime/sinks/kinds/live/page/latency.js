// Where the time went, frame by frame: a strip of stacked bars, and the medians beside it.

const STAGES = [
  ["wait", "waiting"],
  ["preprocess", "preprocess"],
  ["inference", "inference"],
  ["postprocess", "postprocess"],
  ["screen", "mask to this screen"],
];
const SHOWN = 120;

export class Latency {
  constructor(find) {
    [this.canvas, this.list, this.span] = ["strip", "stages", "latency-span"].map(find);
    this.frames = [];
    this.rows = [...STAGES, ["sum", "age when drawn"]].map(([name, label], index) => this.row(name, label, index));
  }

  row(name, label, index) {
    const [item, swatch, value] = ["li", "span", "b"].map((tag) => document.createElement(tag));
    item.className = name;
    if (name !== "sum") {
      swatch.className = "swatch";
      swatch.style.background = `var(--stage-${index})`;
      item.append(swatch);
    }
    item.append(label, value);
    this.list.append(item);
    return [name, value];
  }

  add(ms, ageWhenDrawn) {
    const screen = Math.max(0, ageWhenDrawn - (ms.capture_to_mask ?? 0));
    this.frames.push({ ...ms, screen, sum: ageWhenDrawn });
    if (this.frames.length > SHOWN) this.frames.shift();
  }

  // Draws all anew; called some times a second, since nobody reads faster.
  draw(deadline) {
    if (!this.frames.length) return;
    for (const [name, value] of this.rows) value.textContent = `${figure(median(this.frames.map((each) => each[name] ?? 0)))} ms`;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [this.canvas.clientWidth * ratio, this.canvas.clientHeight * ratio].map(Math.round);
    if (!width) return;
    if (this.canvas.width !== width || this.canvas.height !== height) [this.canvas.width, this.canvas.height] = [width, height];
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    const highest = Math.max(...this.frames.map((each) => each.sum));
    const top = scale(highest);
    this.span.textContent = `last ${this.frames.length} frames, up to ${top} ms`;
    this.bars(context, width, height, top);
    if (deadline && deadline <= top) this.line(context, width, height * (1 - deadline / top), `deadline ${deadline} ms`);
  }

  bars(context, width, height, top) {
    const style = getComputedStyle(document.documentElement);
    const colours = STAGES.map((_, index) => resolved(style.getPropertyValue(`--stage-${index}`)));
    const step = width / SHOWN;
    this.frames.forEach((frame, index) => {
      let y = height;
      STAGES.forEach(([name], stage) => {
        const tall = (height * (frame[name] ?? 0)) / top;
        context.fillStyle = colours[stage];
        context.fillRect(Math.floor((SHOWN - this.frames.length + index) * step), y - tall, Math.ceil(step * 0.8), tall);
        y -= tall;
      });
    });
  }

  line(context, width, y, text) {
    const style = getComputedStyle(document.documentElement);
    context.fillStyle = context.strokeStyle = resolved(style.getPropertyValue("--bad"));
    context.setLineDash([6, 4]);
    context.beginPath();
    context.moveTo(0, y);
    context.lineTo(width, y);
    context.stroke();
    context.setLineDash([]);
    context.font = `${11 * (window.devicePixelRatio || 1)}px system-ui, sans-serif`;
    context.fillText(text, 4, y + 13 * (window.devicePixelRatio || 1));
  }
}

// A canvas knows no light-dark(): an element resolves it.
function resolved(colour) {
  const probe = document.documentElement.appendChild(document.createElement("i"));
  probe.style.color = colour;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function scale(highest) {
  const steps = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
  return steps.find((each) => each >= highest) ?? Math.ceil(highest / 10_000) * 10_000;
}

export function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)];
}

export function figure(ms) {
  return ms < 10 ? ms.toFixed(1) : String(Math.round(ms));
}
