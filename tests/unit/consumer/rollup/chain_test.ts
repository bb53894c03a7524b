/** When the changes of a ledger row lead from where the rollup stands to where the ledger stands, and when not. */
import { match, strictEqual } from "node:assert";
import { isWhole, type Standing, whyBroken } from "../../../../workers/consumer/rollup/chain.ts";

const place = (move: number, nextOffset: number) => ({ move, nextOffset });
/** The rollup applied two moves; the ledger made five. */
const BEHIND: Standing = {
  ledgerId: 7,
  position: place(2, 200),
  ledger: place(5, 500),
  upTo: place(4, 400),
  continues: true,
};

for (
  const [what, standing, reason] of [
    ["changes follow, and not all fit into the round", BEHIND, undefined],
    ["changes lead to where the ledger stands", { ...BEHIND, upTo: place(5, 500) }, undefined],
    ["no change follows", { ...BEHIND, upTo: undefined }, /no change leads/],
    ["the ledger row is gone", { ...BEHIND, ledger: undefined }, /is gone/],
    ["a change does not continue the one before", { ...BEHIND, continues: false }, /do not continue/],
    ["the ledger was moved back", { ...BEHIND, ledger: place(5, 150), upTo: undefined }, /ahead/],
    ["the ledger made fewer moves", { ...BEHIND, ledger: place(1, 500), upTo: undefined }, /ahead/],
    ["changes lead to more moves than the ledger made", { ...BEHIND, upTo: place(6, 500) }, /lead to move 6/],
    ["the last move ends elsewhere", { ...BEHIND, upTo: place(5, 450) }, /lead to move 5/],
    ["fewer moves lead beyond the ledger", { ...BEHIND, upTo: place(4, 550) }, /lead to move 4/],
  ] satisfies [string, Standing, RegExp | undefined][]
) {
  Deno.test(`a chain ${reason === undefined ? "holds" : "is broken"} when ${what}`, () => {
    const why = whyBroken(standing);
    if (reason === undefined) strictEqual(why, undefined);
    else match(why ?? "", reason);
  });
}

Deno.test("a chain is whole in a round that takes all of its moves", () => {
  strictEqual(isWhole(BEHIND), false);
  strictEqual(isWhole({ ...BEHIND, upTo: place(5, 500) }), true);
});
