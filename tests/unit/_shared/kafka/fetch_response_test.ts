import { deepStrictEqual } from "node:assert";
import { Reader, Writer } from "@platformatic/kafka";
import { readFetchResponse } from "../../../../workers/_shared/kafka/fetcher.ts";
import { batch } from "../../../support/record_batch.ts";

const TOPIC_ID = "6f1c2b1e-0f0e-4a57-9d6c-1f0d6c8b7a11";

interface PartitionResponse {
  readonly partition: number;
  readonly errorCode?: number;
  readonly aborted?: readonly [producerId: bigint, firstOffset: bigint][];
  readonly records?: Uint8Array;
  readonly divergingEpoch?: { readonly epoch: number; readonly endOffset: bigint };
}

function encodeResponse(partitions: readonly PartitionResponse[], throttleMs = 0): Reader {
  const writer = Writer.create().appendInt32(throttleMs).appendInt16(0).appendInt32(0);
  writer.appendArray([TOPIC_ID], (topic, id) => {
    topic.appendUUID(id).appendArray(
      [...partitions],
      (part, { partition, errorCode = 0, aborted, ...rest }) => {
        part.appendInt32(partition).appendInt16(errorCode).appendInt64(99n).appendInt64(90n).appendInt64(5n);
        part.appendArray(aborted === undefined ? null : [...aborted], (entry, [producerId, firstOffset]) => {
          entry.appendInt64(producerId).appendInt64(firstOffset);
        });
        part.appendInt32(-1);
        const { records, divergingEpoch } = rest;
        part.appendUnsignedVarInt(records === undefined ? 0 : records.length + 1);
        if (records !== undefined) part.append(records as never);
        // The optional (tagged) fields follow: their count, then the number, the length and the bytes of each.
        part.appendUnsignedVarInt(divergingEpoch === undefined ? 0 : 1);
        if (divergingEpoch === undefined) return;
        part.appendUnsignedVarInt(0).appendUnsignedVarInt(12);
        part.appendInt32(divergingEpoch.epoch).appendInt64(divergingEpoch.endOffset);
      },
      true,
      false,
    );
  });
  return Reader.from(writer.appendTaggedFields().buffer);
}

Deno.test("readFetchResponse() returns the record bytes unchanged and reads the partition after them", () => {
  const records = batch(7, [7, 8], { compression: "zstd" });
  const answer = readFetchResponse(
    encodeResponse([{ partition: 3, records, aborted: [[7n, 20n]] }, { partition: 4, errorCode: 1 }], 12),
  );
  const common = { lastStableOffset: 90, divergence: undefined };
  deepStrictEqual(answer.throttled, true);
  deepStrictEqual(
    answer.partitions.map((partition) => ({ ...partition, records: partition.records.toString("hex") })),
    [
      {
        ...common,
        partition: 3,
        errorCode: 0,
        abortedTransactions: [{ producerId: 7n, firstOffset: 20 }],
        records: records.toString("hex"),
      },
      { ...common, partition: 4, errorCode: 1, abortedTransactions: [], records: "" },
    ],
  );
});

Deno.test("readFetchResponse() reports a divergence only if the broker gives a diverging epoch", () => {
  const divergence = (divergingEpoch?: PartitionResponse["divergingEpoch"]) => {
    const partition = divergingEpoch === undefined ? { partition: 0 } : { partition: 0, divergingEpoch };
    return readFetchResponse(encodeResponse([partition])).partitions[0]?.divergence;
  };
  deepStrictEqual(divergence(), undefined);
  deepStrictEqual(divergence({ epoch: -1, endOffset: -1n }), undefined);
  deepStrictEqual(divergence({ epoch: 0, endOffset: 0n }), { epoch: 0, endOffset: 0 });
  deepStrictEqual(divergence({ epoch: 4, endOffset: 20n }), { epoch: 4, endOffset: 20 });
});
