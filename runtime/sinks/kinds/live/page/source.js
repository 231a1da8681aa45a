// How the source fares: what became of its frames, and what interrupted it.

const PICTURES = ["corrupt", "frozen", "black", "blank", "implausible"];

export function showSource(list, beat) {
  const { frames, health } = beat;
  const rows = [
    ["camera", beat.away_s == null ? "there" : `away for ${beat.away_s.toFixed(1)} s`, beat.away_s != null],
    ["good masks", count(frames.processed)],
    ["stale masks", count(frames.stale), frames.stale > 0],
    ["skipped for newer ones", count(frames.skipped)],
    ["stalls, deaths, losses", `${health.stalls}, ${health.deaths}, ${health.losses}`, health.stalls + health.deaths + health.losses > 0],
    ["came back", count(health.reconnects)],
    ["away in all", `${(health.away.seconds + (beat.away_s ?? 0)).toFixed(1)} s`],
  ];
  if (frames.failed) rows.push(["failed", count(frames.failed), true]);
  if (health.damaged) rows.push(["damaged pictures", count(health.damaged), true]);
  for (const reason of PICTURES) {
    const { count: times, seconds } = health[reason];
    const isNow = beat.pictures.includes(reason);
    if (times) rows.push([reason, `${times} ×, ${isNow ? "now too" : `${seconds.toFixed(1)} s`}`, isNow]);
  }
  list.replaceChildren(...rows.map(([name, value, isBad]) => {
    const [pair, term, text] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
    [term.textContent, text.textContent] = [name, value];
    text.classList.toggle("bad", Boolean(isBad));
    pair.append(term, text);
    return pair;
  }));
}

function count(number) {
  return number.toLocaleString("en");
}
