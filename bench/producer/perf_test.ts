/** Kafka's own measure of a producer, as `kafka-producer-perf-test.sh` runs it. */
interface PerfTestOptions {
  readonly bootstrapServers: string;
  readonly topic: string;
  readonly records: number;
  /** Of a record's value; its keys come on top. */
  readonly bytes: number;
  /** How many different keys; 0 for records without one, as the tool has it unless told. */
  readonly keys: number;
}

export function perfTestArgs({ bootstrapServers, topic, records, bytes, keys }: PerfTestOptions): string[] {
  return [
    ...["--bootstrap-server", bootstrapServers, "--topic", topic],
    ...["--num-records", String(records), "--record-size", String(bytes), "--throughput", "-1"],
    ...(keys === 0 ? [] : ["--key-distribution", "range", "--record-key-range", String(keys)]),
    ...["--command-property", "acks=all"],
  ];
}
