"""confluent-kafka: librdkafka from Python."""
import time

import confluent_kafka
from commands import run_commands
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)


def open_client(servers):
    base = {"bootstrap.servers": servers}
    admin = AdminClient(base)

    def first(futures):
        return list(futures.values())[0].result(10)

    def resource(topic, **more):
        return ConfigResource(ConfigResource.Type.TOPIC, topic, **more)

    def create(topic, partitions, replicas, configs):
        first(admin.create_topics([NewTopic(topic, partitions, replicas, config=configs)]))

    def alter_config(topic, name, value):
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        first(admin.incremental_alter_configs([resource(topic, incremental_configs=[entry])]))

    def offsets(topic, partition, at):
        spec = {"latest": OffsetSpec.latest(), "earliest": OffsetSpec.earliest()}.get(at)
        spec = spec if spec is not None else OffsetSpec.for_timestamp(at)
        return first(admin.list_offsets({TopicPartition(topic, partition): spec})).offset

    def produce(topic, acks, codec, idempotent, records):
        producer = Producer({**base, "acks": acks, "compression.type": codec, "enable.idempotence": idempotent,
                             "partitioner": "murmur2_random", "linger.ms": 5})
        failed = []
        for record in records:
            producer.produce(topic, key=record["key"], value=record["value"], headers={"h": b"x"},
                             on_delivery=lambda error, _: failed.append(str(error)) if error else None)
        left = producer.flush(15)
        if failed or left:
            raise RuntimeError(f"{left} left, failed: {failed[:3]}")

    def consume(topic, partitions, count):
        consumer = Consumer({**base, "group.id": "none", "enable.auto.commit": False, "auto.offset.reset": "earliest"})
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
        found = read(consumer, count)
        consumer.close()
        return found

    def consume_in_group(topic, group, count):
        consumer = Consumer({**base, "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest",
                             "partition.assignment.strategy": "cooperative-sticky"})
        consumer.subscribe([topic])
        found = read(consumer, count)
        consumer.commit(asynchronous=False)
        consumer.close()
        return found

    def read(consumer, count):
        found = []
        until = time.monotonic() + 15
        while len(found) < count and time.monotonic() < until:
            for message in consumer.consume(500, 0.2):
                if message.error():
                    raise RuntimeError(str(message.error()))
                headers = {name: value.decode() for name, value in message.headers() or []}
                found.append({"partition": message.partition(), "offset": message.offset(), "headers": headers,
                              "key": message.key().decode(), "value": message.value().decode()})
        return found

    return {
        "version": lambda: f"{confluent_kafka.version()[0] if isinstance(confluent_kafka.version(), tuple) else confluent_kafka.version()} (librdkafka {confluent_kafka.libversion()[0]})",
        "create": create,
        "delete": lambda topic: first(admin.delete_topics([topic])),
        "addPartitions": lambda topic, count: first(admin.create_partitions([NewPartitions(topic, count)])),
        "describeConfig": lambda topic, name: first(admin.describe_configs([resource(topic)]))[name].value,
        "alterConfig": alter_config,
        "offsets": offsets,
        "produce": produce,
        "consume": consume,
        "consumeInGroup": consume_in_group,
    }


run_commands(open_client)
