/** Broken builds of sections 3 and 4: bad data, broken dependencies, programs, and who means harm. */
import type { BrokenBuild } from "./broken_build.ts";

export const BROKEN_PROGRAMS: readonly BrokenBuild[] = [
  {
    promise: "3.1",
    breaks: "a reject's payload is stored as text",
    edits: { "else row.bytea(bytes);": "else row.text(new TextDecoder().decode(bytes));" },
    test: "a bad record costs one reject with its exact bytes",
  },
  {
    promise: "3.1",
    breaks: "a value that is no JSON fails its batch",
    edits: {
      "return error instanceof SyntaxError ?":
        "if (error) throw error;\n    return error instanceof SyntaxError ?",
    },
    test: "a bad record costs one reject with its exact bytes",
  },
  {
    promise: "3.2",
    breaks: "a batch that the database refuses is rejected as a whole",
    edits: {
      "if (to - from === 1) return":
        "while (to - from > 1) placement.refuse(--to, error);\n      if (to - from === 1) return",
    },
    test: "one refused row of n costs a number of statements",
  },
  {
    promise: "3.2",
    breaks: "a missing right is taken for a fault of the data",
    edits: { "VALUE_STATES.test(state)": "/^(22|42501)/.test(state)" },
    test: "isDataError() is true only for errors that the values of the row alone cause",
  },
  {
    promise: "3.3",
    breaks: "the process ends when a batch has failed three times",
    edits: {
      "ports.onFailure(error, attempt);":
        "ports.onFailure(error, attempt);\n        if (attempt >= 3) throw error;",
    },
    test: "a consumer is not ready but alive while PostgreSQL is stopped",
  },
  {
    promise: "3.3",
    breaks: "a batch that takes too long is tried as a whole for ever",
    edits: { "|| isTimeout(error)": "" },
    test: "a store writes a smaller part after an attempt that took too long",
  },
  {
    promise: "3.3",
    breaks: "a query waits for its answer without end",
    edits: {
      "query_timeout: limits.transactionMs + NETWORK_GRACE_MS,": "",
      'stream?.destroy(new ResponseTimeout("no answer in time"))': "stream",
    },
    test: "a consumer replaces a database connection that goes silent",
  },
  {
    promise: "3.3",
    breaks: "a database in any encoding is used",
    edits: { 'row?.server_encoding === "UTF8"': '(row?.server_encoding ?? "") !== ""' },
    test: "a consumer refuses a database whose encoding is not UTF-8",
  },
  {
    promise: "3.4",
    breaks: "a consumer is ready before the group has it",
    edits: { '{ subject: "group", reason: "not joined yet" },': "" },
    test: "a consumer is not ready until the schema is current and the group has it",
  },
  {
    promise: "3.4",
    breaks: "what was said of a partition is kept when it is given away",
    edits: { "healthState.closed(assigned)": 'outages.works("database", assigned)' },
    test: "a partition counts as paused while its writes fail",
  },
  {
    promise: "3.4",
    breaks: "what is committed of one partition counts as progress of them all",
    edits: {
      "this.#lastCommit = this.clock();": "this.#lastCommit = this.clock();\n    this.#failures.clear();",
    },
    test: "liveReasons() names a partition whose writes fail for 30 s",
  },
  {
    promise: "3.4",
    breaks: "a process that is red says so and does not end",
    edits: { "if (health.isStuck())": "if (signal.aborted && health.isStuck())" },
    test: "a consumer fails liveness and exits when its writes fail",
  },
  {
    promise: "3.4",
    breaks: "records on a broker that is away count as lag of ours",
    edits: { '=== "held" || this.fetchStatus.cannotFetch': '=== "held"' },
    test: "records on an unavailable broker do not count as fetchable lag",
  },
  {
    promise: "3.4",
    breaks: "the producer does not begin while a partition has no leader",
    edits: { "tolerateLeaderlessPartitions(new Base(connection.options))": "new Base(connection.options)" },
    test: "a new consumer and a new producer work on the other partitions while one has no leader",
  },
  {
    promise: "3.5",
    breaks: "a transaction may last as long as the group's session",
    edits: { "Math.floor(groupSessionTimeoutMs * 0.65)": "groupSessionTimeoutMs" },
    test: "sessionLimits() lets PostgreSQL end the transaction of a frozen owner",
  },
  {
    promise: "3.5",
    breaks: "a lock that a frozen owner keeps is waited for",
    edits: { "if (isLockTimeout(error))": "if (isLockTimeout(error) && attempt < 0)" },
    test: "a consumer frozen in the middle of a batch stores nothing",
  },
  {
    promise: "3.5",
    breaks: "a pooler that changes sessions is used like a server",
    edits: { "if (!keepsSessions) await": "if (keepsSessions) await" },
    test: "every worker refuses a pooler in transaction mode",
  },
  {
    promise: "3.6",
    breaks: "records are fetched whether or not there is room for them",
    edits: {
      "this.#waitingBytes < bufferBytes && memoryBudget.usedBytes < memoryBudget.maxBytes": "bufferBytes > 0",
    },
    test: "while PostgreSQL is away, 600,000 records wait in Kafka",
  },
  {
    promise: "3.6",
    breaks: "an answer is decompressed as a whole",
    edits: { "return decompressed < MOST_DECOMPRESSED_BYTES;": "return decompressed < Infinity;" },
    test: "sliceOf() decompresses only a part of a fetch response with many dense batches",
  },
  {
    promise: "3.7",
    breaks: "a batch's checksum is not compared",
    edits: { "verify(batch, sent);": "void verify;" },
    test: "sliceOf() detects a flipped bit anywhere in a record batch",
  },
  {
    promise: "3.7",
    breaks: "what lies before a batch that cannot be read waits for it",
    edits: { "if (slice.next === from) throw error;": "throw error;" },
    test: "sliceOf() reads the records before a corrupt batch",
  },
  {
    promise: "3.8",
    breaks: "how a producer numbered the records of a batch is believed",
    edits: { "isWhole ? batch.firstOffset + index : stated": "stated" },
    test: "a record whose offset delta is too large does not hide",
  },
  {
    promise: "3.8",
    breaks: "what is left of a compacted batch is taken whatever its offsets are",
    edits: { "if (!isWhole) checkOffsets(batch, plain);": "" },
    test: "sliceOf() refuses a compacted batch with offsets that repeat",
  },
  {
    promise: "4.1",
    breaks: "only the first wrong setting is told",
    edits: {
      "if (raw === unreadable) continue;": "if (raw === unreadable || problems.length > 0) continue;",
    },
    test: "parseSettings() reports every problem at once",
  },
  {
    promise: "4.2",
    breaks: "a secret in another encoding is not hidden",
    edits: { "encodeURIComponent(secret.toWellFormed()),": "" },
    test: "a reason in readiness shows no secret",
  },
  {
    promise: "4.3",
    breaks: "an end that hangs hides why the process gave up",
    edits: { "failure === undefined ? EXIT.interrupted : report(failure, secrets)": "EXIT.interrupted" },
    test: "a program that gives up says why and exits with 1",
  },
  {
    promise: "4.4",
    breaks: "the statement that stores a few readings does not ask for the schema's generation",
    edits: { "id = any($1::bigint[]) and schema_generation = $15": "id = any($1::bigint[]) and 0 < $15" },
    test: "each way to move an offset is fenced by itself",
  },
  {
    promise: "4.4",
    breaks: "an applied migration is not compared with ours",
    edits: { "found === expected": 'found !== ""' },
    test: "a consumer refuses a database whose migrations were changed",
  },
  {
    promise: "4.4",
    breaks: "the schema is changed under a lock that anybody may keep",
    edits: {
      '"lock table public.schema_migrations in share row exclusive mode"':
        '"select pg_advisory_xact_lock(7521419864366932340)"',
    },
    test: "a reader who keeps every lock that it can get",
  },
  {
    promise: "4.5",
    breaks: "the customers of a recording are trimmed",
    edits: { 'utf8(texts[customer] ?? "")': 'utf8((texts[customer] ?? "").trim())' },
    test: "produce --file keeps the blanks in the customers of a CSV file",
  },
  {
    promise: "4.6",
    breaks: "the log ends in the status are those of the last fetch",
    edits: {
      "await knownLastStableOffsets(client, { name, leaders }, numbers, until)":
        "await Promise.resolve([...partitions()].map(({ lastStableOffset }) => lastStableOffset))",
    },
    test: "the log end offsets in a consumer's status rise while",
  },
  {
    promise: "docs/threat_model.md",
    breaks: "the certificate of PostgreSQL is not checked",
    edits: {
      "...(ca === undefined ? {} : { ca })":
        "...{ rejectUnauthorized: false }, ...(ca === undefined ? {} : { ca })",
    },
    test: "databaseAddress() verifies the server's certificate and name for every sslmode",
  },
  {
    promise: "docs/threat_model.md",
    breaks: "the writer is given the right to take rows away",
    edits: {
      '"grant select, insert on public.heartbeats': '"grant select, insert, delete on public.heartbeats',
    },
    test: "the writer may not change the schema, take rows away",
  },
];
