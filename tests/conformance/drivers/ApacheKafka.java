// Apache Kafka's own client library: {servers, commands} on standard input, one result per command on standard output.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.AppInfoParser;

public class ApacheKafka {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Duration PATIENCE = Duration.ofSeconds(25);

    private final String servers;
    private final Admin admin;

    private ApacheKafka(String servers) {
        this.servers = servers;
        this.admin = Admin.create(Map.of("bootstrap.servers", servers));
    }

    public static void main(String[] args) throws Exception {
        JsonNode given = JSON.readTree(System.in);
        ApacheKafka client = new ApacheKafka(given.get("servers").asText());
        List<Map<String, Object>> results = new ArrayList<>();
        for (JsonNode command : given.get("commands")) results.add(client.run(command));
        client.admin.close();
        System.out.println(JSON.writeValueAsString(results));
        System.exit(0);
    }

    private Map<String, Object> run(JsonNode command) {
        Map<String, Object> result = new HashMap<>();
        try {
            result.put("value", execute(command));
        } catch (ExecutionException error) {
            result.put("error", String.valueOf(error.getCause()));
        } catch (Exception error) {
            result.put("error", error.toString());
        }
        return result;
    }

    private Object execute(JsonNode command) throws Exception {
        String topic = command.path("topic").asText();
        String group = command.path("group").asText();
        TopicPartition partition = new TopicPartition(topic, command.path("partition").asInt());
        switch (command.get("do").asText()) {
            case "version":
                return AppInfoParser.getVersion();
            case "create":
                NewTopic added = new NewTopic(topic, command.get("partitions").asInt(), (short) command.get("replicas").asInt());
                return done(admin.createTopics(List.of(added.configs(textsOf(command.get("configs"))))).all());
            case "delete":
                return done(admin.deleteTopics(List.of(topic)).all());
            case "addPartitions":
                return done(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(command.get("count").asInt()))).all());
            case "describeConfig":
                ConfigResource asked = new ConfigResource(ConfigResource.Type.TOPIC, topic);
                return admin.describeConfigs(List.of(asked)).all().get().get(asked).get(command.get("name").asText()).value();
            case "alterConfig":
                ConfigEntry entry = new ConfigEntry(command.get("name").asText(), command.get("value").asText());
                AlterConfigOp set = new AlterConfigOp(entry, AlterConfigOp.OpType.SET);
                ConfigResource altered = new ConfigResource(ConfigResource.Type.TOPIC, topic);
                return done(admin.incrementalAlterConfigs(Map.of(altered, List.of(set))).all());
            case "offsets":
                return admin.listOffsets(Map.of(partition, specOf(command.get("at")))).all().get().get(partition).offset();
            case "deleteRecords":
                RecordsToDelete before = RecordsToDelete.beforeOffset(command.get("before").asLong());
                return admin.deleteRecords(Map.of(partition, before)).lowWatermarks().get(partition).get().lowWatermark();
            case "brokers":
                return admin.describeCluster().nodes().get().size();
            case "listGroups":
                List<String> names = new ArrayList<>();
                admin.listConsumerGroups().all().get().forEach(listing -> names.add(listing.groupId()));
                return names;
            case "groupState":
                return admin.describeConsumerGroups(List.of(group)).all().get().get(group).state().toString();
            case "groupOffset":
                return admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(partition).offset();
            case "setGroupOffset":
                OffsetAndMetadata position = new OffsetAndMetadata(command.get("offset").asLong(), "by hand");
                return done(admin.alterConsumerGroupOffsets(group, Map.of(partition, position)).all());
            case "deleteGroup":
                return done(admin.deleteConsumerGroups(List.of(group)).all());
            case "produce":
                return produce(command, topic);
            case "consume":
                return consume(topic, command.get("partitions").asInt(), command.get("count").asInt());
            case "seek":
                return seek(partition, command.get("offset").asLong());
            case "consumeInGroup":
                return consumeInGroup(topic, group, command.get("count").asInt(), command.get("protocol").asText());
            case "members":
                return members(topic, group, command.get("protocol").asText(), command.get("static").asBoolean());
            default:
                throw new IllegalArgumentException(command.toString());
        }
    }

    private static Object done(Future<?> future) throws Exception {
        future.get(20, TimeUnit.SECONDS);
        return null;
    }

    private static Map<String, String> textsOf(JsonNode node) {
        Map<String, String> texts = new HashMap<>();
        node.fields().forEachRemaining(field -> texts.put(field.getKey(), field.getValue().asText()));
        return texts;
    }

    private static OffsetSpec specOf(JsonNode at) {
        if (at.isNumber()) return OffsetSpec.forTimestamp(at.asLong());
        return at.asText().equals("latest") ? OffsetSpec.latest() : OffsetSpec.earliest();
    }

    private Object produce(JsonNode command, String topic) throws Exception {
        Properties config = new Properties();
        config.put("bootstrap.servers", servers);
        config.put("acks", command.get("acks").asText());
        config.put("compression.type", command.get("codec").asText());
        config.put("enable.idempotence", command.get("idempotent").asText());
        config.put("linger.ms", "5");
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (JsonNode record : command.get("records")) {
                ProducerRecord<String, String> one = new ProducerRecord<>(topic, record.get("key").asText(), record.get("value").asText());
                one.headers().add("h", "x".getBytes(StandardCharsets.UTF_8));
                sent.add(producer.send(one));
            }
            producer.flush();
            for (Future<RecordMetadata> future : sent) future.get();
        }
        return null;
    }

    private KafkaConsumer<String, String> consumer(Map<String, Object> more) {
        Map<String, Object> config = new HashMap<>(more);
        config.put("bootstrap.servers", servers);
        config.put("enable.auto.commit", false);
        config.put("auto.offset.reset", "earliest");
        return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
    }

    private Object consume(String topic, int partitions, int count) {
        try (KafkaConsumer<String, String> consumer = consumer(Map.of())) {
            List<TopicPartition> assigned = new ArrayList<>();
            for (int i = 0; i < partitions; i++) assigned.add(new TopicPartition(topic, i));
            consumer.assign(assigned);
            return read(consumer, count);
        }
    }

    private Object seek(TopicPartition partition, long offset) {
        try (KafkaConsumer<String, String> consumer = consumer(Map.of())) {
            consumer.assign(List.of(partition));
            consumer.seek(partition, offset);
            return read(consumer, 1).get(0).get("offset");
        }
    }

    private Object consumeInGroup(String topic, String group, int count, String protocol) {
        try (KafkaConsumer<String, String> consumer = consumer(Map.of("group.id", group, "group.protocol", protocol))) {
            consumer.subscribe(List.of(topic));
            List<Map<String, Object>> found = read(consumer, count);
            consumer.commitSync();
            return found;
        }
    }

    private static List<Map<String, Object>> read(Consumer<String, String> consumer, int count) {
        List<Map<String, Object>> found = new ArrayList<>();
        long until = System.nanoTime() + PATIENCE.toNanos();
        while (found.size() < count && System.nanoTime() < until) {
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) found.add(shown(record));
        }
        return found;
    }

    private static Map<String, Object> shown(ConsumerRecord<String, String> record) {
        Map<String, String> headers = new HashMap<>();
        record.headers().forEach(header -> headers.put(header.key(), new String(header.value(), StandardCharsets.UTF_8)));
        return Map.of("partition", record.partition(), "offset", record.offset(), "key", record.key(),
            "value", record.value(), "headers", headers);
    }

    /** One member, then a second one, which (when it is static) is started again under its name, and leaves. */
    private Object members(String topic, String group, String protocol, boolean isStatic) {
        int partitions = 4;
        KafkaConsumer<String, String> first = member(topic, group, protocol, isStatic ? "one" : null);
        KafkaConsumer<String, String> second = null;
        try {
            Map<String, Object> seen = new HashMap<>();
            pollUntil(List.of(first), () -> first.assignment().size() == partitions);
            seen.put("alone", numbersOf(first));
            KafkaConsumer<String, String> other = member(topic, group, protocol, isStatic ? "two" : null);
            second = other;
            pollUntil(List.of(first, other), () -> first.assignment().size() == 2 && other.assignment().size() == 2);
            seen.put("together", List.of(numbersOf(first), numbersOf(other)));
            if (isStatic) {
                // A static member that closes does not leave; back within its session timeout it has what it had.
                other.close();
                KafkaConsumer<String, String> again = member(topic, group, protocol, "two");
                second = again;
                pollUntil(List.of(first, again), () -> again.assignment().size() == 2);
                seen.put("returned", List.of(numbersOf(first), numbersOf(again)));
                return seen;
            }
            other.close();
            second = null;
            pollUntil(List.of(first), () -> first.assignment().size() == partitions);
            seen.put("left", numbersOf(first));
            return seen;
        } finally {
            if (second != null) second.close();
            first.close();
        }
    }

    private KafkaConsumer<String, String> member(String topic, String group, String protocol, String instance) {
        Map<String, Object> config = new HashMap<>();
        config.put("group.id", group);
        config.put("session.timeout.ms", 10_000);
        if (protocol.equals("consumer")) {
            config.remove("session.timeout.ms");
            config.put("group.protocol", "consumer");
        } else {
            Class<?> assignor = protocol.equals("cooperative") ? CooperativeStickyAssignor.class : RangeAssignor.class;
            config.put("partition.assignment.strategy", assignor.getName());
        }
        if (instance != null) config.put("group.instance.id", instance);
        KafkaConsumer<String, String> consumer = consumer(config);
        consumer.subscribe(List.of(topic));
        return consumer;
    }

    private interface Condition {
        boolean holds();
    }

    private static void pollUntil(Collection<KafkaConsumer<String, String>> consumers, Condition condition) {
        long until = System.nanoTime() + PATIENCE.toNanos();
        while (!condition.holds()) {
            if (System.nanoTime() > until) throw new IllegalStateException("the assignment did not come: " + assignments(consumers));
            for (KafkaConsumer<String, String> consumer : consumers) consumer.poll(Duration.ofMillis(50));
        }
    }

    private static String assignments(Collection<KafkaConsumer<String, String>> consumers) {
        StringBuilder text = new StringBuilder();
        for (KafkaConsumer<String, String> consumer : consumers) text.append(consumer.assignment()).append(' ');
        return text.toString();
    }

    private static Collection<Integer> numbersOf(KafkaConsumer<String, String> consumer) {
        Collection<Integer> numbers = new TreeSet<>();
        consumer.assignment().forEach(partition -> numbers.add(partition.partition()));
        return numbers;
    }
}
