import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";

/** @param application the `application_name` of the session; by default any session of the database counts */
export async function waitForLockWait(place: Place, application?: string): Promise<void> {
  await eventually(
    `a session${application === undefined ? "" : ` of ${application}`} that waits for a lock`,
    async () => {
      const rows = await place.sql(
        `select from pg_stat_activity
        where datname = current_database()
          and wait_event_type = 'Lock'
          and application_name = coalesce($1, application_name)`,
        [application ?? null],
      );
      return rows.length > 0;
    },
  );
}
