import { type BpmLimits, type Customer, type Episode, type Range, SILENT_AFTER_MS } from "../view/view.ts";
import type { Row, Session } from "../../_shared/postgres.ts";
import { readPage } from "./rejects.ts";
import { DEFAULT_LIMITS, firstRow, instant, LIMITS, ms } from "./snapshot.ts";

const MAX_EPISODES = 500;

// The rollup can be behind, so `heartbeats` is asked too, but only from the instant that the rollup knows.
const LATEST = `
  select ${ms("now()")} as at, (${LIMITS}) as limits,
         (select json_build_object('ts', ${ms("ts")}, 'bpm', heart_rate, 'anomaly', anomaly)
            from ((select ts, heart_rate, anomaly from public.customer_latest where customer_id = $1)
                   union all
                  (select ts, heart_rate, anomaly
                     from public.heartbeats
                    where customer_id = $1
                      and ts >= coalesce((select ts from public.customer_latest where customer_id = $1), '-infinity')
                    order by ts desc
                    limit 1)) reading
           order by ts desc
           limit 1) as latest,
         (select json_build_object('readings', count(*), 'first', ${ms("min(ts)")}, 'last', ${ms("max(ts)")},
                                   'gaps', json_agg(json_build_object('from', ${ms("before")}, 'to', ${
  ms("ts")
}) order by ts desc)
                                           filter (where ts - before > interval '${SILENT_AFTER_MS} milliseconds'))
            from (select ts, lag(ts) over (order by ts) as before
                    from public.heartbeats
                   where customer_id = $1 and ts >= ${instant("$2")} and ts < ${
  instant("$3")
}) reading) as coverage`;

const EPISODES = `
  select anomaly as kind, ${ms("began")} as began, ${
  ms("ended")
} as ended, extreme, readings::float8 as readings
    from public.anomaly_episodes($1, ${instant("$2")}, ${instant("$3")}) episode
   order by episode.began desc
   limit ${MAX_EPISODES + 1}`;

/** What the readings of the range say. */
interface Coverage {
  readonly readings: number;
  /** Null without readings. */
  readonly first: number | null;
  readonly last: number | null;
  /** Between two readings, the newest first. Null if there is none. */
  readonly gaps: readonly Range[] | null;
}

type Latest = Pick<Customer, "at" | "latest"> & {
  readonly limits: BpmLimits | null;
  readonly coverage: Coverage;
};

export async function readCustomer(session: Session, customerId: string, range: Range): Promise<Customer> {
  const asked = [customerId, range.from, range.to];
  const { limits, coverage, ...known } = await firstRow<Latest>(session, LATEST, asked);
  const { rows } = await session.query<Episode & Row>(EPISODES, asked);
  const episodes = rows.slice(0, MAX_EPISODES);
  const { rejects, next } = await readPage(session, {
    customerId,
    range,
    reason: undefined,
    before: undefined,
  });
  return {
    ...known,
    customerId,
    range,
    readings: coverage.readings,
    silences: silencesOf(known, range, coverage),
    episodes,
    hasMoreEpisodes: rows.length > episodes.length,
    rejects,
    hasMoreRejects: next !== undefined,
    limits: limits ?? DEFAULT_LIMITS,
  };
}

function silencesOf(
  { at, latest }: Pick<Latest, "at" | "latest">,
  { from, to }: Range,
  { first, last, gaps }: Coverage,
): Range[] {
  if (latest === null) return [];
  // A silence that goes on does not end with the range.
  const goesOn = last === null ? latest.ts < from : last === latest.ts;
  const end = goesOn ? at : Math.min(to, at);
  const all = [{ from: last ?? from, to: end }, ...gaps ?? [], { from, to: first ?? from }];
  return all.filter((silence) => silence.to - silence.from > SILENT_AFTER_MS);
}
