/** Folder `queries`: asks PostgreSQL what the pages show, with limits on time, rows and ranges. This file: who needs attention. */
import type { Database, Row, Session } from "../../_shared/postgres.ts";
import { type Attention, type CustomerReading, LATELY_ROWS } from "../view/view.ts";
import { instant, IS_SCENARIO, ms, SCENARIO_ID } from "./snapshot.ts";

const ATTENTION_ROWS = 50;
/** Maximum of searches in one poll, and of readings that all of them read together. */
const MAX_SEARCHES = 200;
const MAX_READINGS = 20_000;
/** A search goes back at most this far. A longer episode begins there. */
const SEARCHED_MS = 86_400_000;

/** One or two readings beyond a limit are often errors of a sensor, and would fill the list. */
const LATELY_READINGS = 3;
/** More than the list has rows, because customers who are beyond a limit now are among them. */
const MAX_LATELY = 200;
// From the rollup, because the rows in memory have only the latest reading of each customer.
const LATELY = `
  select customer_id as "customerId", case when sum(low) > sum(high) then 'low' else 'high' end as kind,
         ${ms("min(minute)")} as since, sum(low + high)::float8 as lately,
         case when sum(low) > sum(high) then min(heart_rate_min) else max(heart_rate_max) end as "heartRate"
    from public.heartbeats_1m
   where minute > (select max(last_batch_at) from public.ingest_offsets) - interval '10 minutes' and low + high > 0
   group by customer_id
  having sum(low + high) >= ${LATELY_READINGS}
   order by ${IS_SCENARIO}, lately desc, customer_id
   limit ${MAX_LATELY}`;

/** Customers with several readings beyond a limit in the last 10 minutes, also those whose latest reading is one. */
export async function readLately(database: Database): Promise<Attention[]> {
  return await database.query<Attention & Row>(LATELY);
}

/**
 * Those beyond a limit first, then the silent ones, then those who were lately beyond it. Customers whose id begins with
 * `scenario-` come last. An id of 16 digits may also be of the `scenarios` task: it comes last in its group.
 */
function rankOf({ customerId, kind, lately }: Attention): number {
  const group = lately !== undefined ? 2 : kind === "silent" ? 1 : 0;
  if (customerId.startsWith("scenario-")) return group + 3;
  return SCENARIO_ID.test(customerId) ? group + 0.5 : group;
}

/** Within a group: how long the episode lasted up to the latest reading, or how many readings of `lately`. 0 for silent customers. */
function weightOf({ since, latestAt, lately }: Attention): number {
  return lately ?? (latestAt ?? since) - since;
}

/**
 * @returns the rows of the list: a customer once, the most urgent ones, in each group the longest first, and with `lately` the
 * most readings first
 */
export function mostUrgent(all: readonly Attention[]): Attention[] {
  const seen = new Set<string>();
  let [urgent, lately] = [0, 0];
  return all.map((entry) => ({ entry, rank: rankOf(entry) }))
    .sort((a, b) =>
      a.rank - b.rank || weightOf(b.entry) - weightOf(a.entry) || a.entry.since - b.entry.since ||
      (a.entry.customerId < b.entry.customerId ? -1 : 1)
    )
    .map(({ entry }) => entry)
    .filter(({ customerId }) => !seen.has(customerId) && seen.add(customerId))
    .filter((entry) => entry.lately === undefined ? urgent++ < ATTENTION_ROWS : lately++ < LATELY_ROWS);
}

/** An episode that goes on. */
interface OpenEpisode {
  readonly kind: CustomerReading["anomaly"];
  /** The first reading that was found. */
  readonly since: number;
  /** The newest reading that was searched. */
  readonly through: number;
  /** Whether `since` is final. Otherwise the next poll continues the search. */
  readonly complete: boolean;
}

/** Goes from `before` (exclusive) back to `until` (inclusive) to find the beginning of an episode. */
interface EpisodeSearch {
  /** The customer's latest reading. */
  readonly latest: CustomerReading;
  readonly before: number;
  readonly until: number;
}

