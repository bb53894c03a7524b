import { createPlace } from "../../lab/place.ts";
import type { Stack } from "../../stack/mod.ts";

/** With this setting, PostgreSQL records the time of each commit, so the tables need no column for it. */
export async function enableCommitTimestamps(stack: Stack): Promise<void> {
  // This place has no topic. It only gives access to PostgreSQL as the superuser.
  const place = await createPlace(stack, "settings", { partitions: 0 });
  await place.asSuperuser("alter system set track_commit_timestamp = on");
  await place[Symbol.asyncDispose]();
  await stack.postgres.stop();
  await stack.postgres.start();
}
