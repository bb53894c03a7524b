/** When the changes of a ledger row lead from where the rollup stands to where the ledger stands, and when not. */
import { match, strictEqual } from "node:assert";
import { type ChainPosition, whyBroken } from "../../../../workers/consumer/rollup/chain.ts";

/** The rollup applied two moves; the ledger made five. */
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
  const [what, differs, reason] of [
    ["changes follow, and not all fit into the round", {}, undefined],
    ["changes lead to where the ledger stands", { lastMove: 5, lastOffset: 500 }, undefined],
    ["no change follows", NO_CHANGE, /no change leads/],
    ["a change does not continue the one before", { continues: false }, /do not continue/],
    ["the ledger was moved back", { ledgerOffset: 150, ...NO_CHANGE }, /ahead/],
    ["the ledger made fewer moves", { moves: 1, ...NO_CHANGE }, /ahead/],
    ["changes lead to more moves than the ledger made", { lastMove: 6, lastOffset: 500 }, /lead to move 6/],
    ["the last move ends elsewhere", { lastMove: 5, lastOffset: 450 }, /lead to move 5/],
    ["fewer moves lead beyond the ledger", { lastOffset: 550 }, /lead to move 4/],
  ] satisfies [string, Partial<ChainPosition>, RegExp | undefined][]
) {
  Deno.test(`a chain ${reason === undefined ? "holds" : "is broken"} when ${what}`, () => {
    const why = whyBroken({ ...BEHIND, ...differs });
    if (reason === undefined) strictEqual(why, undefined);
    else match(why ?? "", reason);
  });
}
