/**
 * Kafka's answer to a fetch, its records left as the bytes that came: the client's own reading makes an object and two
 * buffers of each record, several times the memory of what was sent.
 */
import { Buffer } from "node:buffer";
import { type Reader, readKnownTaggedFields } from "@platformatic/kafka";
import type { Offset } from "./records.ts";

/** The newest epoch up to ours that the broker has records of, and the offset where they end. */
export interface Divergence {
  readonly epoch: number;
  readonly endOffset: Offset;
}

/** A partition's part of the answer. */
export interface FetchedPartition {
  readonly partition: number;
  /** 0 for none; codes of https://kafka.apache.org/protocol#protocol_error_codes */
  readonly errorCode: number;
  /** The end of what is committed. */
  readonly lastStableOffset: Offset;
  readonly abortedTransactions: readonly { readonly producerId: bigint; readonly firstOffset: Offset }[];
  /** What the log has instead of what we read; undefined when it has what we read. */
  readonly divergence: Divergence | undefined;
  /** Record batches, the last of which may be cut off. */
  readonly records: Buffer;
}

export interface FetchAnswer {
  /** The broker held records back to slow us down: an empty answer proves nothing then. */
  readonly throttled: boolean;
  readonly errorCode: number;
  readonly partitions: readonly FetchedPartition[];
}

const NOTHING = Buffer.alloc(0);
/** Number of the optional field. */
const DIVERGING_EPOCH = 0;

/** Reads versions 13 to 17, which differ in optional fields only. Layout: https://kafka.apache.org/protocol#The_Messages_Fetch */
export function readFetchResponse(reader: Reader): FetchAnswer {
  const throttled = reader.readInt32() > 0;
  const errorCode = reader.readInt16();
  reader.readInt32(); // the fetch session, of which we have none
  const topics = reader.readArray((topic) => {
    topic.readUUID();
    return topic.readArray(readPartition, true, false);
  });
  return { throttled, errorCode, partitions: topics.flat() };
}

function readPartition(reader: Reader): FetchedPartition {
  const partition = reader.readInt32();
  const errorCode = reader.readInt16();
  reader.readInt64(); // the high watermark, which open transactions may lie below
  const lastStableOffset = Number(reader.readInt64());
  reader.readInt64(); // the log's start
  const aborted = reader.readNullableArray((transaction) => ({
    producerId: transaction.readInt64(),
    firstOffset: Number(transaction.readInt64()),
  }));
  reader.readInt32(); // the replica that would rather be read
  // A compact length: one more than it is, 0 for null.
  const length = Math.max(0, reader.readUnsignedVarInt() - 1);
  const records = length === 0 ? NOTHING : reader.buffer.slice(reader.position, reader.position + length);
  reader.skip(length);
  let divergence: Divergence | undefined;
  readKnownTaggedFields(reader, {
    [DIVERGING_EPOCH]: (field) => {
      const [epoch, endOffset] = [field.readInt32(), Number(field.readInt64())];
      if (endOffset >= 0) divergence = { epoch, endOffset };
    },
  });
  return { partition, errorCode, lastStableOffset, abortedTransactions: aborted ?? [], divergence, records };
}
