import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Apache Kafka's own producer and consumer, led by lines. In: "P producer" opens one, "S producer send partition value" sends, "R reader" reads everything for ever.
 * Out: "A send offset" acknowledged, "F send error" failed for certain, "U send error" nobody knows, "R reader partition offset base64". Ends with its standard input.
 */
public final class JavaTraffic {
  private static final Map<String, KafkaProducer<String, String>> producers = new HashMap<>();
  private static Properties common;
  private static String topic;
  private static int partitions;

  public static void main(String[] args) throws Exception {
    common = new Properties();
    common.put("bootstrap.servers", args[0]);
    common.put("reconnect.backoff.max.ms", "200");
    common.put("socket.connection.setup.timeout.ms", "1000");
    common.put("metadata.max.age.ms", "5000");
    topic = args[1];
    partitions = Integer.parseInt(args[2]);
    String acks = args[3];
    String idempotence = args[4];
    String compression = args[5];
    String deliveryTimeoutMs = args[6];
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      String[] words = line.split(" ", 5);
      switch (words[0]) {
        case "P" -> producers.put(words[1], open(acks, idempotence, compression, deliveryTimeoutMs));
        case "S" -> send(words);
        case "R" -> read(words[1]);
        default -> throw new IllegalArgumentException(line);
      }
    }
    System.exit(0);
  }

  private static KafkaProducer<String, String> open(
      String acks, String idempotence, String compression, String deliveryTimeoutMs) {
    Properties config = (Properties) common.clone();
    config.put("acks", acks);
    config.put("enable.idempotence", idempotence);
    config.put("compression.type", compression);
    config.put("linger.ms", "2");
    config.put("request.timeout.ms", "2000");
    config.put("retry.backoff.max.ms", "200");
    config.put("delivery.timeout.ms", deliveryTimeoutMs);
    return new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
  }

  private static void send(String[] words) {
    String number = words[2];
    ProducerRecord<String, String> record =
        new ProducerRecord<>(topic, Integer.valueOf(words[3]), null, words[4]);
    producers.get(words[1]).send(record, (metadata, error) -> {
      if (error == null) say("A " + number + " " + metadata.offset());
      else say((isDefinite(error) ? "F " : "U ") + number + " " + error);
    });
  }

  /** A time limit that ran out says nothing of what the attempts before it did. */
  private static boolean isDefinite(Exception error) {
    return error instanceof RecordTooLargeException || error instanceof InvalidConfigurationException;
  }

  private static void read(String reader) {
    Thread thread = new Thread(() -> {
      Properties config = (Properties) common.clone();
      config.put("auto.offset.reset", "earliest");
      config.put("enable.auto.commit", "false");
      config.put("fetch.max.wait.ms", "200");
      config.put("request.timeout.ms", "2000");
      try (KafkaConsumer<byte[], byte[]> consumer =
          new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
        List<TopicPartition> all = new ArrayList<>();
        for (int partition = 0; partition < partitions; partition++) all.add(new TopicPartition(topic, partition));
        consumer.assign(all);
        consumer.seekToBeginning(all);
        for (;;) {
          for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(300))) {
            String value = Base64.getEncoder().encodeToString(record.value());
            say("R " + reader + " " + record.partition() + " " + record.offset() + " " + value);
          }
        }
      }
    });
    thread.setDaemon(true);
    thread.start();
  }

  private static void say(String line) {
    System.out.println(line);
  }
}
