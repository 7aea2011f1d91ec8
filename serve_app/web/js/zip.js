// @ts-check
/** A zip file of pictures. They are compressed already, so they are stored as they are. */

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});
const UTF8_NAMES = 0x0800;

/** CRC-32 of ISO 3309, as zip wants it. @param {Uint8Array} bytes @returns {number} */
export function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/**
 * @param {{name: string, blob: Blob}[]} files with names of their own, below 4 GiB in all
 * @param {Date} [now] what the files' times are
 * @returns {Promise<Blob>}
 */
export async function zip(files, now = new Date()) {
  /** @type {BlobPart[]} */
  const parts = [];
  /** @type {BlobPart[]} */
  const directory = [];
  let [offset, listed] = [0, 0];
  for (const { name, blob } of files) {
    const path = new TextEncoder().encode(name);
    const facts = { crc: crc32(new Uint8Array(await blob.arrayBuffer())), size: blob.size };
    const local = header(0x04034b50, path.length, facts, now);
    const central = header(0x02014b50, path.length, facts, now, offset);
    parts.push(local, path, blob);
    directory.push(central, path);
    offset += local.byteLength + path.length + blob.size;
    listed += central.byteLength + path.length;
  }
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, files.length, true);
  end.setUint16(10, files.length, true);
  end.setUint32(12, listed, true);
  end.setUint32(16, offset, true);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/**
 * A file's header before its bytes, or with `offset` its entry in the directory: APPNOTE 4.3.7, 4.3.12.
 * @param {number} signature
 * @param {number} nameLength
 * @param {{crc: number, size: number}} facts
 * @param {Date} now
 * @param {number} [offset]
 * @returns {DataView<ArrayBuffer>}
 */
function header(signature, nameLength, facts, now, offset) {
  const isCentral = offset !== undefined;
  const view = new DataView(new ArrayBuffer(isCentral ? 46 : 30));
  const time = (now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1);
  const date = ((now.getFullYear() - 1980) << 9) | ((now.getMonth() + 1) << 5) | now.getDate();
  view.setUint32(0, signature, true);
  let at = 4;
  if (isCentral) {
    view.setUint16(at, 20, true);
    at += 2;
  }
  for (const word of [20, UTF8_NAMES, 0, time, date]) {
    view.setUint16(at, word, true);
    at += 2;
  }
  for (const long of [facts.crc, facts.size, facts.size]) {
    view.setUint32(at, long, true);
    at += 4;
  }
  view.setUint16(at, nameLength, true);
  if (isCentral) view.setUint32(42, offset, true);
  return view;
}
