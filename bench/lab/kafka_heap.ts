/** What Kafka's own start script gives a broker. With less it stands still several times a second, whoever reads from it. */
export const KAFKA_HEAP_MB = 1_024;
