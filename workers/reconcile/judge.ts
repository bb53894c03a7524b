/** Compares the ledger with the recount and with Kafka. */
import { PipelineError } from "../_shared/errors.ts";
import type { KafkaAnswer, KafkaLog } from "./kafka_logs.ts";
import type { Account, Recount } from "./recount.ts";

/** One log of the report. */
export interface Line extends Omit<Account, "found" | "newest" | "feed"> {
  /** Last stable offset; null if Kafka was not asked or no longer has this log. */
  readonly end: number | null;
  readonly lag: number | null;
  /** Offsets that were read and are in no table; negative if some are in a table twice. */
  readonly unaccounted: number;
}

export interface Judgement {
  readonly lines: readonly Line[];
  readonly heartbeatRows: number;
  readonly rollup: {
    /** Offsets that minute aggregates and latest readings do not contain yet. */
    readonly offsetsBehind: number;
    readonly secondsBehind: number;
    /** The first minute that was compared, during a rebuild: "infinity" if it has not started. Null: everything was compared. */
    readonly comparedFrom: string | null;
  };
  /** A sentence for each difference. */
  readonly problems: readonly string[];
  /** Facts worth knowing that are not differences. */
  readonly notes: readonly string[];
  readonly comparedWithKafka: boolean;
  /** Why the comparison with Kafka failed; null if it succeeded or was not requested. */
  readonly unchecked: string | null;
}

export function isAccounted({ problems, unchecked, rollup }: Judgement): boolean {
  return problems.length === 0 && unchecked === null && !isRebuildDue(rollup);
}

export function isRebuildDue({ comparedFrom }: Judgement["rollup"]): boolean {
  return comparedFrom === "infinity";
}

/** @param answer must be read after the recount: ends of logs only rise, so a log that ends before `next` has lost records */
export function judge(recount: Recount, answer: KafkaAnswer): Judgement {
  const unchecked = answer instanceof PipelineError ? answer.message : null;
  const logs = answer instanceof PipelineError ? undefined : answer;
  const problems: string[] = [];
  const notes: string[] = [];
  const unmatched = new Set(logs);
  const rollup = {
    offsetsBehind: recount.accounts.reduce((sum, { next, feed }) => sum + next - feed.position, 0),
    secondsBehind: Math.max(0, ...recount.accounts.map(({ feed }) => feed.seconds)),
    comparedFrom: recount.rollup.comparedFrom,
  };
  const lines = recount.accounts.map((account) => {
    const log = logs?.find((log) => log.topicId === account.topicId && log.partition === account.partition);
    if (log !== undefined) unmatched.delete(log);
    const current = account.newest ? log : undefined;
    problems.push(...accountProblems(account));
    // A rebuild takes its positions from the ledger and ignores the change rows.
    if (rollup.comparedFrom === null) problems.push(...changeFeedProblems(account));
    if (current !== undefined) compareWithKafka(account, current, problems, notes);
    else if (account.newest && logs?.some(({ topicId }) => topicId === account.topicId)) {
      problems.push(`${nameOf(account)}: Kafka no longer has this partition of the topic`);
    }
    return lineOf(account, current);
  });
  for (const log of unmatched) lines.push(unreadLine(log));
  if (logs !== undefined) notes.push(...missingTopics(recount.accounts, logs));
  problems.push(...tableProblems(recount));
  const { heartbeatRows } = recount;
  return { lines, heartbeatRows, rollup, problems, notes, comparedWithKafka: logs !== undefined, unchecked };
}

function lineOf(
  { newest: _newest, feed: _feed, found, ...account }: Account,
  log: KafkaLog | undefined,
): Line {
  return {
    ...account,
    end: log?.end ?? null,
    lag: log === undefined ? null : Math.max(0, log.end - account.next),
    unaccounted: account.next - account.first - account.stored - account.duplicates - found.rejects -
      found.gapOffsets,
  };
}

/** No consumer has opened this partition yet, so all its offsets are lag. */
function unreadLine({ topic, topicId, partition, earliest, end }: KafkaLog): Line {
  const none = { generation: 0, stored: 0, duplicates: 0, rejected: 0, gaps: 0, unaccounted: 0 };
  return { topic, topicId, partition, ...none, first: earliest, next: earliest, end, lag: end - earliest };
}

