import { Buffer } from "node:buffer";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { compressionsAlgorithms, createRecordsBatch, fetchV17, Reader, Writer } from "@platformatic/kafka";
import { type Compression, encodeBatch, writeBatch } from "../../workers/_shared/kafka/batch_writer.ts";
import {
  addRecords,
  createRecordTable,
  decompress,
  readBatches,
} from "../../workers/_shared/kafka/batch_reader.ts";
import { readFetchResponse } from "../../workers/_shared/kafka/fetcher.ts";
import { heartRateOf } from "../lab/fleet.ts";
import { contentOf } from "../lab/readings_batch.ts";
import type { Part } from "./part.ts";

const MAX_BYTES = 32 * 1024 * 1024;
const START_MS = Date.UTC(2026, 6, 14, 9, 30);
const CUSTOMERS = 1_000;

function contents(records: number) {
  return Array.from({ length: records }, (_, index) =>
    contentOf({
      customer: index % CUSTOMERS,
      at: START_MS + index,
      heartRate: heartRateOf(index % CUSTOMERS, index),
    }));
}

async function codec(
  records: number,
  name: Exclude<Compression, "none">,
  instead: string,
  unpack: (bytes: Buffer) => unknown,
): Promise<Part> {
  const bytes = await encodeBatch(contents(records), name);
  const [batch] = readBatches(bytes);
  if (batch === undefined) throw new TypeError("a batch was expected");
  return {
    own: () => decompress(batch, bytes),
    alternative: () => unpack(bytes.subarray(batch.recordsStart, batch.recordsEnd)),
    instead,
  };
}

export const lz4 = (records: number) =>
  codec(records, "lz4", "the client's", compressionsAlgorithms.lz4.decompressSync);

export const snappy = (records: number) =>
  codec(records, "snappy", "the client's", compressionsAlgorithms.snappy.decompressSync);

export const gzip = (records: number) =>
  codec(records, "gzip", "gunzipSync", (bytes) => gunzipSync(bytes, { maxOutputLength: MAX_BYTES }));

export const zstd = (records: number) =>
  codec(
    records,
    "zstd",
    "zstdDecompressSync",
    (bytes) => zstdDecompressSync(bytes, { maxOutputLength: MAX_BYTES }),
  );

/** Decodes a fetch response with one batch, into a table of records or into the objects of the Kafka client. */
export function fetchResponse(records: number): Part {
  const batch = writeBatch(contents(records));
  const writer = Writer.create().appendInt32(0).appendInt16(0).appendInt32(0);
  writer.appendArray(["6f1c2b1e-0f0e-4a57-9d6c-1f0d6c8b7a11"], (topic, id) => {
    topic.appendUUID(id).appendArray(
      [0],
      (part) => {
        part.appendInt32(0).appendInt16(0).appendInt64(99n).appendInt64(90n).appendInt64(5n);
        part.appendArray([], () => {}).appendInt32(-1).appendUnsignedVarInt(batch.length + 1).append(batch);
        part.appendUnsignedVarInt(0);
      },
      true,
      false,
    );
  });
  const answer = writer.appendTaggedFields().buffer;
  return {
    own: () => {
      for (const { records: sent } of readFetchResponse(Reader.from(answer)).partitions) {
        for (const received of readBatches(sent)) {
          const plain = decompress(received, sent);
          addRecords(createRecordTable(received, plain.bytes), received, plain, {
            from: 0,
            onRecord: () => {},
          });
        }
      }
    },
    alternative: () => fetchV17.parseResponse(0, 1, 17, Reader.from(answer)),
    instead: "the client's parseResponse",
  };
}

export function batchWriter(records: number): Part {
  const all = contents(records);
  return {
    own: () => writeBatch(all),
    alternative: () =>
      createRecordsBatch(all.map(({ key, value }) => ({ topic: "t", key, value }) as never), {}).buffer,
    instead: "the client's createRecordsBatch",
  };
}