// Going back, an episode ends at another kind of reading, or at a silence of five minutes. `public.anomaly_episodes` has no
// limit of rows, so the long episodes of many customers would take too long.
const SEARCH_BACK = `
  select begin.since, begin."endFound", begin.readings
    from unnest($1::text[], $2::text[], $3::float8[], $4::float8[])
         with ordinality as wanted (id, kind, before, until, place)
   cross join lateral (
     select ${ms("min(ts) filter (where not ended)")} as since, coalesce(bool_or(ended), false) as "endFound",
            count(*)::int as readings
       from (select ts, bool_or(ends) over (order by ts desc) as ended
               from (select ts, anomaly is distinct from wanted.kind
                                or lag(ts, 1, ${instant("wanted.before")}) over (order by ts desc) - ts
                                   > interval '5 minutes' as ends
                       from (select ts, anomaly
                               from public.heartbeats
                              where customer_id = wanted.id
                                and ts < ${instant("wanted.before")} and ts >= ${instant("wanted.until")}
                                -- The same for all customers, so that the planner leaves out day partitions.
                                and ts < ${instant("$5")} and ts >= ${instant("$6")}
                              order by ts desc
                              limit $7) reading) compared) run) begin
   order by place`;

type Begin = { readonly since: number | null; readonly endFound: boolean; readonly readings: number };

/**
 * Finds out who needs attention, and since when. It remembers the episodes, so a customer without a new
 * reading costs no query. The search for a long episode takes several polls. Until it ends, `since` is where the search is. A
 * reading that arrives after later ones does not change a known episode.
 */
export class AttentionWatch {
  readonly #episodes = new Map<string, OpenEpisode>();

  async update(
    session: Session,
    { beyond, lately, silent }: {
      beyond: readonly CustomerReading[];
      lately: readonly Attention[];
      silent: readonly CustomerReading[];
    },
  ): Promise<Attention[]> {
    const readings = new Map(beyond.map((reading) => [reading.id, reading]));
    for (const [id, { kind, through }] of this.#episodes) {
      const reading = readings.get(id);
      if (reading?.anomaly !== kind || reading.ts < through) this.#episodes.delete(id);
    }
    // First the known episodes that the list shows, then new ones. A known episode that is not on the list waits.
    const known = mostUrgent(beyond.filter(({ id }) => this.#episodes.has(id)).map(this.#row));
    const unknown = beyond.filter(({ id }) => !this.#episodes.has(id));
    const wanted = [...known.map(({ customerId }) => readings.get(customerId)), ...unknown];
    const searches = wanted.flatMap((latest) => latest === undefined ? [] : this.#searchesFor(latest));
    await this.#run(session, searches.slice(0, MAX_SEARCHES));
    const silentRows = silent.map((reading) => ({ ...this.#row(reading), kind: "silent" as const }));
    return mostUrgent([...beyond.map(this.#row), ...lately, ...silentRows]);
  }

  readonly #row = ({ id: customerId, ts, bpm: heartRate, anomaly }: CustomerReading): Attention => {
    return {
      customerId,
      kind: anomaly ?? "silent",
      since: this.#episodes.get(customerId)?.since ?? ts,
      heartRate,
      latestAt: ts,
    };
  };

  /** @returns one search, or none if the episode is known up to its beginning */
  #searchesFor(latest: CustomerReading): EpisodeSearch[] {
    const episode = this.#episodes.get(latest.id);
    const until = latest.ts - SEARCHED_MS;
    if (episode === undefined) return [{ latest, before: latest.ts, until }];
    if (episode.through < latest.ts) return [{ latest, before: latest.ts, until: episode.through }];
    return episode.complete ? [] : [{ latest, before: episode.since, until }];
  }

  async #run(session: Session, searches: readonly EpisodeSearch[]): Promise<void> {
    if (searches.length === 0) return;
    const limit = Math.ceil(MAX_READINGS / searches.length);
    const [before, until] = [searches.map(({ before }) => before), searches.map(({ until }) => until)];
    const { rows } = await session.query<Begin>(SEARCH_BACK, [
      searches.map(({ latest }) => latest.id),
      searches.map(({ latest }) => latest.anomaly),
      before,
      until,
      Math.max(...before),
      Math.min(...until),
      limit,
    ]);
    for (const [index, search] of searches.entries()) {
      const begin = rows[index];
      if (begin !== undefined) this.#note(search, begin, begin.endFound || begin.readings < limit);
    }
  }

  #note({ latest, before, until }: EpisodeSearch, { since, endFound }: Begin, complete: boolean): void {
    const { id, anomaly: kind, ts: through } = latest;
    const known = this.#episodes.get(id);
    const continues = complete && !endFound && known?.through === until;
    this.#episodes.set(
      id,
      continues ? { ...known, through } : { kind, since: since ?? before, through, complete },
    );
  }
}
