import { Buffer } from "node:buffer";
import {
  compressionsAlgorithms,
  crc32c,
  createRecord,
  type MessageRecord,
  Reader,
  Writer,
} from "@platformatic/kafka";
import {
  type FetchAnswer,
  type FetchedPartition,
  readFetchResponse,
} from "../../workers/_shared/kafka/fetcher.ts";
import { type RawRecord, Records, RecordTable } from "../../workers/_shared/kafka/records.ts";

export const TRANSACTIONAL = 1 << 4;
export const CONTROL = 1 << 5;
export const LOG_APPEND_TIME = 1 << 3;
export const FIRST_TIMESTAMP = 1_000;
export const MAX_TIMESTAMP = 9_000;

export interface BatchOptions {
  /** The last offset. Needed only if compaction removed the record that had it. */
  readonly last?: number;
  /** A wrong record count for the header. Default: the right one. */
  readonly count?: number;
  readonly attributes?: number;
  readonly producerId?: bigint;
  readonly leaderEpoch?: number;
  readonly compression?: "gzip" | "snappy" | "lz4" | "zstd";
  readonly record?: (
    offset: number,
    index: number,
  ) => { readonly key: Buffer | null; readonly value: Buffer | null };
}

const named = (offset: number) => ({ key: Buffer.from("k"), value: Buffer.from(`v${offset}`) });

/** A record batch with the value `v<offset>` at each offset. Its timestamp is FIRST_TIMESTAMP + offset. */
export function batch(first: number, offsets: readonly number[], options: BatchOptions = {}): Buffer {
  const { last = offsets.at(-1) ?? first, attributes = 0, producerId = -1n, leaderEpoch = 0 } = options;
  const { compression, record = named, count = offsets.length } = options;
  const plain = Buffer.concat(offsets.map((offset, index) => {
    const message = {
      topic: "t",
      timestamp: BigInt(FIRST_TIMESTAMP + offset),
      ...record(offset, index),
      // The type excludes null, but the client writes it: no key, or a tombstone.
    } as MessageRecord;
    return createRecord(message, offset - first, BigInt(FIRST_TIMESTAMP)).buffer;
  }));
  const codec = compression === undefined ? undefined : compressionsAlgorithms[compression];
  const records = codec === undefined ? plain : Buffer.from(codec.compressSync(plain));
  const checked = Writer.create()
    .appendInt16(attributes | (codec?.bitmask ?? 0))
    .appendInt32(last - first)
    .appendInt64(BigInt(FIRST_TIMESTAMP))
    .appendInt64(BigInt(MAX_TIMESTAMP))
    .appendInt64(producerId)
    .appendInt16(0)
    .appendInt32(0)
    .appendInt32(count)
    .append(records)
    .buffer;
  const behindLength = Writer.create()
    .appendInt32(leaderEpoch)
    .appendInt8(2)
    .appendUnsignedInt32(crc32c(checked))
    .append(checked)
    .buffer;
  const prefix = Writer.create().appendInt64(BigInt(first)).appendInt32(behindLength.length).buffer;
  return Buffer.concat([prefix, behindLength]);
}

/** Returns the batch with the checksum of its current bytes. */
export function withValidChecksum(bytes: Buffer): Buffer {
  const right = Buffer.from(bytes);
  right.writeUInt32BE(crc32c(right.subarray(21)), 17);
  return right;
}

/** The control batch that ends a transaction. */
export function marker(offset: number, producerId: bigint, kind: "abort" | "commit"): Buffer {
  const record = () => ({ key: Buffer.from([0, 0, 0, kind === "abort" ? 0 : 1]), value: Buffer.alloc(0) });
  return batch(offset, [offset], { attributes: TRANSACTIONAL | CONTROL, producerId, record });
}

/** @param aborted transactions that the response lists as aborted */
export function response(
  batches: readonly Buffer[],
  aborted: readonly [producerId: bigint, firstOffset: number][] = [],
): FetchedPartition {
  return {
    partition: 0,
    errorCode: 0,
    lastStableOffset: 0,
    divergence: undefined,
    abortedTransactions: aborted.map(([producerId, firstOffset]) => ({ producerId, firstOffset })),
    records: Buffer.concat(batches),
  };
}

/** @param message a fetch response with its header */
export function readAnswer(message: Buffer): FetchAnswer {
  const reader = Reader.from(message);
  reader.readInt32();
  reader.readTaggedFields();
  return readFetchResponse(reader);
}

export function recordsOf(all: readonly RawRecord[]): Records {
  const table = new RecordTable(
    Buffer.concat(all.flatMap(({ key, value }) => [key ?? Buffer.alloc(0), value ?? Buffer.alloc(0)])),
    all.length,
  );
  let at = 0;
  for (const { offset, timestampMs, key, value } of all) {
    const valueAt = at + (key?.length ?? 0);
    table.add(offset, timestampMs, at, key?.length ?? -1, valueAt, value?.length ?? -1);
    at = valueAt + (value?.length ?? 0);
  }
  return new Records([{ table, from: 0, to: all.length }]);
}

export function listOf(records: Records): RawRecord[] {
  return Array.from({ length: records.length }, (_, index) => records.at(index)).filter((one) =>
    one !== undefined
  );
}
