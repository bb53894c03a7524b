import { createHash, timingSafeEqual } from "node:crypto";

/** Takes the same time for every text. It compares hashes, because their lengths are equal. */
export function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
