import { Buffer } from "node:buffer";
import type { Session } from "../../_shared/postgres.ts";
import type { Reject, RejectCounts, RejectFilter, Rejects } from "../view/view.ts";
import { firstRow, instant, ms } from "./snapshot.ts";

const PAGE_ROWS = 50;
const MAX_STEPS = 60;
const PAYLOAD_BYTES = 4_096;
/** A customer's id is searched in so many bytes of a payload. */
const SEARCHED_BYTES = 8_192;

// $4: the customer's id as bytes. $5: the id as a JSON member, as bytes in several spellings. $6 and $7: one reject, in any range.
// Records of the `scenarios` task are left out of the lists for all customers.
const FILTERED = `
    from public.heartbeat_rejects
   where ($6::bigint is not null or rejected_at >= ${instant("$1")} and rejected_at < ${instant("$2")})
     and ($6::bigint is null or ledger_id = $6 and kafka_offset = $7::bigint)
     and ($4::bytea is not null or $6::bigint is not null
          or substring(key from 1 for 9) is distinct from 'scenario-'::bytea)
     and ($3::text is null or reason = $3)
     and ($4::bytea is null or key = $4
          or exists (select from unnest($5::bytea[]) member
                      where position(member in substring(payload from 1 for ${SEARCHED_BYTES})) > 0))`;

// $8 and $9: the last reject of the page before. Rejects are never deleted.
const PAGE = `
  select ${
  ms("rejected_at")
} as at, ledger_id || '-' || kafka_offset as record, topic, kafka_partition as partition, kafka_offset as "offset", reason,
         left(detail, 1000) as detail, substring(payload from 1 for ${PAYLOAD_BYTES}) as payload,
         length(payload) > ${PAYLOAD_BYTES} as cut, emptied_at is not null as emptied
  ${FILTERED}
     and ($8::bigint is null
          or (rejected_at, ledger_id, kafka_offset) < (select rejected_at, ledger_id, kafka_offset
                                                         from public.heartbeat_rejects
                                                        where ledger_id = $8 and kafka_offset = $9::bigint))
   order by rejected_at desc, ledger_id desc, kafka_offset desc
   limit ${PAGE_ROWS + 1}`;

const COUNTS = `
  select coalesce(json_agg(step), '[]') as steps
    from (select reason, floor((${ms("rejected_at")} - $1::float8) / $8)::int as place, count(*) as rejects
          ${FILTERED}
           group by 1, 2) step`;

/** In the same snapshot as a page, so that the page misses none. */
export const REJECTED = `
  select ${ms("now()")} as at, coalesce(sum(rejected), 0)::float8 as rejected from public.ingest_offsets`;
export type Rejected = Pick<Rejects, "at" | "rejected">;

type Step = { readonly reason: string; readonly place: number; readonly rejects: number };
type Row = Omit<Reject, "payload"> & { payload: Uint8Array | null; cut: boolean | null };

export async function readRejects(session: Session, filter: RejectFilter): Promise<Rejects> {
  const { from, to } = filter.range;
  const stepMs = Math.ceil((to - from) / MAX_STEPS);
  const told = await firstRow<Rejected>(session, REJECTED);
  const steps = filter.record === undefined ? await countSteps(session, filter, stepMs) : [];
  const places = Math.ceil((to - from) / stepMs);
  const reasons = [...Map.groupBy(steps, ({ reason }) => reason)].map(([reason, of]): RejectCounts => {
    const counts = Array.from({ length: places }, () => 0);
    for (const { place, rejects } of of) counts[place] = rejects;
    return { reason, total: of.reduce((sum, { rejects }) => sum + rejects, 0), counts };
  }).sort((a, b) => b.total - a.total || (a.reason < b.reason ? -1 : 1));
  return { ...told, filter, ...await readPage(session, filter), overTime: { stepMs, reasons } };
}

async function countSteps(session: Session, filter: RejectFilter, stepMs: number): Promise<readonly Step[]> {
  return (await firstRow<{ steps: Step[] }>(session, COUNTS, [...parametersOf(filter), stepMs])).steps;
}

/** One page, the newest first. */
export async function readPage(
  session: Session,
  filter: RejectFilter,
): Promise<Pick<Rejects, "rejects" | "next">> {
  const values = [...parametersOf(filter), ...idOf(filter.before)];
  const { rows } = await session.query<Row>(PAGE, values);
  const shown = rows.slice(0, PAGE_ROWS);
  const rejects = shown.map(({ cut, payload, ...reject }) => {
    return { ...reject, payload: payload === null ? null : { ...textOf(payload), cut: cut === true } };
  });
  return { rejects, next: rows.length > shown.length ? shown.at(-1)?.record : undefined };
}

function parametersOf({ range: { from, to }, reason, customerId: id, record }: RejectFilter): unknown[] {
  return [
    from,
    to,
    reason ?? null,
    id === undefined ? null : Buffer.from(id),
    id === undefined ? null : membersOf(id),
    ...idOf(record),
  ];
}

/** The ledger row and the offset of a reject, from its `record`. */
function idOf(record: string | undefined) {
  return record?.split("-") ?? [null, null];
}

/** The spellings of the member `customer_id` that JSON libraries write. A number must not be the beginning of a longer one. */
function membersOf(id: string): Buffer[] {
  const ascii = JSON.stringify(id).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  const values = [JSON.stringify(id), ascii, ...(/^-?\d+$/.test(id) ? [`${id},`, `${id}}`, `${id} `] : [])];
  return [...new Set(values)].flatMap((value) =>
    ["", " "].map((space) => Buffer.from(`"customer_id":${space}${value}`))
  );
}

// deno-lint-ignore no-control-regex -- these are what must not be shown as text
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/;

function textOf(bytes: Uint8Array): { encoding: "text" | "hex"; text: string } {
  try {
    // As a stream, because the end may have cut a character in two.
    const options = { stream: bytes.length === PAYLOAD_BYTES };
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, options);
    if (!CONTROL.test(text)) return { encoding: "text", text };
  } catch {
    // Not UTF-8.
  }
  return { encoding: "hex", text: Buffer.from(bytes).toString("hex") };
}
