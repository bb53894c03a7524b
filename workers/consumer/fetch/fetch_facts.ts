/** What reading from one broker means for readiness, liveness and the log. */
import { type KafkaConnection, kafkaFailure } from "../../_shared/kafka/client.ts";
import type { FetchLoopPorts } from "./fetch_loop.ts";
import type { Progress } from "../health/progress.ts";
import type { ConsumerTelemetry } from "../telemetry/telemetry.ts";

type Facts = Omit<FetchLoopPorts, "fetcher" | "topic" | "partitions" | "onLostPlace">;

/** @param onStaleTopic the topic shall be looked at again */
export function fetchFacts(
  node: number,
  { connection, telemetry, progress }: {
    readonly connection: KafkaConnection;
    readonly telemetry: ConsumerTelemetry;
    readonly progress: Progress;
  },
  onStaleTopic: () => void,
): Facts {
  const broker = `broker ${node}`;
  return {
    onAttempt: (loop) => progress.mark(loop),
    onIdle: (loop) => {
      progress.idle(loop);
      progress.ready(broker);
    },
    onAnswer: () => {
      progress.answered("kafka");
      progress.ready(broker);
      telemetry.kafkaWorks();
    },
    onFailure: (error, fields) => {
      const failure = kafkaFailure("fetch records", connection, error);
      progress.notReady(broker, failure.message);
      telemetry.kafkaFailed(failure, fields);
    },
    onUnreadable: ({ number, unreadable }, error, fields) => {
      const failure = kafkaFailure("read what was fetched", connection, error);
      progress.notReady(`records of partition ${number}`, failure.message);
      telemetry.recordsUnreadable(number, failure, { ...fields, again: unreadable.isKnown });
    },
    onReadable: ({ number }) => {
      progress.ready(`records of partition ${number}`);
      telemetry.recordsReadable(number);
    },
    onStaleTopic: (answer, fields) => {
      progress.notReady(broker, answer);
      telemetry.topicStale(answer, fields);
      onStaleTopic();
    },
    onSilentGap: ({ number }, gap) => telemetry.silentGap(number, gap),
  };
}
