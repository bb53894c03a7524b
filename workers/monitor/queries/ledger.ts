import { LAG_RECORDS, LOG_ENDS, UNACCOUNTED_OF_LOG } from "../../_shared/ledger_sql.ts";
import type { Session } from "../../_shared/postgres.ts";
import type { Ledger } from "../view/view.ts";
import { REPORTS } from "./problems.ts";
import { firstRow, ms } from "./snapshot.ts";

const MAX_LOGS = 1_000;

// The sum is over all rows, even beyond the limit.
const LEDGER = `
  with log as (
    select log.*, recounted.causes, ${UNACCOUNTED_OF_LOG} as unaccounted,
           id = max(id) over (partition by topic, kafka_partition) as current
      from public.ingest_offsets log
      left join (
        select ledger_id, sum(offsets) as offsets,
               json_agg(json_build_object('cause', cause, 'offsets', offsets::text) order by cause) as causes
          from (select ledger_id, cause, sum(to_offset - from_offset) as offsets
                  from public.ingest_gaps group by ledger_id, cause) by_cause
         group by ledger_id
      ) recounted on recounted.ledger_id = log.id
  )
  select ${ms("now()")} as at,
         (select coalesce(sum(unaccounted), 0)::text from log) as unaccounted,
         (select coalesce(json_agg(json_build_object(
                   'topic', topic, 'partition', kafka_partition, 'current', current, 'first', first_offset::text,
                   'next', next_offset::text, 'stored', stored::text, 'duplicates', duplicates::text,
                   'rejected', rejected::text, 'gaps', coalesce(causes, '[]'), 'unaccounted', unaccounted::text,
                   'lag', case when current and ${REPORTS} then (${LAG_RECORDS})::text end,
                   'lastBatch', ${
  ms("last_batch_at")
}) order by current desc, topic, kafka_partition, id desc), '[]')
            from (select * from log order by current desc, topic, kafka_partition, id desc limit ${MAX_LOGS}) shown
            left join (${LOG_ENDS}) told using (topic_id, kafka_partition)) as logs`;

export function readLedger(session: Session): Promise<Ledger> {
  return firstRow(session, LEDGER);
}
