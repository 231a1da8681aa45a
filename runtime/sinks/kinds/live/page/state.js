// Whether what is seen is of now: in words, with a sign, and in colour.

const SILENCE_MS = 1500; // the server speaks twice a second

const REASONS = {
  deadline: "the mask came later than the deadline allows",
  corrupt: "the picture was decoded from damaged data",
  frozen: "the camera repeats one picture",
  black: "the picture is black",
  blank: "the picture is of one colour",
  implausible: "the picture cannot follow the one before",
};

// Returns {level, word, reason}; the level is good, bad or wait.
export function stateOf({ link, beat, frame, age, limit, isPaused, now }) {
  if (!link.isOpen) {
    const why = link.closedBecause || "the run has ended, or the network is down";
    return bad("no connection", `${why}; trying again`);
  }
  if (link.heardAt !== null && now - link.heardAt > SILENCE_MS) {
    return bad("silent", `nothing heard for ${seconds(now - link.heardAt)}: the run hangs, or the network is slow`);
  }
  if (beat?.away_s != null) return bad("camera away", `for ${seconds(1e3 * beat.away_s)}; it is being opened again`);
  if (isPaused) return { level: "wait", word: "paused", sign: "❙❙", reason: "by you; Space goes on" };
  if (!frame) return { level: "wait", word: "waiting", sign: "…", reason: "for the first picture" };
  if (frame.status !== "ok") return bad(frame.status, why(frame));
  if (age > limit) return bad("old", `no newer picture than ${seconds(age)} ago`);
  return { level: "good", word: "good", sign: "✓", reason: "of now" };
}

function why(frame) {
  const others = (frame.seen ?? []).filter((each) => each !== frame.reason);
  const also = others.length ? `; also: ${others.join(", ")}` : "";
  return `${frame.reason}: ${REASONS[frame.reason] ?? "not to be used"}${also}`;
}

function bad(word, reason) {
  return { level: "bad", word, sign: "✕", reason };
}

export function seconds(ms) {
  if (ms < 60_000) return `${(ms / 1e3).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1e3)} s`;
}
