// The list of classes: each on and off, with its colour, pattern and share.

export class ClassList {
  constructor(find, changed) {
    this.list = find("class-list");
    this.changed = changed;
    find("all").addEventListener("click", () => this.set(true));
    find("none").addEventListener("click", () => this.set(false));
  }

  fill(palette) {
    this.palette = palette;
    this.rows = palette.classes.map((each, id) => this.row(each.name, id));
    const unknown = this.row("unknown (hatched)", null);
    this.list.replaceChildren(...this.rows.map((row) => row.item), unknown.item);
    this.unknown = unknown;
    this.paint();
  }

  row(name, id) {
    const make = (tag, kind = "") => Object.assign(document.createElement(tag), { className: kind });
    const [item, label, box, swatch, text, meter, share] =
      [["li"], ["label"], ["input"], ["canvas", "swatch"], ["span", "name"], ["meter"], ["span", "share"]].map((each) => make(...each));
    box.type = "checkbox";
    box.checked = true;
    box.disabled = id === null;
    box.addEventListener("change", () => { this.palette.shown[id] = box.checked; this.update(); });
    text.textContent = name;
    text.title = id !== null && id < 9 ? `${name}: key ${id + 1}` : name;
    meter.setAttribute("aria-label", `share of ${name}`);
    label.append(box, swatch, text, meter, share);
    item.append(label);
    return { item, box, swatch, meter, share };
  }

  set(isShown) {
    if (!this.palette) return;
    this.palette.shown.fill(isShown);
    this.rows.forEach((row) => { row.box.checked = isShown; });
    this.update();
  }

  toggle(id) {
    this.rows?.[id]?.box.click();
  }

  update() {
    this.paint();
    this.changed();
  }

  paint() {
    this.palette.build();
    this.rows.forEach((row, id) => {
      row.item.classList.toggle("off", !this.palette.shown[id]);
      this.palette.swatch(row.swatch, id);
    });
    this.palette.swatch(this.unknown.swatch, 255);
  }

  // `counts` holds pixels by id; `shares`, where the road report is on, what it says by name.
  share(counts, shares) {
    const all = counts.reduce((sum, each) => sum + each, 0) || 1;
    let known = 0;
    this.rows.forEach((row, id) => {
      known += counts[id];
      show(row, shares?.[this.palette.classes[id].name] ?? counts[id] / all);
    });
    show(this.unknown, shares?.ignore ?? (all - known) / all);
  }
}

function show(row, share) {
  row.meter.value = share;
  row.share.textContent = share > 0 && share < 0.001 ? "<0.1 %" : `${(100 * share).toFixed(1)} %`;
}
