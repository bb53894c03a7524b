import { deepStrictEqual, throws } from "node:assert";
import { kafkaConnection } from "../../../../workers/_shared/kafka/client.ts";

const brokersOf = (servers: string) =>
  kafkaConnection("test", "test", { KAFKA_BOOTSTRAP_SERVERS: servers }, () => "").options.bootstrapBrokers;

Deno.test("kafkaConnection() accepts names, IPv4 and IPv6 addresses, and blanks around a comma", () => {
  deepStrictEqual(brokersOf("[::1]:9092"), [{ host: "::1", port: 9092 }]);
  deepStrictEqual(brokersOf("a.b-c:1, 10.0.0.1:65535 ,[2001:db8::7]:9093"), [
    { host: "a.b-c", port: 1 },
    { host: "10.0.0.1", port: 65535 },
    { host: "2001:db8::7", port: 9093 },
  ]);
});

for (
  const wrong of [
    "::1:9092",
    "[::1]",
    "[::1:9092",
    "a:1,",
    "a:1 b:2",
    "a",
    ":9092",
  ]
) {
  Deno.test(`kafkaConnection() refuses KAFKA_BOOTSTRAP_SERVERS=${wrong}`, () => {
    throws(() => brokersOf(wrong), /KAFKA_BOOTSTRAP_SERVERS: is/);
  });
}

Deno.test("kafkaConnection() refuses a port outside 1 to 65535 for any of its servers", () => {
  for (const port of ["0", "65536", "99999"]) {
    const servers = `one:9092,two:${port}`;
    const problem = `KAFKA_BOOTSTRAP_SERVERS: is "${servers}", expected ports from 1 to 65535`;
    throws(() => brokersOf(servers), { name: "UsageError", problems: [problem] });
  }
});

Deno.test("kafkaConnection() refuses a CA certificate without TLS, because the connection would not be encrypted", () => {
  const problem = "KAFKA_SSL_CA_FILE: is set, expected only with KAFKA_SECURITY_PROTOCOL SSL or SASL_SSL";
  throws(() => kafkaConnection("test", "test", { KAFKA_SSL_CA_FILE: "/ca" }, () => ""), {
    name: "UsageError",
    problems: [problem],
  });
});
