/** Sets the ledger beside what was recounted and beside Kafka, and says what does not agree. Pure. */
import { PipelineError } from "../_shared/errors.ts";
import type { KafkaAnswer, KafkaLog } from "./kafka_logs.ts";
import type { Account, Recount } from "./recount.ts";

/** A line of the report: a log with its sums. */
export interface Line extends Omit<Account, "found" | "newest" | "feed"> {
  /** Kafka's committed end; null when Kafka was not asked, or has no such log any more. */
  readonly end: number | null;
  /** Records that were not read yet. */
  readonly lag: number | null;
  /** Offsets behind us that are in none of the tables; below zero when something is there twice. */
  readonly unaccounted: number;
}

export interface Judgement {
  readonly lines: readonly Line[];
  readonly heartbeatRows: number;
  readonly rollup: {
    /** Offsets of the ledger that minutes and latest readings do not hold yet. */
    readonly offsetsBehind: number;
    /** Age of the first change that waits. */
    readonly secondsBehind: number;
    /** While a rebuild is under way: the minute from which on was compared; infinity: nothing was; null: everything was. */
    readonly comparedFrom: string | null;
  };
  /** What is not accounted for, a sentence each. Empty means that everything is. */
  readonly problems: readonly string[];
  /** What is worth knowing and no problem. */
  readonly notes: readonly string[];
  readonly comparedWithKafka: boolean;
  /** Why the ledger could not be compared with Kafka, when it should have been. */
  readonly unchecked: string | null;
}

/** Whether every offset is accounted for, and that could be told; of minutes and latest readings: whether any could be. */
export function isAccounted({ problems, unchecked, rollup }: Judgement): boolean {
  return problems.length === 0 && unchecked === null && !isRebuildDue(rollup);
}

/** Nothing of minutes and latest readings was compared with the rows. */
export function isRebuildDue({ comparedFrom }: Judgement["rollup"]): boolean {
  return comparedFrom === "infinity";
}

/** @param answer about every topic in the ledger, given after the recount */
export function judge(recount: Recount, answer: KafkaAnswer): Judgement {
  const unchecked = answer instanceof PipelineError ? answer.message : null;
  const logs = answer instanceof PipelineError ? undefined : answer;
  const problems: string[] = [];
  const notes: string[] = [];
  const unread = new Set(logs);
  const rollup = {
    offsetsBehind: recount.accounts.reduce((sum, { next, feed }) => sum + next - feed.position, 0),
    secondsBehind: Math.max(0, ...recount.accounts.map(({ feed }) => feed.seconds)),
    comparedFrom: recount.rollup.comparedFrom,
  };
  const lines = recount.accounts.map((account) => {
    const log = logs?.find((one) => one.topicId === account.topicId && one.partition === account.partition);
    if (log !== undefined) unread.delete(log);
    const current = account.newest ? log : undefined;
    problems.push(...accountProblems(account));
    // A rebuild takes its positions from the ledger, whatever the changes are.
    if (rollup.comparedFrom === null) problems.push(...chainProblems(account));
    if (current !== undefined) compareWithKafka(account, current, problems, notes);
    else if (account.newest && logs?.some(({ topicId }) => topicId === account.topicId)) {
      problems.push(`${nameOf(account)}: Kafka does not name this partition of the topic any more`);
    }
    return lineOf(account, current);
  });
  for (const log of unread) lines.push(unreadLine(log));
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

/** A partition that no consumer has opened yet: all that it holds is lag. */
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

/** The changes that wait for the rollup lead from its position to the ledger's next offset, move by move. */
function chainProblems(account: Account): string[] {
  const { next, feed: { position, breaks, end, movesBehind } } = account;
  const reach =
    `the rollup is at ${position} and what waits for it ends at ${end}, but the ledger is at ${next}`;
  const moves = movesBehind === 0 ? "" : `, moves: ${difference(movesBehind)}`;
  return [
    ...breaks === 0 ? [] : [`${breaks} rows of ingest_changes do not continue the one before`],
    ...end === next && movesBehind === 0 ? [] : [`${reach}${moves}`],
  ].map((text) => `${nameOf(account)}: ${text}; the rollup of a running consumer rebuilds`);
}

/** Kafka was asked after the snapshot, and an end never goes back: being ahead of it is no matter of timing. */
function compareWithKafka(account: Account, log: KafkaLog, problems: string[], notes: string[]): void {
  if (account.next > log.end) {
    problems.push(
      `${nameOf(account)}: was read to ${account.next}, but the log ends at ${log.end}: ` +
        `the log lost ${account.next - log.end} records; see KAFKA_OFFSET_RESET`,
    );
  }
  // The snapshot is older than Kafka's answer: a consumer may have read them in between.
  if (account.next < log.earliest) {
    notes.push(
      `${nameOf(account)}: the log now begins at ${log.earliest}: unless read since, the records from ` +
        `${account.next} are gone; the consumer records the gap, or holds (KAFKA_OFFSET_RESET)`,
    );
  }
}

/** Rows carry no partition, so only their total can be told. */
function tableProblems({ accounts, heartbeatRows, rollup, derived }: Recount): string[] {
  const { differing, examples } = derived;
  const { comparedFrom, strangers } = rollup;
  const stored = accounts.reduce((sum, account) => sum + account.stored, 0);
  const off = difference(stored - heartbeatRows);
  const rows =
    `heartbeats: the ledger's sum of stored is ${stored}, but the table has ${heartbeatRows} rows: ${off} ` +
    "(a row does not say which partition it came from)";
  const more = differing - examples.length;
  return [
    ...stored === heartbeatRows ? [] : [rows],
    ...strangers === 0 || comparedFrom !== null
      ? []
      : [`rollup_positions and ingest_changes: ${strangers} rows name a ledger row that is not there`],
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
