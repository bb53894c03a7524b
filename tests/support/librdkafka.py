"""librdkafka as a second reader and writer: produces the lines of standard input, or prints what a topic holds, as JSON."""

import json
import sys

from confluent_kafka import Consumer, Producer, TopicPartition


def produce(servers, topic, codec):
    failures = []
    producer = Producer({"bootstrap.servers": servers, "compression.type": codec, "acks": "all"})
    for line in sys.stdin:
        one = json.loads(line)
        producer.produce(
            topic,
            partition=0,
            key=one["key"],
            value=one["value"],
            timestamp=one["timestampMs"],
            on_delivery=lambda error, _: error and failures.append(str(error)),
        )
    producer.flush(30)
    sys.exit(failures[0] if failures else 0)


def consume(servers, topic, partitions):
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "contract", "check.crcs": True})
    for partition in range(int(partitions)):
        place = TopicPartition(topic, partition, 0)
        consumer.assign([place])
        _, end = consumer.get_watermark_offsets(place, timeout=10)
        while (message := consumer.poll(10)) is not None:
            if message.error():
                sys.exit(str(message.error()))
            fields = (message.offset(), message.timestamp()[1], message.key(), message.value())
            print(json.dumps([partition, *(one.decode() if isinstance(one, bytes) else one for one in fields)]))
            if message.offset() == end - 1:
                break
    consumer.close()


{"produce": produce, "consume": consume}[sys.argv[1]](*sys.argv[2:])
