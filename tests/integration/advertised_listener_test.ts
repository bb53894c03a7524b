import { freePort } from "../../stack/network/ports.ts";
import { startStack } from "../../stack/mod.ts";
import { SharedServers } from "../support/services.ts";

const port = await freePort();

const servers = new SharedServers((home) =>
  startStack({
    home,
    kafkaConfig: {
      "listeners": `ELSEWHERE://127.0.0.1:${port}`,
      "advertised.listeners": "ELSEWHERE://kafka.invalid:9092",
      "listener.security.protocol.map": "ELSEWHERE:PLAINTEXT",
    },
  })
);

Deno.test(
  "readiness names advertised.listeners when a consumer cannot reach the address that a broker reported",
  servers.onPlace({}, async (place) => {
    const consumer = place.consumer({ env: { KAFKA_BOOTSTRAP_SERVERS: `127.0.0.1:${port}` } });
    await consumer.untilNotReady(
      new RegExp(`advertised.listeners: 127.0.0.1:${port} reported kafka.invalid:9092 as a broker's address`),
    );
  }),
);
