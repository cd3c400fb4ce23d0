"""kafka-python: a client that shares no code with the others."""
import time
from concurrent.futures import ThreadPoolExecutor

import kafka
from commands import run_commands
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.structs import OffsetAndMetadata

patience_s = 25
partitions_of_members = 4
assignors = {"eager": RangePartitionAssignor, "cooperative": CooperativeStickyAssignor}


def open_client(servers):
    base = {"bootstrap_servers": servers.split(",")}
    admin = KafkaAdminClient(**base)

    def create(topic, partitions, replicas, configs):
        admin.create_topics([NewTopic(topic, partitions, replicas, topic_configs=configs)])

    def alter_config(topic, name, value):
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={name: value})])

    def describe_config(topic, name):
        found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        text = str(found)
        index = text.index(f"'{name}'")
        return text[index:index + 200]

    def consumer():
        return KafkaConsumer(**base, enable_auto_commit=False, auto_offset_reset="earliest", consumer_timeout_ms=8000)

    def offsets(topic, partition, at):
        one = TopicPartition(topic, partition)
        asking = consumer()
        try:
            if at == "latest":
                return asking.end_offsets([one])[one]
            if at == "earliest":
                return asking.beginning_offsets([one])[one]
            found = asking.offsets_for_times({one: at})[one]
            return -1 if found is None else found.offset
        finally:
            asking.close()

    def produce(topic, acks, codec, idempotent, records):
        producer = KafkaProducer(**base, acks="all" if acks == -1 else acks, linger_ms=5,
                                 compression_type=None if codec == "none" else codec, enable_idempotence=idempotent)
        sent = [producer.send(topic, key=record["key"].encode(), value=record["value"].encode(), headers=[("h", b"x")])
                for record in records]
        producer.flush(15)
        for future in sent:
            future.get(5)
        producer.close()

    def consume(topic, partitions, count):
        reading = consumer()
        reading.assign([TopicPartition(topic, partition) for partition in range(partitions)])
        found = read(reading, count)
        reading.close()
        return found

    def seek(topic, partition, offset):
        reading = consumer()
        one = TopicPartition(topic, partition)
        reading.assign([one])
        reading.seek(one, offset)
        found = read(reading, 1)
        reading.close()
        return found[0]["offset"]

    def member(topic, group, protocol, instance):
        config = {**base, "group_id": group, "group_instance_id": instance, "enable_auto_commit": False}
        if protocol == "consumer":
            config["group_protocol"] = "consumer"
        else:
            config.update(session_timeout_ms=10_000, partition_assignment_strategy=[assignors[protocol]])
        return KafkaConsumer(topic, **config)

    def numbers(reading):
        return sorted(one.partition for one in reading.assignment())

    def poll_until(readers, holds):
        until = time.monotonic() + patience_s
        while not holds():
            if time.monotonic() > until:
                raise RuntimeError(f"the assignment did not come: {[numbers(one) for one in readers]}")
            # Each by itself and for long: a poll that ends before the answer to SyncGroup is there begins the join anew.
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda one: one.poll(1000), readers))

    def members(topic, group, protocol, static):
        if protocol == "consumer" and "group_protocol" not in KafkaConsumer.DEFAULT_CONFIG:
            return {"unsupported": "it does not know the new protocol"}
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
        return admin.list_group_offsets(group)[group][TopicPartition(topic, partition)].offset

    def set_group_offset(group, topic, partition, offset):
        admin.alter_group_offsets(group, {TopicPartition(topic, partition): OffsetAndMetadata(offset, "by hand", -1)})

    def delete_records(topic, partition, before):
        one = TopicPartition(topic, partition)
        return admin.delete_records({one: before})[one]["low_watermark"]

    def consume_in_group(topic, group, count, protocol):
        if protocol != "classic":
            return {"unsupported": "it has the classic protocol only"}
        reading = KafkaConsumer(topic, **base, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest",
                                consumer_timeout_ms=15000)
        found = read(reading, count)
        reading.commit()
        reading.close()
        return found

    def read(reading, count):
        found = []
        for message in reading:
            found.append({"partition": message.partition, "offset": message.offset, "key": message.key.decode(),
                          "value": message.value.decode(),
                          "headers": {name: value.decode() for name, value in message.headers}})
            if len(found) >= count:
                break
        return found

    def add_partitions(topic, count):
        admin.create_partitions({topic: NewPartitions(count)})

    def delete(topic):
        admin.delete_topics([topic])

    return {
        "version": lambda: kafka.__version__,
        "create": create,
        "delete": delete,
        "addPartitions": add_partitions,
        "describeConfig": describe_config,
        "alterConfig": alter_config,
        "offsets": offsets,
        "produce": produce,
        "consume": consume,
        "seek": seek,
        "consumeInGroup": consume_in_group,
        "members": members,
        "brokers": lambda: len(admin.describe_cluster()["brokers"]),
        "listGroups": lambda: [one["group_id"] for one in admin.list_groups()],
        "groupState": lambda group: admin.describe_groups([group])[group]["group_state"],
        "groupOffset": group_offset,
        "setGroupOffset": set_group_offset,
        "deleteGroup": lambda group: str(admin.delete_groups([group])),
        "deleteRecords": delete_records,
    }


run_commands(open_client)
