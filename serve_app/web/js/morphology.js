// @ts-check
/** Growing and shrinking of masks by a disc, exactly, in time linear in the pixels. */

/**
 * Squared Euclidean distance of each pixel to the nearest set one: Meijster, Roerdink and
 * Hesselink, "A general algorithm for computing distance transforms in linear time" (2000).
 * @param {Uint8Array} set width * height, nonzero is set
 * @param {number} width
 * @param {number} height
 * @returns {Float64Array} Infinity where nothing is set
 */
export function squaredDistances(set, width, height) {
  const far = width + height;
  const columns = new Float64Array(width * height);
  for (let x = 0; x < width; x++) {
    let gap = far;
    for (let at = x; at < set.length; at += width) columns[at] = gap = set[at] ? 0 : gap + 1;
    gap = far;
    for (let at = set.length - width + x; at >= 0; at -= width) {
      gap = set[at] ? 0 : gap + 1;
      if (gap < columns[at]) columns[at] = gap;
    }
  }
  const result = new Float64Array(width * height);
  const [sites, starts] = [new Int32Array(width), new Int32Array(width)];
  for (let row = 0; row < set.length; row += width) {
    nearestOfRow(columns.subarray(row, row + width), sites, starts, result.subarray(row), far);
  }
  return result;
}

/**
 * The lower envelope of the parabolas that stand over one row.
 * @param {Float64Array} gaps each pixel's distance within its column
 * @param {Int32Array} sites scratch: whose parabola it is
 * @param {Int32Array} starts scratch: from where on
 * @param {Float64Array} out
 * @param {number} far no distance is as large
 */
function nearestOfRow(gaps, sites, starts, out, far) {
  const width = gaps.length;
  const value = (/** @type {number} */ x, /** @type {number} */ site) =>
    (x - site) ** 2 + gaps[site] ** 2;
  let last = 0;
  sites[0] = starts[0] = 0;
  for (let x = 1; x < width; x++) {
    while (last >= 0 && value(starts[last], sites[last]) > value(starts[last], x)) last--;
    if (last < 0) {
      last = 0;
      sites[0] = x;
    } else {
      const site = sites[last];
      const over = x * x - site * site + gaps[x] ** 2 - gaps[site] ** 2;
      const start = 1 + Math.floor(over / (2 * (x - site)));
      if (start < width) {
        last++;
        sites[last] = x;
        starts[last] = start;
      }
    }
  }
  for (let x = width - 1; x >= 0; x--) {
    const found = value(x, sites[last]);
    out[x] = found >= far * far ? Infinity : found;
    if (x === starts[last]) last--;
  }
}

/**
 * A mask grown by a disc.
 * @param {Uint8Array} set
 * @param {number} width
 * @param {number} height
 * @param {number} radius in pixels
 * @returns {Uint8Array} 1 where set
 */
export function grown(set, width, height, radius) {
  const distances = squaredDistances(set, width, height);
  const result = new Uint8Array(set.length);
  for (let at = 0; at < set.length; at++) result[at] = distances[at] <= radius * radius ? 1 : 0;
  return result;
}

/**
 * A mask shrunk by a disc; from the picture's edge nothing is taken.
 * @param {Uint8Array} set
 * @param {number} width
 * @param {number} height
 * @param {number} radius
 * @returns {Uint8Array}
 */
export function shrunk(set, width, height, radius) {
  const unset = new Uint8Array(set.length);
  for (let at = 0; at < set.length; at++) unset[at] = set[at] ? 0 : 1;
  const taken = grown(unset, width, height, radius);
  for (let at = 0; at < set.length; at++) taken[at] ^= 1;
  return taken;
}
