import type { BrokenBuild } from "./broken_build.ts";

/** Broken builds of sections 3 and 4 of the specification (bad data, dependencies, programs) and of the threat model. */
export const BROKEN_PROGRAMS: readonly BrokenBuild[] = [
  {
    promise: "3.1",
    breaks: "the payload of a reject is stored as decoded text, not as its exact bytes",
    edits: { "else row.bytea(bytes);": "else row.text(new TextDecoder().decode(bytes));" },
    test: "each bad record becomes one reject with its exact bytes",
  },
  {
    promise: "3.1",
    breaks: "a value that is not JSON fails its whole batch",
    edits: {
      "return error instanceof SyntaxError ?":
        "if (error) throw error;\n    return error instanceof SyntaxError ?",
    },
    test: "each bad record becomes one reject with its exact bytes",
  },
  {
    promise: "3.2",
    breaks: "all rows of a batch are rejected if PostgreSQL refuses one of them",
    edits: {
      "if (to - from === 1) return":
        "while (to - from > 1) placement.refuse(--to, error);\n      if (to - from === 1) return",
    },
    test: "one refused row among n rows costs O(log n) more statements",
  },
  {
    promise: "3.2",
    breaks: "a missing privilege (SQLSTATE 42501) rejects the row",
    edits: { "VALUE_STATES.test(state)": "/^(22|42501)/.test(state)" },
    test: "isDataError() is true only for errors that the values of the row alone cause",
  },
  {
    promise: "3.3",
    breaks: "the consumer exits after three failed attempts to write a batch",
    edits: {
      "ports.onFailure(error, attempt);":
        "ports.onFailure(error, attempt);\n        if (attempt >= 3) throw error;",
    },
    test: "while PostgreSQL is down, a consumer under load is not ready but alive",
  },
  {
    promise: "3.3",
    breaks: "after an attempt that took too long, the consumer retries the whole batch",
    edits: { "|| isTimeout(error)": "" },
    test: "a store writes a smaller part after an attempt that took too long",
  },
  {
    promise: "3.3",
    breaks: "a query waits without a timeout for the answer of PostgreSQL",
    edits: {
      "query_timeout: limits.transactionMs + NETWORK_GRACE_MS,": "",
      'stream?.destroy(new ResponseTimeout("no answer in time"))': "stream",
    },
    test: "a consumer replaces a database connection that goes silent, and shows",
  },
  {
    promise: "3.3",
    breaks: "a consumer accepts a database whose encoding is not UTF-8",
    edits: { 'row?.server_encoding === "UTF8"': '(row?.server_encoding ?? "") !== ""' },
    test: "a consumer refuses a database whose encoding is not UTF-8",
  },
  {
    promise: "3.4",
    breaks: "a consumer is ready before it is a member of its group",
    edits: { '{ subject: "group", reason: "not joined yet" },': "" },
    test: "a consumer is not ready until the schema is current and its group accepts it",
  },
  {
    promise: "3.4",
    breaks: "the consumer keeps the health state of a partition that it no longer owns",
    edits: { "healthState.closed(assigned)": 'outages.works("database", assigned)' },
    test: "a partition counts as paused while its writes fail",
  },
  {
    promise: "3.4",
    breaks: "a commit of one partition clears the write failures of all partitions",
    edits: {
      "this.#lastCommit = this.clock();": "this.#lastCommit = this.clock();\n    this.#failures.clear();",
    },
    test: "liveReasons() names a partition whose writes fail for 30 s",
  },
  {
    promise: "3.4",
    breaks: "the watchdog does not end a process whose liveness has failed",
    edits: { "if (health.isStuck())": "if (signal.aborted && health.isStuck())" },
    test: "if all writes fail while both servers answer, a consumer",
  },
  {
    promise: "3.4",
    breaks: "records on an unavailable broker count as lag that liveness checks",
    edits: { '=== "held" || this.fetchStatus.cannotFetch': '=== "held"' },
    test: "records on an unavailable broker do not count as fetchable lag",
  },
  {
    promise: "3.4",
    breaks: "the producer publishes nothing while one partition has no leader",
    edits: { "tolerateLeaderlessPartitions(new Base(connection.options))": "new Base(connection.options)" },
    test: "while one partition has no leader, a new consumer and a new producer",
  },
  {
    promise: "3.5",
    breaks: "the transaction timeout is not below the group's session timeout",
    edits: { "Math.floor(groupSessionTimeoutMs * 0.65)": "groupSessionTimeoutMs" },
    test: "sessionLimits() lets PostgreSQL end the transaction of a frozen owner",
  },
  {
    promise: "3.5",
    breaks: "the new owner waits for the lock of a frozen owner instead of ending that session",
    edits: { "if (isLockTimeout(error))": "if (isLockTimeout(error) && attempt < 0)" },
    test: "a consumer that was frozen in the middle of a batch stores nothing",
  },
  {
    promise: "3.5",
    breaks: "a program accepts a pooler in transaction mode",
    edits: { "if (!keepsSessions) await": "if (keepsSessions) await" },
    test: "every worker refuses a pooler in transaction mode",
  },
  {
    promise: "3.6",
    breaks: "the consumer fetches records although its buffer or the memory budget is full",
    edits: {
      "this.#waitingBytes < bufferBytes && memoryBudget.usedBytes < memoryBudget.maxBytes": "bufferBytes > 0",
    },
    test: "while PostgreSQL is down, 600,000 records wait in Kafka",
  },
  {
    promise: "3.6",
    breaks: "a fetch response is decompressed as a whole, whatever its size",
    edits: { "return decompressed < MOST_DECOMPRESSED_BYTES;": "return decompressed < Infinity;" },
    test: "sliceOf() decompresses only a part of a fetch response with many dense batches",
  },
  {
    promise: "3.7",
    breaks: "the checksum of a record batch is not verified",
    edits: { "verify(batch, sent);": "void verify;" },
    test: "sliceOf() detects a flipped bit anywhere in a record batch",
  },
  {
    promise: "3.7",
    breaks: "the records before a corrupt batch are not stored",
    edits: { "if (slice.next === from) throw error;": "throw error;" },
    test: "sliceOf() reads the records before a corrupt batch",
  },
  {
    promise: "3.8",
    breaks: "a record gets the offset that its producer wrote, not the one of its place in the record batch",
    edits: { "isWhole ? batch.firstOffset + index : stated": "stated" },
    test: "a record with a too large offset delta does not hide",
  },
  {
    promise: "3.8",
    breaks: "the offsets in a compacted record batch are not checked",
    edits: { "if (!isWhole) checkOffsets(batch, plain);": "" },
    test: "sliceOf() refuses a compacted batch with offsets that repeat",
  },
  {
    promise: "4.1",
    breaks: "a program reports only the first wrong setting",
    edits: {
      "if (raw === unreadable) continue;": "if (raw === unreadable || problems.length > 0) continue;",
    },
    test: "parseSettings() reports every problem at once",
  },
  {
    promise: "4.2",
    breaks: "a secret in URL encoding is not hidden",
    edits: { "encodeURIComponent(secret.toWellFormed()),": "" },
    test: "a reason in the answer of /readyz shows no secret",
  },
  {
    promise: "4.3",
    breaks: "a program whose shutdown hangs does not say why it gave up and exits with 130",
    edits: { "failure === undefined ? EXIT.interrupted : report(failure, secrets)": "EXIT.interrupted" },
    test: "a program that gives up says why and exits with code 1",
  },
  {
    promise: "4.4",
    breaks: "the statement for small batches does not compare the schema generation",
    edits: { "id = any($1::bigint[]) and schema_generation = $15": "id = any($1::bigint[]) and 0 < $15" },
    test: "every statement that moves an offset fails",
  },
  {
    promise: "4.4",
    breaks: "the checksum of an applied migration is not compared",
    edits: { "found === expected": 'found !== ""' },
    test: "a consumer refuses a database that has another version of one of its migrations",
  },
  {
    promise: "4.4",
    breaks: "migrations use an advisory lock, which any role can hold",
    edits: {
      '"lock table public.schema_migrations in share row exclusive mode"':
        '"select pg_advisory_xact_lock(7521419864366932340)"',
    },
    test: "a reader that holds all locks that it can get",
  },
  {
    promise: "4.5",
    breaks: "produce --file removes blanks around customer ids",
    edits: { 'utf8(texts[customer] ?? "")': 'utf8((texts[customer] ?? "").trim())' },
    test: "produce --file keeps blanks in the customer ids of a CSV file",
  },
  {
    promise: "4.6",
    breaks: "the log end offsets in a consumer's status come from the last fetch, not from the brokers now",
    edits: {
      "await knownLastStableOffsets(client, { name, leaders }, numbers, until)":
        "await Promise.resolve([...partitions()].map(({ lastStableOffset }) => lastStableOffset))",
    },
    test: "the log end offsets in a consumer's status rise while",
  },
  {
    promise: "4.7",
    breaks: "sql runs queries as the owner of the database",
    edits: { "await requireReader(database, PROGRAM);\n\n  const printer": "const printer" },
    test: "sql refuses the logins of the owner and the writer",
  },
  {
    promise: "4.8",
    breaks: "the monitor answers requests for any host name",
    edits: { "if (!isHost) return": 'if (!isHost && c.req.method === "PUT") return' },
    test: "a foreign Host is refused, even with a valid cookie",
  },
  {
    promise: "4.8",
    breaks: "each viewer of the monitor page polls the database for itself",
    edits: { "if (known !== undefined) return known.feed.join(source.preset);": "" },
    test: "200 listeners cost the database the same statements as one",
  },
  {
    promise: "docs/threat_model.md",
    breaks: "the certificate of PostgreSQL is not verified",
    edits: {
      "...(ca === undefined ? {} : { ca })":
        "...{ rejectUnauthorized: false }, ...(ca === undefined ? {} : { ca })",
    },
    test: "databaseAddress() verifies the server's certificate and name for every sslmode",
  },
  {
    promise: "docs/threat_model.md",
    breaks: "the role heartbeat_writer may delete readings",
    edits: {
      '"grant select, insert on public.heartbeats': '"grant select, insert, delete on public.heartbeats',
    },
    test: "the writer may not change the schema, take rows away",
  },
];
