// A client could send ids with equal hashes to slow down a hash table (hash flooding).
const FNV_PRIME = 0x01000193;
const FNV_START = 0x811c9dc5;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
// Four letters give 2^24 blocks. About 2^16 of them are enough to find two with the same 32-bit hash.
const BLOCK_LETTERS = 4;

/**
 * Customer ids with the same 32-bit FNV-1a hash. Each stage is a pair of blocks that lead from one hash to the same next
 * hash. Choosing one block of each pair gives 2^stages ids (multicollision of Joux, CRYPTO 2004).
 *
 * @param count at most 2^20
 * @returns different ids of equal length, in printable ASCII
 */
export function collidingIds(count: number): string[] {
  const stages: (readonly [string, string])[] = [];
  let hash = FNV_START;
  while (2 ** stages.length < count) {
    const [first, second, next] = collision(hash);
    stages.push([first, second]);
    hash = next;
  }
  return Array.from(
    { length: count },
    (_, index) => stages.map((pair, stage) => pair[(index >> stage) & 1]).join(""),
  );
}

function collision(from: number): [string, string, number] {
  const seen = new Map<number, number>();
  for (let index = 0;; index++) {
    let hash = from;
    for (let at = 0; at < BLOCK_LETTERS; at++) hash = Math.imul(hash ^ letter(index, at), FNV_PRIME);
    const other = seen.get(hash);
    if (other !== undefined) return [block(other), block(index), hash];
    seen.set(hash, index);
  }
}

function letter(index: number, at: number): number {
  return ALPHABET.charCodeAt((index >> (6 * at)) & 63);
}

function block(index: number): string {
  return String.fromCharCode(...Array.from({ length: BLOCK_LETTERS }, (_, at) => letter(index, at)));
}

/** @param from the hash of the text before `text` */
export function fnv1a(text: string, from = FNV_START): number {
  let hash = from;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), FNV_PRIME);
  return hash;
}
