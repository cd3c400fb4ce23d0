/** What one message may hold. Kafka's protocol has no such limits; without them a few bytes could ask for much memory (KAFKA-14063). */
export const limits = {
  /** Elements of all arrays of a message together. */
  elementsMax: 200_000,
  /** As Kafka: the length of a string is 16 bits also where the encoding allows more. */
  stringBytesMax: 32_767,
  /** Tagged fields in one place. */
  tagsMax: 64,
} as const;
