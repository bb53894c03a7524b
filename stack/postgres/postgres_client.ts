/** A session of one's own at a PostgreSQL server, for the stack and those who try it. */
// @ts-types="@types/pg"
import pg from "pg";

/**
 * Opens a session. Whoever asks next hears of a server that died; without a listener its death would end the process.
 *
 * @throws what the server, or the way there, refused
 */
export async function openClient(url: string, config: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, ...config });
  client.on("error", () => {});
  try {
    await client.connect();
  } catch (error) {
    await closeClient(client);
    throw error;
  }
  return client;
}

/** Runs `work` with a session that ends with it, however it ends. */
export async function withClient<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
  config: pg.ClientConfig = {},
): Promise<T> {
  const client = await openClient(url, config);
  try {
    return await work(client);
  } finally {
    await closeClient(client);
  }
}

/** One that is closed already, or that the server has left, is closed. */
export async function closeClient(client: pg.Client): Promise<void> {
  await client.end().catch(() => {});
}
