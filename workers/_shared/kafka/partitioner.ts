const SEED = 0x9747b28c;
const MULTIPLIER = 0x5bd1e995;
const SHIFT = 24;

/** Partitions keys as Java's client does, so that all clients put a customer's records into the same partition. */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}

/** MurmurHash2 by Austin Appleby, signed. The client library's version uses BigInt and takes a hundred times as long. */
export function murmur2(key: Uint8Array): number {
  const tail = key.length & ~3;
  let hash = SEED ^ key.length;
  for (let pos = 0; pos < tail; pos += 4) {
    let four = Math.imul(littleEndian(key, pos), MULTIPLIER);
    four = Math.imul(four ^ (four >>> SHIFT), MULTIPLIER);
    hash = Math.imul(hash, MULTIPLIER) ^ four;
  }
  // Bytes beyond the end count as zeros, which do not change the hash.
  if (tail < key.length) hash = Math.imul(hash ^ littleEndian(key, tail), MULTIPLIER);
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER);
  return hash ^ (hash >>> 15);
}

function littleEndian(bytes: Uint8Array, pos: number): number {
  return (bytes[pos] ?? 0) | ((bytes[pos + 1] ?? 0) << 8) | ((bytes[pos + 2] ?? 0) << 16) |
    ((bytes[pos + 3] ?? 0) << 24);
}
