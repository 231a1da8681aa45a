// What the server sends (runtime/sinks/kinds/live/message.py says how it is laid out).

const TEXT = new TextDecoder();

// Returns the header of a binary message, with its parts as Uint8Arrays by name.
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(TEXT.decode(new Uint8Array(buffer, 4, length)));
  const content = {};
  let at = 4 + length;
  for (const [name, bytes] of header.parts) {
    content[name] = new Uint8Array(buffer, at, bytes);
    at += bytes;
  }
  return { ...header, content };
}

// Decodes what a frame's parts hold: {bitmap, classes, boundary, confidence}.
export async function decode(frame) {
  const { jpeg, classes, boundary, confidence } = frame.content;
  const [bitmap, map, sure] = await Promise.all([
    createImageBitmap(new Blob([jpeg], { type: "image/jpeg" })),
    inflate(classes),
    confidence && inflate(confidence),
  ]);
  const rows = boundary && new Int16Array(boundary.slice().buffer);
  return { bitmap, classes: map, confidence: sure, boundary: rows };
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
