/** Which partition a key belongs to. As Java's client says it, so that all clients agree on a customer's place. */

const SEED = 0x9747b28c;
const MULTIPLIER = 0x5bd1e995;
const SHIFT = 24;

/**
 * The client's own hash counts in BigInt, a hundred times as long as this one takes; a test holds this one to it.
 *
 * @returns from 0 to `partitions` - 1
 */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}

/** Austin Appleby's MurmurHash2 with the seed of Kafka's clients, as a signed 32-bit integer. */
export function murmur2(key: Uint8Array): number {
  const tail = key.length & ~3;
  let hash = SEED ^ key.length;
  for (let at = 0; at < tail; at += 4) {
    let four = Math.imul(littleEndian(key, at), MULTIPLIER);
    four = Math.imul(four ^ (four >>> SHIFT), MULTIPLIER);
    hash = Math.imul(hash, MULTIPLIER) ^ four;
  }
  // Beyond the end there are zeros, which change nothing.
  if (tail < key.length) hash = Math.imul(hash ^ littleEndian(key, tail), MULTIPLIER);
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER);
  return hash ^ (hash >>> 15);
}

function littleEndian(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) |
    ((bytes[at + 3] ?? 0) << 24);
}
