/** Broken builds of sections 1, 2 and 2a: what becomes of a record, of an offset, and of what is kept. */
import type { BrokenBuild } from "./broken_build.ts";

const AS_SPECIFIED = "decode() gives the same verdict as the oracle of the specification on any record";

/** Takes the changes that the transaction wrote out of it, and writes them in the next one. */
const CHANGES_APART =
  "create temp table apart as select * from public.ingest_changes where xmin::text = pg_current_xact_id()::xid::text; " +
  "delete from public.ingest_changes where xmin::text = pg_current_xact_id()::xid::text; " +
  "commit; begin; insert into public.ingest_changes select * from apart; drop table apart";

export const BROKEN_DATA: readonly BrokenBuild[] = [
  {
    promise: "1.1",
    breaks: "whole numbers are told from the double that JSON.parse rounded them to",
    edits: { "&& !isWhole(": "&& isNaN(value) && !isWhole(" },
    test: AS_SPECIFIED,
  },
  {
    promise: "1.1",
    breaks: "invalid UTF-8 is replaced and stored, as Buffer.toString() does it",
    edits: { "&& !isUtf8(buffer)": "&& !isUtf8(Buffer.from(text))" },
    test: "a consumer stores or rejects each case of UTF-8 at its limits",
  },
  {
    promise: "1.2",
    breaks: "a reading that another partition brought before counts as stored anew",
    edits: { "if (present === null) this": "if (present === null || present > 0) this" },
    test: "several consumers store each record once when one customer's records",
  },
  {
    promise: "1.3",
    breaks: "our clock alone decides what lies in the future",
    edits: { "Math.max(now(), secondClock()) + maxSkewMs": "now() + maxSkewMs" },
    test: "a reading is rejected for its timestamp only if both clocks agree",
  },
  {
    promise: "1.4",
    breaks: "a heart rate at the threshold is an anomaly",
    edits: { "heartRate < lowBpm ?": "heartRate <= lowBpm ?" },
    test: "a heart rate equal to an alarm limit is not an anomaly",
  },
  {
    promise: "1.5",
    breaks: "of several wrong fields the last gives the reason",
    edits: { "rejects[0]?.reason": "rejects.at(-1)?.reason" },
    test: AS_SPECIFIED,
  },
  {
    promise: "1.6",
    breaks: "another heart rate for a known key counts as a duplicate",
    edits: { "if (heartRate === kept)": "if (heartRate !== undefined && kept > 0)" },
    test: "a consumer stores the first reading of each key",
  },
  {
    promise: "1.6",
    breaks: "repeats within a batch are left to the database",
    edits: { "at === 0 || !readings.isSameKey(": "at >= 0 || !readings.isSameKey(" },
    test: "a planner orders readings by the bytes of the customer",
  },
  {
    promise: "2.1",
    breaks: "records and gaps are not added up before they are written",
    edits: { "records.length + gone !== this.next - this.from": "records.length + gone < 0" },
    test: "sliceOf() throws if records and gaps do not add up to the slice",
  },
  {
    promise: "2.2",
    breaks: "the next offset is written in a transaction of its own, after that of the rows",
    edits: {
      "session.query(moveStatement(":
        '(await session.query("commit"), await session.query("begin"), session).query(moveStatement(',
    },
    test: "no record of 100,000 is lost or stored twice",
  },
  {
    promise: "2.2",
    breaks: "changes are written in a transaction of their own, behind that of the offsets",
    edits: {
      "database.execute(moveStatement(all, added))":
        "database.transaction(async (session) => { const { rowCount } = await session.query(moveStatement(all, added)); " +
        `await session.query("${CHANGES_APART}"); return rowCount; })`,
      "if (rowCount !== all.length) {":
        `await session.query("${CHANGES_APART}");\n  if (rowCount !== all.length) {`,
    },
    test: "no record of 100,000 is lost or stored twice",
  },
  {
    promise: "2.3",
    breaks: "nobody asks whether a batch begins where the offset stands",
    edits: {
      "nextOffset === slice.from ?": "nextOffset !== undefined ?",
      "where locked.next_offset = batch.from_offset": "",
    },
    test: "a consumer frozen in the middle of a batch stores nothing",
  },
  {
    promise: "2.3",
    breaks: "the statement that stores a few readings looks at an offset, and not whose it is",
    edits: { "using (id, topic_id, kafka_partition, generation)": "using (id)" },
    test: "a consumer discards a batch whose partition it no longer owns",
  },
  {
    promise: "2.4",
    breaks: "after a lost answer nobody asks whether the COMMIT took place",
    edits: { "outcome.nextOffset === written.slice.next": "outcome.nextOffset === -1" },
    test: "a batch whose COMMIT succeeded is counted once",
  },
  {
    promise: "2.4",
    breaks: "what the server answered to is taken for written when the offset is where ours would be",
    edits: { "if (isOutcomeUnknown(error)) return {": "if (error !== undefined) return {" },
    test: "a store does not count a batch as written if PostgreSQL refused it",
  },
  {
    promise: "2.5",
    breaks: "an empty answer that a quota held back counts as a proof that nothing is there",
    edits: { "if (!alone || throttled) return": "if (!alone) return" },
    test: "FetchStatus.empty() counts neither a fetch of several partitions nor a throttled one",
  },
  {
    promise: "2.5",
    breaks: "a topic's settings are not asked for before the end of its log counts as compacted",
    edits: { "this.#obstacle === undefined && fetchStatus.": "fetchStatus." },
    test: "records that arrive after minutes of silence are stored",
  },
  {
    promise: "2.5",
    breaks: "records of an aborted transaction are stored",
    edits: { "aborting.has(batch.producerId)": "aborting.has(-1n)" },
    test: "a consumer reaches the end of a partition that ends in a committed or an aborted transaction",
  },
  {
    promise: "2.6",
    breaks: "a topic is known by its name alone",
    edits: {
      "where topic_id = $1 and kafka_partition = $2": "where topic = $1 and kafka_partition = $2",
      "[log.topicId, log.partition],": "[log.topic, log.partition],",
    },
    test: "a restarted consumer reads a topic that was created again",
  },
  {
    promise: "2.7",
    breaks: "records that were deleted unread are skipped without asking",
    edits: { 'if (policy === "earliest")': 'if (policy === "earliest" || !isCut)' },
    test: "decideOffsetReset() with fail holds the partition",
  },
  {
    promise: "2.7",
    breaks: "a fetch does not say of which leader epoch the last record was",
    edits: { "lastFetchedEpoch: lastEpoch": "lastFetchedEpoch: -1" },
    test: "a consumer holds a partition whose log an unclean election truncated",
  },
  {
    promise: "2.8",
    breaks: "a partition is read from the group's offset where that is ahead",
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
    breaks: "no partition is made before a day's rows come",
    edits: { "ports.prepare(this.#planned.plan);": "this.#planned;" },
    test: "each day has its day partition when the day changes under load",
  },
  {
    promise: "2a.1",
    breaks: "a batch waits for the partitions of all its days",
    edits: { "asked < DAYS_AT_ONCE && ": "" },
    test: "a batch with readings of a thousand days",
  },
  {
    promise: "2a.1",
    breaks: "what sits in the default partition is left there",
    edits: { "?? await dayPartitions.emptyDefault()": "" },
    test: "what another process left in the default partition is moved",
  },
  {
    promise: "2a.2",
    breaks: "the rollup moves its positions to the ledger, whatever fitted into the round",
    edits: {
      "await advancePositions(session, chains);": "await advancePositions(session, chains.map((one) => " +
        "({ ...one, lastMove: one.moves, lastOffset: one.ledgerOffset })));",
    },
    test: "rounds apply each change row once, however few fit",
  },
  {
    promise: "2a.2",
    breaks: "the rollup's positions move in a transaction behind that of the minutes",
    edits: {
      'await applyChanges(session, chains, cursor ?? "-infinity");':
        'await applyChanges(session, chains, cursor ?? "-infinity"); await session.query("commit"); await session.query("begin");',
    },
    test: "a round that fails in its last statement moves no position",
  },
  {
    promise: "2a.2",
    breaks: "a round does not look whether another is under way",
    edits: {
      "for update of rollup skip locked": "",
      "isolation level repeatable read;": "isolation level read committed;",
    },
    test: "a round does nothing while another one runs",
  },
  {
    promise: "2a.2",
    breaks: "a chain of changes is followed across what is missing in it",
    edits: { "if (reason !== undefined) return broken(reason);": "void reason;" },
    test: "the rollup rebuilds from the readings when a waiting change row is deleted",
  },
  {
    promise: "2a.2",
    breaks: "changes that the ledger does not lead to are not seen while nothing waits",
    edits: { "and not exists (${ORPHANED}) as": "as" },
    test: "the rollup rebuilds from the readings when the ledger is restored to its position",
  },
  {
    promise: "2a.2",
    breaks: "a round's minutes are committed before its positions, and before its changes are deleted",
    edits: {
      "await advancePositions(session, chains);":
        'await session.query("commit"); await session.query("begin"); await advancePositions(session, chains);',
    },
    test: "the change rows of a round are applied once although the answer",
  },
  {
    promise: "2a.2",
    breaks: "the ingest makes room for a rollup that does no rounds",
    edits: { "!isStalled && lagSeconds >": "lagSeconds >" },
    test: "the ingest gives up one connection when the rollup lags",
  },
  {
    promise: "2a.2",
    breaks: "an orderly stop does no last round",
    edits: { "if (this.#failure === undefined) await this.#attempt({ isLast: true });": "" },
    test: "a consumer applies change rows of other consumers",
  },
  {
    promise: "2a.2",
    breaks: "a partition may be dropped under a rebuild that reads it",
    edits: { "size.sliceRows ? `${KEEP_PARTITIONS};`": "size.sliceRows ? ``" },
    test: "a rebuild is correct while the ingest writes and retention drops",
  },
  {
    promise: "2a.2",
    breaks: "reconcile leaves out what waits for the rollup",
    edits: { "where $3::boolean and minute >= $1": "where not $3::boolean and minute >= $1" },
    test: "what waits for the rollup counts for reconcile and the judge",
  },
  {
    promise: "2a.3",
    breaks: "old readings are not deleted from a partition that is kept for younger ones",
    edits: { "await deleteOldRows(database, kept);": "" },
    test: "old rows are deleted and counted also where a partition is kept",
  },
  {
    promise: "2a.4",
    breaks: "a batch is written whatever the floor has become",
    edits: {
      "between $16::timestamptz and $17::timestamptz":
        "between least($16::timestamptz, '-infinity') and greatest($17::timestamptz, 'infinity')",
    },
    test: "a dropped range that was opened again takes readings",
  },
  {
    promise: "2a.5",
    breaks: "our clock alone decides what is old enough to be forgotten",
    edits: { "least(now(), $1::timestamptz)": "$1::timestamptz" },
    test: "nothing is emptied or deleted that only one clock takes for old",
  },
  {
    promise: "2a.5",
    breaks: "old minutes are deleted while a round of the rollup changes them",
    edits: { '"select from public.rollup for update"': '"select"' },
    test: "old minutes and latest readings are deleted behind a round",
  },
  {
    promise: "2a.5",
    breaks: "latest readings below the floor are kept",
    edits: { "readings, oldLatestDeletion()": "readings, () => Promise.resolve()" },
    test: "the latest reading of a customer whose readings are all too old",
  },
];
