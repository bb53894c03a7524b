import { match, strictEqual } from "node:assert";
import { createPrivateKey } from "node:crypto";
import { join } from "node:path";
import { setScramPassword } from "../../stack/kafka/kafka_tools.ts";
import { judge, reading } from "../support/judge.ts";
import type { Place } from "../../lab/place.ts";
import { SASL_PASSWORD, SASL_USER, secure } from "../support/secure_services.ts";
import { assertNoSecrets } from "../support/secret_forms.ts";
import { WorkerProcess } from "../../lab/worker_process.ts";
import { assertRefuses, environment, type Refusal } from "./refusal.ts";

const WRONG = "c4nary-Kafka+password";

async function saslSettings(): Promise<Record<string, string>> {
  const { listeners: kafka, files } = await secure.started();
  return {
    KAFKA_BOOTSTRAP_SERVERS: kafka.SASL,
    KAFKA_SECURITY_PROTOCOL: "SASL_SSL",
    KAFKA_SASL_USERNAME: SASL_USER,
    KAFKA_SASL_PASSWORD: SASL_PASSWORD,
    KAFKA_SSL_CA_FILE: files.authority,
  };
}

function readings(customer: string) {
  return Array.from({ length: 50 }, (_, index) => {
    return reading(customer, new Date(Date.UTC(2026, 6, 14) + index * 1000).toISOString(), 60 + index);
  });
}

async function doAllWork(place: Place, env: Readonly<Record<string, string>>): Promise<void> {
  const sent = await place.publisher.send(readings(crypto.randomUUID()));
  await place.consumeAll({ env });
  strictEqual(await rows(place), sent.length);
  await judge(place, sent);
  const settings = environment(place, env);
  await using producer = WorkerProcess.start("producer", {
    env: settings,
    args: ["--count", "40", "--rate", "1000"],
  });
  strictEqual(await producer.exitCode(), 0, producer.tail());
  const consumer = place.consumer({ env });
  const scenarios = await place.run("scenarios", ["--timeout", "60s"], settings);
  strictEqual(scenarios.code, 0, scenarios.output);
  await place.untilCaughtUp();
  strictEqual(await consumer.stop(), 0);
  match(producer.output, /acknowledged +40\n/);
  const reconciled = await place.run("reconcile", [], settings);
  strictEqual(reconciled.code, 0, reconciled.output);
  match(reconciled.output, /ACCOUNTED FOR/);
  const secrets = [settings.KAFKA_SASL_PASSWORD, settings.KAFKA_SSL_KEY_PASSWORD].filter((one) =>
    one !== undefined
  );
  for (const output of [consumer.output, producer.output, scenarios.output, reconciled.output]) {
    assertNoSecrets(output, secrets);
  }
}

async function rows(place: Place): Promise<number> {
  const [row] = await place.sql<{ count: string }>("select count(*) as count from public.heartbeats");
  return Number(row?.count);
}

for (const mechanism of ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]) {
  Deno.test(
    `every worker does its work over SASL_SSL with ${mechanism}`,
    secure.onPlace({}, async (place) => {
      const user = mechanism === "PLAIN"
        ? { KAFKA_SASL_USERNAME: "plain", KAFKA_SASL_PASSWORD: "plain-password-1" }
        : {};
      await doAllWork(place, { ...await saslSettings(), KAFKA_SASL_MECHANISM: mechanism, ...user });
    }),
  );
}

Deno.test(
  "every worker does its work with mutual TLS, an encrypted key and the key's password in a file",
  secure.onPlace({}, async (place) => {
    const stack = await secure.started();
    const { listeners: kafka, files } = stack;
    const keyPassword = "k3y pass/word";
    const key = createPrivateKey(await Deno.readTextFile(files.key));
    const keyFile = join(stack.home, "encrypted.key");
    const options = { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: keyPassword } as const;
    await Deno.writeTextFile(keyFile, key.export(options).toString());
    const passwordFile = join(stack.home, "key.password");
    await Deno.writeTextFile(passwordFile, `${keyPassword}\n`);
    await doAllWork(place, {
      KAFKA_BOOTSTRAP_SERVERS: kafka.MUTUAL,
      KAFKA_SECURITY_PROTOCOL: "SSL",
      KAFKA_SSL_CA_FILE: files.authority,
      KAFKA_SSL_CERT_FILE: files.certificate,
      KAFKA_SSL_KEY_FILE: keyFile,
      KAFKA_SSL_KEY_PASSWORD_FILE: passwordFile,
    });
  }),
);

const LOGIN = /check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM/;
const AUTHORITY =
  /check that KAFKA_SSL_CA_FILE has the authority of the broker's certificate, and that neither has expired/;
const CLOSED =
  /Connection closed; check that a broker runs there .* KAFKA_SECURITY_PROTOCOL and KAFKA_SSL_CERT_FILE/;

