"""Reads heart-rate records from Kafka and stores them in PostgreSQL by binary COPY, at least once.

It is tuned, but it has no validation, no deduplication and no ledger. python.ts sets its environment variables.
"""

import os
import signal
import sys
import threading
from datetime import datetime

import orjson
import psycopg
from confluent_kafka import Consumer, KafkaException
from psycopg import sql

FIRST_RECORD_SECONDS = 0.5


class Writer(threading.Thread):
    """A member of the group with its own connection, so that PostgreSQL uses a core for each writer."""

    def __init__(self, settings, stopping):
        super().__init__()
        self.failure = None
        self._stopping = stopping
        self._linger_seconds = int(settings["PEER_LINGER_MS"]) / 1000
        self._most_records = int(settings["PEER_BATCH_RECORDS"])
        self._database_url = settings["PEER_DATABASE_URL"]
        self._copy = sql.SQL("copy {} (customer_id, ts, heart_rate) from stdin (format binary)").format(
            sql.Identifier(settings["PEER_TABLE"])
        )
        self._topic = settings["PEER_TOPIC"]
        self._written = []
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings["PEER_BOOTSTRAP_SERVERS"],
                "group.id": settings["PEER_GROUP"],
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "partition.assignment.strategy": "cooperative-sticky",
                "socket.nagle.disable": True,
                # 16 MB are enough for the next batches. The default is 64 MB for each consumer.
                "queued.max.messages.kbytes": 16 * 1024,
            }
        )

    def run(self):
        try:
            # A COPY without BEGIN and COMMIT is a transaction too, and saves round trips.
            with psycopg.connect(self._database_url, autocommit=True) as connection:
                self._consumer.subscribe([self._topic], on_revoke=self._commit_written, on_lost=lambda *_: None)
                while not self._stopping.is_set():
                    messages = self._next_batch()
                    if messages:
                        self._write(connection, messages)
        except Exception as error:
            self.failure = error
        finally:
            self._stopping.set()
            self._consumer.close()

    def _next_batch(self):
        """Waits for one record, then takes all records that arrive within the linger time."""
        messages = self._consumer.consume(1, FIRST_RECORD_SECONDS)
        if messages:
            messages += self._consumer.consume(self._most_records - 1, self._linger_seconds)
        return messages

    def _write(self, connection, messages):
        loads, instant = orjson.loads, datetime.fromisoformat
        with connection.cursor() as cursor, cursor.copy(self._copy) as copy:
            copy.set_types(("text", "timestamptz", "int2"))
            write_row = copy.write_row
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
                reading = loads(message.value())
                write_row((str(reading["customer_id"]), instant(reading["timestamp"]), reading["heart_rate"]))
        # All records that the client returned are written now, so its position is the position of the written records.
        position = self._consumer.position(self._consumer.assignment())
        self._written = [partition for partition in position if partition.offset >= 0]
        self._consumer.commit(offsets=self._written, asynchronous=True)

    def _commit_written(self, consumer, partitions):
        """Commits the offsets of revoked partitions before another member reads them. A close revokes all partitions."""
        revoked = {partition.partition for partition in partitions}
        offsets = [partition for partition in self._written if partition.partition in revoked]
        self._written = [partition for partition in self._written if partition.partition not in revoked]
        if offsets:
            consumer.commit(offsets=offsets, asynchronous=False)


def main():
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    writers = [Writer(os.environ, stopping) for _ in range(int(os.environ["PEER_WRITERS"]))]
    for writer in writers:
        writer.start()
    stopping.wait()
    for writer in writers:
        writer.join()
    failures = [writer.failure for writer in writers if writer.failure is not None]
    for failure in failures:
        print(f"Cannot go on: {type(failure).__name__}: {failure}", file=sys.stderr)
    return 1 if failures else 0


sys.exit(main())
