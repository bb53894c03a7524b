import type { BrokenBuild } from "./broken_build.ts";

const SAME_VERDICT = "decode() gives the same verdict as the oracle of the specification on any record";

// Moves the change rows of the current transaction into the next one.
const LATER_CHANGES =
  "create temp table apart as select * from public.ingest_changes where xmin::text = pg_current_xact_id()::xid::text; " +
  "delete from public.ingest_changes where xmin::text = pg_current_xact_id()::xid::text; " +
  "commit; begin; insert into public.ingest_changes select * from apart; drop table apart";

/** Broken builds of sections 1, 2 and 2a of the specification: records, delivery and derived data. */
export const BROKEN_DATA: readonly BrokenBuild[] = [
  {
    promise: "1.1",
    breaks: "a number counts as whole by the double that JSON.parse() rounded it to, not by its exact digits",
    edits: { "&& !isWhole(": "&& isNaN(value) && !isWhole(" },
    test: SAME_VERDICT,
  },
  {
    promise: "1.1",
    breaks: "invalid UTF-8 is replaced, as Buffer.toString() does, and the reading is stored",
    edits: { "&& !isUtf8(buffer)": "&& !isUtf8(Buffer.from(text))" },
    test: "a consumer stores or rejects each case of UTF-8 at its limits",
  },
  {
    promise: "1.2",
    breaks: "a reading that another partition delivered first is counted as stored, not as a duplicate",
    edits: { "if (present === null) this": "if (present === null || present > 0) this" },
    test: "several consumers store each record once even if a customer's records",
  },
  {
    promise: "1.3",
    breaks: "the consumer's clock alone decides whether a timestamp is in the future",
    edits: { "Math.max(now(), secondClock()) + maxSkewMs": "now() + maxSkewMs" },
    test: "a reading is rejected for its timestamp only if both clocks agree",
  },
  {
    promise: "1.4",
    breaks: "a heart rate equal to HEART_RATE_LOW is flagged as an anomaly",
    edits: { "heartRate < lowBpm ?": "heartRate <= lowBpm ?" },
    test: "a heart rate equal to an alarm limit is not an anomaly",
  },
  {
    promise: "1.5",
    breaks: "the reject of a record with several errors carries the last reason, not the first",
    edits: { "rejects[0]?.reason": "rejects.at(-1)?.reason" },
    test: SAME_VERDICT,
  },
  {
    promise: "1.6",
    breaks: "another heart rate for a stored key is counted as a duplicate, not rejected",
    edits: { "if (heartRate === kept)": "if (heartRate !== undefined && kept > 0)" },
    test: "a consumer stores the first reading of each key",
  },
  {
    promise: "1.6",
    breaks: "the planner does not find repeated readings within a batch",
    edits: { "at === 0 || !readings.isSameKey(": "at >= 0 || !readings.isSameKey(" },
    test: "a planner orders readings by the bytes of the customer",
  },
  {
    promise: "2.1",
    breaks: "the sum of records and gaps of a slice is not checked before the slice is written",
    edits: { "records.length + gone !== this.next - this.from": "records.length + gone < 0" },
    test: "sliceOf() throws if records and gaps do not add up to the slice",
  },
  {
    promise: "2.2",
    breaks: "the rows and the next offset commit in two transactions",
    edits: {
      "session.query(moveStatement(":
        '(await session.query("commit"), await session.query("begin"), session).query(moveStatement(',
    },
    test: "no record of 100,000 is lost or stored twice",
  },
  {
    promise: "2.2",
    breaks: "the change rows commit in a later transaction than the next offset",
    edits: {
      "database.execute(moveStatement(all, added))":
        "database.transaction(async (session) => { const { rowCount } = await session.query(moveStatement(all, added)); " +
        `await session.query("${LATER_CHANGES}"); return rowCount; })`,
      "if (rowCount !== all.length) {":
        `await session.query("${LATER_CHANGES}");\n  if (rowCount !== all.length) {`,
    },
    test: "no record of 100,000 is lost or stored twice",
  },
  {
    promise: "2.3",
    breaks: "a former owner is not fenced: its batch is written although next_offset has moved",
    edits: {
      "nextOffset === slice.from ?": "nextOffset !== undefined ?",
      "where locked.next_offset = batch.from_offset": "",
    },
    test: "a consumer that was frozen in the middle of a batch stores nothing",
  },
  {
    promise: "2.3",
    breaks: "the statement for small batches compares the offset, but not the topic and partition",
    edits: { "using (id, topic_id, kafka_partition, generation)": "using (id)" },
    test: "a consumer discards a batch whose partition it no longer owns",
  },
  {
    promise: "2.4",
    breaks: "after a lost answer to COMMIT, the consumer does not check whether next_offset has moved",
    edits: { "outcome.nextOffset === written.slice.next": "outcome.nextOffset === -1" },
    test: "if the answer to a COMMIT is lost, the committed batch",
  },
  {
    promise: "2.4",
    breaks: "a batch that PostgreSQL refused counts as written if next_offset equals its end",
    edits: { "if (isOutcomeUnknown(error)) return {": "if (error !== undefined) return {" },
    test: "a store does not count a batch as written if PostgreSQL refused it",
  },
  {
    promise: "2.5",
    breaks: "an empty fetch response that was throttled counts as a proof that the log has no records there",
    edits: { "if (!alone || throttled) return": "if (!alone) return" },
    test: "FetchStatus.empty() counts no fetch of several partitions and no throttled fetch",
  },
  {
    promise: "2.5",
    breaks: "offsets at the end of a log count as compacted although the topic is not compacted",
    edits: { "this.#obstacle === undefined && fetchStatus.": "fetchStatus." },
    test: "records that arrive after minutes of silence are stored",
  },
  {
    promise: "2.5",
    breaks: "the records of an aborted transaction are stored",
    edits: { "aborting.has(batch.producerId)": "aborting.has(-1n)" },
    test: "a consumer reads a partition to its end if a committed or aborted transaction is last",
  },
  {
    promise: "2.6",
    breaks: "a topic that was created again continues at the offset of the deleted one",
    edits: {
      "where topic_id = $1 and kafka_partition = $2": "where topic = $1 and kafka_partition = $2",
      "[log.topicId, log.partition],": "[log.topic, log.partition],",
    },
    test: "after its topic is deleted and created again, a restarted consumer",
  },
  {
    promise: "2.7",
    breaks: "records that were deleted unread are skipped although KAFKA_OFFSET_RESET is fail",
    edits: { 'if (policy === "earliest")': 'if (policy === "earliest" || !isCut)' },
    test: "decideOffsetReset() with fail holds the partition",
  },
  {
    promise: "2.7",
    breaks: "a fetch omits the leader epoch, so the broker cannot report a log truncation",
    edits: { "lastFetchedEpoch: lastEpoch": "lastFetchedEpoch: -1" },
    test: "a consumer holds a partition after an unclean election truncated",
  },
  {
    promise: "2.8",
    breaks: "the consumer starts at the group's committed offset if it is ahead of the ledger",
    edits: {
      "let ledger = known.row;": `let ledger = known.row;
      const told = await client.listCommittedOffsets({ topics: [{ topic, partitions: [this.log.partition] }] });
      const [group = -1n] = told.get(topic) ?? [];
      if (ledger !== undefined && group > ledger.nextOffset) {
        await database.query("update public.ingest_offsets set next_offset = $2, gaps = gaps + $2 - next_offset where id = $1", [ledger.id, Number(group)]);
        ledger = { ...ledger, nextOffset: Number(group) };
      }`,
    },
    test: "a consumer continues at the offset of a restored database",
  },
  {
    promise: "2a.1",
    breaks: "day partitions are not made before the rows of their day arrive",
    edits: { "ports.prepare(this.#planned.plan);": "this.#planned;" },
    test: "when the day changes under load, each day gets its day partition",
  },
  {
    promise: "2a.1",
    breaks: "a batch waits until all its day partitions are made, however many days it has",
    edits: { "asked < DAYS_AT_ONCE && ": "" },
    test: "a batch with readings of a thousand days",
  },
  {
    promise: "2a.1",
    breaks: "rows in the default partition are never moved to a day partition",
    edits: { "?? await dayPartitions.emptyDefault()": "" },
    test: "rows that another process left in the default partition are moved",
  },
  {
    promise: "2a.2",
    breaks: "a round moves the rollup's positions past change rows that it did not apply",
    edits: {
      "await advancePositions(session, chains);": "await advancePositions(session, chains.map((one) => " +
        "({ ...one, lastMove: one.moves, lastOffset: one.ledgerOffset })));",
    },
    test: "rounds apply each change row once, even if only one fits",
  },
  {
    promise: "2a.2",
    breaks: "the rollup's positions commit in a later transaction than the minute aggregates",
    edits: {
      'await applyChanges(session, chains, cursor ?? "-infinity");':
        'await applyChanges(session, chains, cursor ?? "-infinity"); await session.query("commit"); await session.query("begin");',
    },
    test: "a round that fails in its last statement moves no position",
  },
  {
    promise: "2a.2",
    breaks: "a round of the rollup starts while another round runs",
    edits: {
      "for update of rollup skip locked": "",
      "isolation level repeatable read;": "isolation level read committed;",
    },
    test: "a round does nothing while another one runs",
  },
  {
    promise: "2a.2",
    breaks: "the rollup continues after a missing change row instead of rebuilding",
    edits: { "if (reason !== undefined) return broken(reason);": "void reason;" },
    test: "the rollup rebuilds from the readings when a waiting change row is deleted",
  },
  {
    promise: "2a.2",
    breaks: "the rollup does not notice orphaned change rows while no other ones wait",
    edits: { "and not exists (${ORPHANED}) as": "as" },
    test: "the rollup rebuilds from the readings when the ledger is restored to the rollup's position",
  },
  {
    promise: "2a.2",
    breaks: "the minute aggregates of a round commit before its positions and deletions",
    edits: {
      "await advancePositions(session, chains);":
        'await session.query("commit"); await session.query("begin"); await advancePositions(session, chains);',
    },
    test: "if the answer to a round's COMMIT is lost, its change rows",
  },
  {
    promise: "2a.2",
    breaks: "the ingest gives up a connection to a rollup that commits no rounds",
    edits: { "!isStalled && lagSeconds >": "lagSeconds >" },
    test: "the ingest gives up one connection when the rollup lags",
  },
  {
    promise: "2a.2",
    breaks: "an orderly stop runs no last round of the rollup",
    edits: { "if (this.#failure === undefined) await this.#attempt({ isLast: true });": "" },
    test: "a consumer also applies the change rows of other consumers",
  },
  {
    promise: "2a.2",
    breaks: "retention can drop a day partition while a rebuild reads it",
    edits: { "size.rebuildRows ? `${KEEP_PARTITIONS};`": "size.rebuildRows ? ``" },
    test: "a rebuild is correct while the ingest writes and retention drops",
  },
  {
    promise: "2a.2",
    breaks: "reconcile ignores the change rows that wait for the rollup",
    edits: { "where $3::boolean and minute >= $1": "where not $3::boolean and minute >= $1" },
    test: "reconcile and the judge count the change rows that wait",
  },
  {
    promise: "2a.3",
    breaks: "old readings stay in a day partition that also holds newer ones",
    edits: { "await deleteOldRows(database, period);": "" },
    test: "old rows in a day partition that also holds newer rows",
  },
  {
    promise: "2a.4",
    breaks: "a batch is written although the floor has moved since the batch was planned",
    edits: {
      "between $16::timestamptz and $17::timestamptz":
        "between least($16::timestamptz, '-infinity') and greatest($17::timestamptz, 'infinity')",
    },
    test: "a range that is reopened while the consumer runs takes readings again",
  },
  {
    promise: "2a.5",
    breaks: "the consumer's clock alone decides which rejects are old enough to be emptied",
    edits: { "least(now(), $1::timestamptz)": "$1::timestamptz" },
    test: "retention empties and deletes only data that is old by both clocks",
  },
  {
    promise: "2a.5",
    breaks: "old minute aggregates are deleted while a round of the rollup changes them",
    edits: { '"select from public.rollup for update"': '"select"' },
    test: "the deletion of old minute aggregates and latest readings waits",
  },
  {
    promise: "2a.5",
    breaks: "latest readings below the floor are not deleted",
    edits: { "readings, oldLatestDeletion()": "readings, () => Promise.resolve()" },
    test: "retention deletes the latest reading of a customer without readings",
  },
  {
    promise: "2a.6",
    breaks: "an episode ends after exactly five minutes without a reading",
    root: "migrations",
    edits: { "> interval '5 minutes'": ">= interval '5 minutes'" },
    test: "an episode ends at a reading within the limits",
  },
];
