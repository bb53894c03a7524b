import { match, strictEqual } from "node:assert";
import { type ChainPosition, whyBroken } from "../../../../workers/consumer/rollup/chain.ts";

/** A ledger row made five moves, and the rollup has applied two of them. */
const BEHIND: ChainPosition = {
  ledgerId: 7,
  move: 2,
  offset: 200,
  moves: 5,
  ledgerOffset: 500,
  lastMove: 4,
  lastOffset: 400,
  continues: true,
};
const NO_CHANGE = { lastMove: null, lastOffset: null, continues: null };

for (
  const [what, difference, reason] of [
    ["the next changes follow but do not all fit into the round", {}, undefined],
    ["the changes lead to the offset of the ledger", { lastMove: 5, lastOffset: 500 }, undefined],
    ["the next change is missing", NO_CHANGE, /no change leads/],
    ["a change does not continue the previous one", { continues: false }, /do not continue/],
    ["the ledger was moved back", { ledgerOffset: 150, ...NO_CHANGE }, /ahead/],
    ["the ledger made fewer moves", { moves: 1, ...NO_CHANGE }, /ahead/],
    ["the changes have more moves than the ledger made", { lastMove: 6, lastOffset: 500 }, /lead to move 6/],
    [
      "the last change does not end at the offset of the ledger",
      { lastMove: 5, lastOffset: 450 },
      /lead to move 5/,
    ],
    ["the changes end past the offset of the ledger with fewer moves", { lastOffset: 550 }, /lead to move 4/],
  ] satisfies [string, Partial<ChainPosition>, RegExp | undefined][]
) {
  Deno.test(`whyBroken() ${reason === undefined ? "accepts" : "refuses"} a chain of changes if ${what}`, () => {
    const broken = whyBroken({ ...BEHIND, ...difference });
    if (reason === undefined) strictEqual(broken, undefined);
    else match(broken ?? "", reason);
  });
}
