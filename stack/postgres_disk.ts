import { join } from "node:path";
import type { Stack } from "./mod.ts";
import { withClient } from "./postgres/postgres_client.ts";
import { postgresPlace } from "./postgres/postgres_place.ts";
import type { SmallDisk } from "./postgres/small_disk.ts";

/**
 * Moves a database with tables and indexes to the disk that the server was started with. No session may be connected
 * to it.
 */
export async function moveDatabase(stack: Stack, disk: SmallDisk, database: string): Promise<void> {
  const { user } = await postgresPlace(stack.home);
  const folder = join(disk.path, "tables");
  await disk.run(["mkdir", folder], user);
  await withClient(stack.superuserUrl, async (client) => {
    await client.query(`create tablespace small location ${client.escapeLiteral(folder)}`);
    await client.query(`alter database ${client.escapeIdentifier(database)} set tablespace small`);
  });
}

/** Restarts the server to move the write-ahead log to the disk. */
export async function moveWriteAheadLog(stack: Stack, disk: SmallDisk): Promise<void> {
  const { user } = await postgresPlace(stack.home);
  const log = join(stack.postgresFolder, "data", "pg_wal");
  const there = join(disk.path, "pg_wal");
  await stack.postgres.stop();
  await disk.run(["sh", "-c", 'cp -r "$1" "$2" && rm -r "$1" && ln -s "$2" "$1"', "move", log, there], user);
  await stack.postgres.start();
}
