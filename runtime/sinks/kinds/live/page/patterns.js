// Colours and patterns of the classes, as a table that a pixel is looked up in.

const SIDE = 8; // a pattern repeats after so many pixels of the class map
const FULL = 255;
const FAINT = 105;
const UNKNOWN = [255, 60, 200];

const PATTERNS = [
  () => true,
  (x, y) => (x + y) % SIDE < 3,
  (x, y) => y % 4 < 2,
  (x, y) => (x - y + SIDE) % SIDE < 3,
  (x, y) => x % 4 < 2,
  (x, y) => x % 4 < 2 && y % 4 < 2,
  (x, y) => ((x >> 1) + (y >> 1)) % 2 === 0,
  (x, y) => x % SIDE < 2 || y % SIDE < 2,
];

export class Palette {
  constructor(classes) {
    this.classes = classes;
    this.shown = classes.map(() => true);
    this.hasPatterns = false;
    this.build();
  }

  // Colours of a class id: ids that are no class, as the ignore index, are hatched.
  build() {
    this.table = new Uint32Array(256 * SIDE * SIDE);
    for (let id = 0; id < 256; id++) {
      for (let y = 0; y < SIDE; y++) {
        for (let x = 0; x < SIDE; x++) this.table[(id * SIDE + y) * SIDE + x] = this.pixel(id, x, y);
      }
    }
  }

  pixel(id, x, y) {
    if (id >= this.classes.length) return (x + y) % SIDE < 2 ? packed(UNKNOWN, FULL) : 0;
    if (!this.shown[id]) return 0;
    const marked = !this.hasPatterns || PATTERNS[id % PATTERNS.length](x, y);
    return packed(this.classes[id].colour, marked ? FULL : FAINT);
  }

  // Paints a box of a class map of the given width into pixels (Uint32Array), and returns how often each id occurs in it.
  paint(map, width, [left, top, columns, rows], pixels) {
    const counts = new Uint32Array(256);
    const { table } = this;
    for (let y = 0; y < rows; y++) {
      const line = (top + y) * width + left;
      const row = (y % SIDE) * SIDE;
      for (let x = 0; x < columns; x++) {
        const id = map[line + x];
        counts[id]++;
        pixels[y * columns + x] = table[id * SIDE * SIDE + row + (x % SIDE)];
      }
    }
    return counts;
  }

  css(id) {
    return `rgb(${(this.classes[id]?.colour ?? UNKNOWN).join(" ")})`;
  }

  // Draws a swatch of a class, with its pattern.
  swatch(canvas, id) {
    canvas.width = canvas.height = 2 * SIDE;
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let at = 0; at < pixels.length; at++) {
      const [x, y] = [at % canvas.width, Math.floor(at / canvas.width)];
      pixels[at] = this.table[(id * SIDE + (y % SIDE)) * SIDE + (x % SIDE)];
    }
    context.putImageData(image, 0, 0);
  }
}

// Canvas pixels are bytes R, G, B, A; processors that run browsers are little-endian.
function packed([red, green, blue], alpha) {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