type Wrong = Record<string, { env: Record<string, string>; says: RegExp }>;

async function wrongSettings(): Promise<Wrong> {
  const stack = await secure.started();
  const { listeners: kafka, files } = stack;
  const sasl = await saslSettings();
  const tls = { KAFKA_SECURITY_PROTOCOL: "SSL", KAFKA_SSL_CA_FILE: files.authority };
  const mutual = { ...tls, KAFKA_BOOTSTRAP_SERVERS: kafka.MUTUAL };
  return {
    "a wrong password": { env: { ...sasl, KAFKA_SASL_PASSWORD: WRONG }, says: LOGIN },
    "an unknown user": { env: { ...sasl, KAFKA_SASL_USERNAME: "nobody" }, says: LOGIN },
    "another mechanism": { env: { ...sasl, KAFKA_SASL_MECHANISM: "PLAIN" }, says: LOGIN },
    "an untrusted certificate": { env: { ...sasl, KAFKA_SSL_CA_FILE: files.stranger }, says: AUTHORITY },
    "an unknown authority": { env: { ...sasl, KAFKA_SSL_CA_FILE: "" }, says: AUTHORITY },
    "an expired certificate": { env: { ...tls, KAFKA_BOOTSTRAP_SERVERS: kafka.EXPIRED }, says: AUTHORITY },
    "a certificate for another host": {
      env: { ...tls, KAFKA_BOOTSTRAP_SERVERS: kafka.ELSEWHERE },
      says: /altnames.*its certificate is for another name: correct the host in KAFKA_BOOTSTRAP_SERVERS/,
    },
    "plaintext on a TLS port": {
      env: { KAFKA_BOOTSTRAP_SERVERS: kafka.SASL },
      says: /requires TLS; set KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL/,
    },
    "TLS on a plaintext port": {
      env: { ...tls, KAFKA_BOOTSTRAP_SERVERS: stack.kafkaBootstrapServers },
      says: /if a broker runs there, that port has no TLS: check KAFKA_SECURITY_PROTOCOL/,
    },
    "no login on a SASL listener": { env: { KAFKA_BOOTSTRAP_SERVERS: kafka.CLEAR }, says: CLOSED },
    "a login on a listener without SASL": {
      env: { ...sasl, KAFKA_BOOTSTRAP_SERVERS: kafka.MUTUAL, ...certificate(files.certificate, files.key) },
      says: /that listener takes another KAFKA_SASL_MECHANISM, or no SASL at all/,
    },
    "no client certificate": { env: mutual, says: CLOSED },
    "a client certificate of a stranger": {
      env: { ...mutual, ...certificate(files.strangersCertificate, files.strangersKey) },
      says: CLOSED,
    },
  };
}

function certificate(certificate: string, key: string) {
  return { KAFKA_SSL_CERT_FILE: certificate, KAFKA_SSL_KEY_FILE: key };
}

Deno.test(
  "with wrong settings for Kafka, every worker names the next step, shows no secret and writes nothing",
  secure.onPlace({}, async (place, t) => {
    await place.consumeAll();
    for (const [what, { env, says }] of Object.entries(await wrongSettings())) {
      await t.step(what, async () => {
        const refusal: Refusal = { says, secrets: [WRONG, SASL_PASSWORD] };
        await assertRefuses(place, ["consumer", "producer", "reconcile", "scenarios"], env, refusal);
      });
    }
  }),
);

Deno.test(
  "a consumer is not ready while Kafka refuses its changed password, and continues once the password is right",
  secure.onPlace({}, async (place) => {
    const stack = await secure.started();
    const consumer = place.consumer({ env: await saslSettings() });
    const sent = await place.publisher.send(readings("before"));
    await place.untilCaughtUp();
    try {
      await setScramPassword(stack.kafkaBootstrapServers, SASL_USER, "another");
      // A client stays logged in until its connection ends. After its restart, the broker asks all clients again.
      await stack.kafka.stop();
      await stack.kafka.start();
      await consumer.untilNotReady(LOGIN);
      sent.push(...await place.publisher.send(readings("meanwhile")));
      strictEqual((await consumer.get("/livez")).status, 200);
      await consumer.untilLogged("kafka.failed", ({ message }) => LOGIN.test(message));
      const failures = consumer.events("kafka.failed").filter(({ message }) => LOGIN.test(message));
      strictEqual(failures.length, 1, "the failure must be logged once, not at each attempt");
    } finally {
      await setScramPassword(stack.kafkaBootstrapServers, SASL_USER, SASL_PASSWORD);
    }
    await place.untilCaughtUp();
    await consumer.untilReady();
    await judge(place, sent);
    assertNoSecrets(consumer.output, [SASL_PASSWORD]);
  }),
);
