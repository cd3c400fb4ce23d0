"""kafka-python: a client that shares no code with the others."""
import kafka
from commands import run_commands
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic


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

    def consume_in_group(topic, group, count):
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
        "consumeInGroup": consume_in_group,
    }


run_commands(open_client)
