/** A new owner takes over after 6 s instead of 30 s. By default, a broker allows no shorter session timeout. */
export const QUICK_TAKEOVER = { KAFKA_SESSION_TIMEOUT_MS: "6000" };