function accountProblems(account: Account): string[] {
  const { first, next, stored, duplicates, rejected, gaps, found } = account;
  const sum = stored + duplicates + rejected + gaps;
  const read = `${next - first} offsets were read (${first} to ${next}), but its counts add up to ${sum}`;
  const compared = [
    [next - first - sum, read],
    [rejected - found.rejects, `rejected is ${rejected}, but heartbeat_rejects has ${found.rejects} rows`],
    [gaps - found.gapOffsets, `gaps is ${gaps}, but ingest_gaps has ${found.gapOffsets} offsets`],
  ] as const;
  const wrong = [
    [found.rejectsOutside, `rows of heartbeat_rejects lie outside ${first} to ${next}`],
    [found.rejectsMisfiled, "rows of heartbeat_rejects name another topic or partition"],
    [found.rejectsInGaps, "rows of heartbeat_rejects lie in a gap"],
    [found.gapsOutside, `rows of ingest_gaps reach outside ${first} to ${next}`],
    [found.gapsOverlapping, "rows of ingest_gaps overlap another"],
  ] as const;
  return [
    ...compared.flatMap(([missing, text]) => missing === 0 ? [] : [`${text}: ${difference(missing)}`]),
    ...wrong.flatMap(([count, text]) => count === 0 ? [] : [`${count} ${text}`]),
  ].map((text) => `${nameOf(account)}: ${text}`);
}

function changeFeedProblems(account: Account): string[] {
  const { next, feed: { position, breaks, end, missingMoves } } = account;
  const reach =
    `the rollup is at ${position} and its pending changes end at ${end}, but the ledger is at ${next}`;
  const moves = missingMoves === 0 ? "" : `, moves: ${difference(missingMoves)}`;
  return [
    ...breaks === 0 ? [] : [`${breaks} rows of ingest_changes do not continue the previous one`],
    ...end === next && missingMoves === 0 ? [] : [`${reach}${moves}`],
  ].map((text) => `${nameOf(account)}: ${text}; the rollup of a running consumer rebuilds`);
}

function compareWithKafka(account: Account, log: KafkaLog, problems: string[], notes: string[]): void {
  if (account.next > log.end) {
    problems.push(
      `${nameOf(account)}: was read to ${account.next}, but the log ends at ${log.end}: ` +
        `the log lost ${account.next - log.end} records; see KAFKA_OFFSET_RESET`,
    );
  }
  if (account.next < log.earliest) {
    notes.push(
      `${
        nameOf(account)
      }: the log now begins at ${log.earliest}: the records from ${account.next} on are lost if no consumer has read ` +
        "them since; the consumer records a gap or holds the partition (KAFKA_OFFSET_RESET)",
    );
  }
}

function tableProblems({ accounts, heartbeatRows, rollup, derived }: Recount): string[] {
  const { differing, examples } = derived;
  const { comparedFrom, orphans } = rollup;
  const stored = accounts.reduce((sum, account) => sum + account.stored, 0);
  const off = difference(stored - heartbeatRows);
  const rows =
    `heartbeats: the ledger's sum of stored is ${stored}, but the table has ${heartbeatRows} rows: ${off} ` +
    "(a row does not name its partition)";
  const more = differing - examples.length;
  return [
    ...stored === heartbeatRows ? [] : [rows],
    ...orphans === 0 || comparedFrom !== null
      ? []
      : [`rollup_positions and ingest_changes: ${orphans} rows name a ledger row that does not exist`],
    ...examples,
    ...more === 0 ? [] : [`heartbeats_1m and customer_latest: ${more} more entries differ from the rows`],
  ];
}

function missingTopics(accounts: readonly Account[], logs: readonly KafkaLog[]): string[] {
  const gone = new Map(accounts.map(({ topicId, topic }) => [topicId, topic]));
  for (const { topicId } of logs) gone.delete(topicId);
  return [...gone].map(([id, topic]) =>
    `topic ${topic} with the id ${id} was deleted: it has no end in Kafka`
  );
}

function nameOf({ topic, topicId, partition, generation }: Account): string {
  const cut = generation === 0 ? "" : `, generation ${generation}`;
  return `partition ${partition} of ${topic} (${topicId.slice(0, 8)}${cut})`;
}

function difference(missing: number): string {
  return missing > 0 ? `${missing} missing` : `${-missing} too many`;
}
