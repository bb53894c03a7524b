import { Load } from "../../chaos/load/load.ts";
import { Records } from "../../chaos/load/records.ts";
import type { Compression } from "../../workers/_shared/kafka/batch_writer.ts";
import { kafkaConnection } from "../../workers/_shared/kafka/client.ts";
import type { Place } from "../../lab/place.ts";

const SEED = 7;
/** This rate is higher than any machine can reach. */
const RECORDS_A_SECOND = 1_000_000;

export interface Published {
  readonly records: Records;
  readonly load: Pick<Load, "sends" | "attempted">;
}

/**
 * Sends at least `count` records, as fast as Kafka accepts them. Each record is computed from its index, so the judge
 * of `chaos` can check millions of records without a list of them.
 */
export async function publish(
  { stack, topic }: Place,
  count: number,
  options: { readonly partitions: number; readonly keyLength?: number; readonly codec?: Compression },
): Promise<Published> {
  const env = { KAFKA_BOOTSTRAP_SERVERS: stack.kafkaBootstrapServers, KAFKA_TOPIC: topic };
  const { codec, ...shape } = options;
  const records = new Records({ seed: SEED, ...shape });
  await using load = new Load({
    connection: kafkaConnection("chaos", "heartbeat-chaos", env, Deno.readTextFileSync),
    records,
    rate: RECORDS_A_SECOND,
    onFailure: () => {},
    ...(codec === undefined ? {} : { codecs: [codec] }),
  });
  const enough = new AbortController();
  const loading = load.run({ signal: enough.signal, abandon: new AbortController().signal });
  while (load.sends.acknowledged < count) await load.acknowledgement;
  enough.abort();
  await loading;
  return { records, load };
}
