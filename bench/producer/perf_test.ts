interface PerfTestOptions {
  readonly bootstrapServers: string;
  readonly topic: string;
  readonly records: number;
  /** Size of a value. Keys are additional. */
  readonly bytes: number;
  /** Number of different keys; 0, the tool's default, for records without keys. */
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
