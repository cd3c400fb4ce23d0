"""confluent-kafka: librdkafka from Python."""
import time

import confluent_kafka
from commands import run_commands
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)

patience_s = 25
partitions_of_members = 4


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

    def seek(topic, partition, offset):
        consumer = Consumer({**base, "group.id": "none", "enable.auto.commit": False})
        consumer.assign([TopicPartition(topic, partition, 0)])
        read(consumer, 1)
        consumer.seek(TopicPartition(topic, partition, offset))
        found = read(consumer, 1)
        consumer.close()
        return found[0]["offset"]

    def member(topic, group, protocol, instance):
        config = {**base, "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        if protocol == "consumer":
            config["group.protocol"] = "consumer"
        else:
            config["partition.assignment.strategy"] = "cooperative-sticky" if protocol == "cooperative" else "range"
            config["session.timeout.ms"] = 10_000
        if instance is not None:
            config["group.instance.id"] = instance
        consumer = Consumer(config)
        consumer.subscribe([topic])
        return consumer

    def numbers(consumer):
        return sorted(one.partition for one in consumer.assignment())

    def poll_until(consumers, holds):
        until = time.monotonic() + patience_s
        while not holds():
            if time.monotonic() > until:
                raise RuntimeError(f"the assignment did not come: {[numbers(one) for one in consumers]}")
            for one in consumers:
                one.poll(0.05)

    def members(topic, group, protocol, static):
        first = member(topic, group, protocol, "one" if static else None)
        poll_until([first], lambda: len(numbers(first)) == partitions_of_members)
        seen = {"alone": numbers(first)}
        second = member(topic, group, protocol, "two" if static else None)
        both = [first, second]
        poll_until(both, lambda: [len(numbers(one)) for one in both] == [2, 2])
        seen["together"] = [numbers(first), numbers(second)]
        second.close()
        if static:
            # A static member that closes does not leave; back within its session timeout it has what it had.
            second = member(topic, group, protocol, "two")
            poll_until([first, second], lambda: len(numbers(second)) == 2)
            seen["returned"] = [numbers(first), numbers(second)]
            second.close()
        else:
            poll_until([first], lambda: len(numbers(first)) == partitions_of_members)
            seen["left"] = numbers(first)
        first.close()
        return seen

    def group_offset(group, topic, partition):
        asked = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, partition)])
        return first(admin.list_consumer_group_offsets([asked])).topic_partitions[0].offset

    def set_group_offset(group, topic, partition, offset):
        wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, partition, offset)])
        first(admin.alter_consumer_group_offsets([wanted]))

    def delete_records(topic, partition, before):
        return first(admin.delete_records([TopicPartition(topic, partition, before)])).low_watermark

    def consume_in_group(topic, group, count, protocol):
        how = {"classic": {"partition.assignment.strategy": "cooperative-sticky"}, "consumer": {}}[protocol]
        consumer = Consumer({**base, "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest",
                             "group.protocol": protocol, **how})
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
        "seek": seek,
        "consumeInGroup": consume_in_group,
        "members": members,
        # By the metadata of all topics, which is a request of its own kind.
        "brokers": lambda: len(admin.list_topics(timeout=10).brokers),
        "listGroups": lambda: [one.group_id for one in admin.list_consumer_groups().result(10).valid],
        "groupState": lambda group: first(admin.describe_consumer_groups([group])).state.name,
        "groupOffset": group_offset,
        "setGroupOffset": set_group_offset,
        "deleteGroup": lambda group: first(admin.delete_consumer_groups([group])),
        "deleteRecords": delete_records,
    }


run_commands(open_client)
