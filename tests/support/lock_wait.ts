import { eventually } from "../../lab/eventually.ts";
import type { Place } from "../../lab/place.ts";

export async function waitForLockWait(place: Place): Promise<void> {
  await eventually("a session that waits for a lock", async () => {
    const rows = await place.sql(
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    return rows.length > 0;
  });
}
