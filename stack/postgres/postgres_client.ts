// @ts-types="@types/pg"
import pg from "pg";

export async function openClient(url: string, config: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, ...config });
  // Without a listener, a lost connection would end the process. The next query reports the loss.
  client.on("error", () => {});
  try {
    await client.connect();
  } catch (error) {
    await closeClient(client);
    throw error;
  }
  return client;
}

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

export async function closeClient(client: pg.Client): Promise<void> {
  await client.end().catch(() => {});
}
