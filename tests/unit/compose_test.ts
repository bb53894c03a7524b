import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert";
import { existsSync } from "node:fs";
import { INITDB_LOCALE } from "../../stack/postgres/postgres.ts";
import { settingInfo } from "../../workers/_shared/env.ts";
import { CONSUMER_SETTINGS } from "../../workers/consumer/config.ts";
import { compose, dockerfile, ROOT, service, services, source, text } from "../support/compose.ts";

const BUILT_IMAGE = /^heartbeat-(consumer|producer|monitor):local$/;

/** Services that run once and then exit. */
const ONE_SHOTS = ["owner", "migrate"];

Deno.test("compose keeps the names of its services and containers", () => {
  deepStrictEqual(Object.fromEntries(services.map(([name, { container_name }]) => [name, container_name])), {
    "kafka": "kafka",
    "postgres": "postgres",
    "owner": "heartbeat-owner",
    "migrate": "heartbeat-migrate",
    "heartbeat-producer": "heartbeat-producer",
    "heartbeat-consumer": "heartbeat-consumer",
    "heartbeat-consumer-extra": undefined,
    "heartbeat-monitor": "heartbeat-monitor",
    "kafka-ui": "kafka-ui",
    "grafana": "grafana",
    "prometheus": "prometheus",
  });
  const withProfiles = services.flatMap(([name, { profiles }]) =>
    profiles === undefined ? [] : [[name, profiles]]
  );
  deepStrictEqual(withProfiles, [["prometheus", ["metrics"]]]);
});

Deno.test("compose takes the number of consumers from .env, so up and down reach all of them without options", () => {
  const replicas = services.flatMap(([name, { deploy }]) => deploy === undefined ? [] : [[name, deploy]]);
  deepStrictEqual(replicas, [["heartbeat-consumer-extra", { replicas: "${EXTRA_CONSUMERS:-0}" }]]);
});

Deno.test("compose pins every image that it does not build to a full version", () => {
  for (const [name, { image }] of services) {
    if (!BUILT_IMAGE.test(image)) match(image, /^[a-z0-9./-]+:v?\d+\.\d+(\.\d+)?$/, name);
  }
  for (const [, image] of dockerfile.matchAll(/^FROM (?:--platform=\S+ )?(\S+)/gm)) {
    const stage = new RegExp(`^FROM .* AS ${image}$`, "m").test(dockerfile);
    ok(stage || /:\d+\.\d+(\.\d+)?(-slim)?$/.test(image ?? ""), `${image} in the Dockerfile is not pinned`);
  }
});

Deno.test("compose builds each image in one service only, because two builds of the same image could conflict", () => {
  const built = services.flatMap(([, { image, build }]) => build === undefined ? [] : [image]);
  deepStrictEqual(built.sort(), [
    "heartbeat-consumer:local",
    "heartbeat-monitor:local",
    "heartbeat-producer:local",
  ]);
});

Deno.test("compose initialises PostgreSQL with the same locale as the stack that the tests use", () => {
  strictEqual(service("postgres").environment?.["POSTGRES_INITDB_ARGS"], INITDB_LOCALE.join(" "));
});

Deno.test("compose limits memory without swap, rotates logs and restarts every service", () => {
  for (const [name, { mem_limit, memswap_limit, logging, restart }] of services) {
    match(mem_limit ?? "", /^\d+[mg]$/, name);
    strictEqual(memswap_limit, mem_limit, `${name}: otherwise Docker adds the same amount of swap`);
    deepStrictEqual(Object.keys(logging?.options ?? {}).sort(), ["max-file", "max-size"], name);
    strictEqual(restart, ONE_SHOTS.includes(name) ? "on-failure:5" : "unless-stopped", name);
  }
});

Deno.test("compose publishes ports only on loopback, and .env can change them", () => {
  const published = services.flatMap(([name, { ports = [] }]) => ports.map((port) => `${name} ${port}`));
  deepStrictEqual(published, [
    "kafka 127.0.0.1:${KAFKA_PORT:-9092}:9092",
    "postgres 127.0.0.1:${POSTGRES_PORT:-5432}:5432",
    "heartbeat-monitor 127.0.0.1:${MONITOR_PORT:-8787}:8787",
    "kafka-ui 127.0.0.1:${KAFKA_UI_PORT:-8080}:8080",
    "grafana 127.0.0.1:${GRAFANA_PORT:-3000}:3000",
    "prometheus 127.0.0.1:${PROMETHEUS_PORT:-9090}:9090",
  ]);
});

Deno.test("compose runs the built images read-only and without capabilities", () => {
  const built = services.filter(([, { image }]) => BUILT_IMAGE.test(image));
  strictEqual(built.length, 5);
  for (const [name, { read_only, cap_drop, security_opt }] of built) {
    strictEqual(read_only, true, name);
    deepStrictEqual(cap_drop, ["ALL"], name);
    deepStrictEqual(security_opt, ["no-new-privileges:true"], name);
  }
  for (const [name, { build }] of services) {
    if (build !== undefined) match(dockerfile, new RegExp(`^FROM runtime AS ${build.target}$`, "m"), name);
  }
  match(dockerfile, /^FROM .* AS runtime(\n(?!FROM).*)*\nUSER [1-9]\d*:[1-9]\d*$/m);
  const entrypoints = [...dockerfile.matchAll(/^ENTRYPOINT (.*)$/gm)].map(([, command]) => command);
  deepStrictEqual(entrypoints, [
    '["/usr/local/bin/heartbeat-producer"]',
    '["/usr/local/bin/heartbeat-monitor"]',
    '["/usr/local/bin/heartbeat-consumer"]',
  ]);
});

Deno.test("the health check of each container asks its service, not only its port", () => {
  const checks = Object.fromEntries(
    services.map(([name, { healthcheck }]) => [name, healthcheck?.test.join(" ") ?? ""]),
  );
  const own = (program: string) => new RegExp(`^CMD /usr/local/bin/${program} health-check readyz$`);
  const expected: Readonly<Record<string, RegExp>> = {
    "kafka": /kafka-broker-api-versions\.sh --bootstrap-server kafka:19092/,
    "postgres": /psql -h 127\.0\.0\.1 .*select 1/,
    "heartbeat-consumer": own("heartbeat-consumer"),
    "heartbeat-producer": own("heartbeat-producer"),
    "heartbeat-monitor": own("heartbeat-monitor"),
    "kafka-ui": /\/actuator\/health/,
    "grafana": /\/api\/health/,
    "prometheus": /\/-\/ready/,
  };
  for (const [name, check] of Object.entries(expected)) match(checks[name] ?? "", check);
  for (const name of ONE_SHOTS) {
    strictEqual(checks[name], "", `${name}: other services wait for its exit code`);
  }
});

Deno.test("compose starts a service after its dependencies are healthy and the schema exists", () => {
  const consumer = {
    kafka: { condition: "service_healthy" },
    postgres: { condition: "service_healthy" },
    migrate: { condition: "service_completed_successfully" },
  };
  deepStrictEqual(service("migrate").depends_on, {
    postgres: { condition: "service_healthy" },
    owner: { condition: "service_completed_successfully" },
  });
  deepStrictEqual(service("heartbeat-consumer").depends_on, consumer);
  deepStrictEqual(service("heartbeat-consumer-extra").depends_on, consumer);
  for (const [name, { depends_on = {} }] of services) {
    for (const [other, { condition }] of Object.entries(depends_on)) {
      const expected = service(other).healthcheck ? "service_healthy" : "service_completed_successfully";
      strictEqual(condition, expected, `${name} on ${other}`);
    }
  }
});

Deno.test("compose keeps data in named volumes at the paths of the images, and mounts only existing files", () => {
  const mounts = services.flatMap(([name, { volumes = [] }]) =>
    volumes.map((volume) => [name, volume] as const)
  );
  const named = mounts.filter(([, volume]) => !volume.startsWith("."));
  deepStrictEqual(named, [
    ["kafka", "kafka-data:/var/lib/kafka/data"],
    ["postgres", "postgres-data:/var/lib/postgresql"],
    ["grafana", "grafana-data:/var/lib/grafana"],
    ["prometheus", "prometheus-data:/prometheus"],
  ]);
  deepStrictEqual(
    Object.keys(compose.volumes).sort(),
    named.map(([, volume]) => volume.split(":")[0]).sort(),
  );
  strictEqual(service("kafka").environment?.["KAFKA_LOG_DIRS"], "/var/lib/kafka/data");
  for (const [name, volume] of mounts.filter(([, volume]) => volume.startsWith("."))) {
    const [path = "", , mode] = volume.split(":");
    ok(existsSync(new URL(path, ROOT)), `${name} mounts ${path}, which does not exist`);
    strictEqual(mode, "ro", `${name} ${path}`);
  }
});

Deno.test("Kafka advertises one address for containers and one for the host", () => {
  const { environment = {} } = service("kafka");
  strictEqual(
    environment["KAFKA_ADVERTISED_LISTENERS"],
    "INSIDE://kafka:19092,LOOPBACK://127.0.0.1:${KAFKA_PORT:-9092}",
  );
  deepStrictEqual(service("kafka").ports, ["127.0.0.1:${KAFKA_PORT:-9092}:9092"]);
  strictEqual(service("heartbeat-producer").environment?.["KAFKA_BOOTSTRAP_SERVERS"], "kafka:19092");
});

Deno.test("the monitor reads as heartbeat_reader, and trusts only the gateway, from which a published port is reached", () => {
  const { environment = {} } = service("heartbeat-monitor");
  match(
    String(environment["DATABASE_URL"]),
    /^postgres:\/\/heartbeat_reader:.*@postgres:5432\/heartbeat_db$/,
  );
  strictEqual(environment["MONITOR_TRUSTED_PROXIES"], "${MONITOR_TRUSTED_PROXIES:-172.30.87.1}");
  // Docker gives the first address of the subnet to the gateway.
  deepStrictEqual(compose.networks["default"]?.ipam.config, [{
    subnet: "${HEARTBEAT_SUBNET:-172.30.87.0/24}",
  }]);
  strictEqual(environment["MONITOR_ORIGIN"], "${MONITOR_ORIGIN:-http://127.0.0.1:${MONITOR_PORT:-8787}}");
  deepStrictEqual(environment["MONITOR_PORT"], service("heartbeat-monitor").ports?.[0]?.split(":").at(-1));
  match(dockerfile, /^FROM runtime AS monitor(\n(?!FROM).*)*\nENV MONITOR_HOST=0\.0\.0\.0$/m);
  match(dockerfile, new RegExp(`^EXPOSE ${environment["MONITOR_PORT"]}$`, "m"));
});

Deno.test("Kafka and the workers run under an init process, because process 1 would ignore SIGTERM during the start", () => {
  for (const [name, { image, init }] of services) {
    if (name === "kafka" || BUILT_IMAGE.test(image)) strictEqual(init, true, name);
  }
});

Deno.test("Kafka and PostgreSQL have 300 s to recover their logs after a crash before compose gives up", () => {
  for (const name of ["kafka", "postgres"]) {
    strictEqual(service(name).healthcheck?.start_period, "300s", name);
  }
});

Deno.test("compose mounts every volume that an image declares, because each down would leave an unnamed volume", () => {
  const declared: Readonly<Record<string, readonly string[]>> = {
    "apache/kafka": ["/etc/kafka/secrets", "/mnt/shared/config", "/var/lib/kafka/data"],
    "postgres": ["/var/lib/postgresql"],
    "prom/prometheus": ["/prometheus"],
  };
  for (const [name, { image, tmpfs = [], volumes = [] }] of services) {
    const covered = [...tmpfs, ...volumes.map((volume) => volume.split(":")[1])];
    for (const path of declared[image.split(":")[0] ?? ""] ?? []) {
      ok(covered.includes(path), `${name} ${path}`);
    }
  }
});

Deno.test("each `up` sets the password of the database's owner to the one in .env, even with an old volume", async () => {
  const { network_mode, environment = {}, volumes = [] } = service("owner");
  strictEqual(network_mode, "service:postgres", "only there the image requires no password");
  const script = await text("deploy/postgres/make_owner.sql");
  for (const [, variable, name] of script.matchAll(/^\\getenv (\w+) (\w+)$/gm)) {
    ok(name !== undefined && name in environment, `the container does not get ${name}`);
    match(script, new RegExp(`^alter role \\w+ .*password :'${variable}';$`, "m"));
  }
  deepStrictEqual(volumes, ["./deploy/postgres/make_owner.sql:/make_owner.sql:ro"]);
  for (const line of script.matchAll(/^ *(?:select ')?create .*$/gm)) {
    match(script.slice(line.index), /^.*\s+where not exists .*\\gexec$/m, "created again each time");
  }
});

Deno.test("compose contains no password, and refuses to start if one is missing", () => {
  const secrets = new Set([...source.matchAll(/\$\{([A-Z_]*PASSWORD)([^}]*)\}/g)].map(([, name]) => name));
  deepStrictEqual([...secrets].sort(), [
    "GRAFANA_ADMIN_PASSWORD",
    "HEARTBEAT_OWNER_PASSWORD",
    "HEARTBEAT_READER_PASSWORD",
    "HEARTBEAT_WRITER_PASSWORD",
    "MONITOR_PASSWORD",
    "POSTGRES_PASSWORD",
  ]);
  doesNotMatch(source, /\$\{[A-Z_]*PASSWORD(?!:\?)/, "compose starts without this password");
  for (const [name, { environment = {} }] of services) {
    for (const [variable, value] of Object.entries(environment)) {
      if (/PASSWORD/.test(variable)) match(String(value), /^\$\{[A-Z_]+:\?[^}]+\}$/, `${name} ${variable}`);
      if (/^postgres:/.test(String(value))) {
        match(String(value), /^postgres:\/\/\w+:\$\{\w+:\?[^}]+\}@/, name);
      }
    }
  }
});

Deno.test("each container gets only the passwords that it needs", () => {
  const given = services.map(([name, { environment = {} }]) => {
    const names = JSON.stringify(environment).matchAll(/\$\{([A-Z_]*PASSWORD)/g);
    return [name, [...new Set([...names].map(([, name]) => name))].sort()] as const;
  });
  deepStrictEqual(Object.fromEntries(given.filter(([, names]) => names.length > 0)), {
    "postgres": ["POSTGRES_PASSWORD"],
    "owner": ["HEARTBEAT_OWNER_PASSWORD", "POSTGRES_PASSWORD"],
    "migrate": ["HEARTBEAT_OWNER_PASSWORD", "HEARTBEAT_READER_PASSWORD", "HEARTBEAT_WRITER_PASSWORD"],
    "heartbeat-consumer": ["HEARTBEAT_WRITER_PASSWORD"],
    "heartbeat-consumer-extra": ["HEARTBEAT_WRITER_PASSWORD"],
    "heartbeat-monitor": ["HEARTBEAT_READER_PASSWORD", "MONITOR_PASSWORD"],
    "grafana": ["GRAFANA_ADMIN_PASSWORD", "HEARTBEAT_READER_PASSWORD"],
  });
});

Deno.test("compose passes every setting of the consumer from .env to the container", () => {
  const notInCompose = /^KAFKA_(SECURITY|SASL|SSL)_/;
  const expected = Object.entries(CONSUMER_SETTINGS)
    .filter(([name, schema]) =>
      !notInCompose.test(name) && (name === "DATABASE_URL" || !settingInfo(schema).secret)
    )
    .map(([name]) => name);
  const { environment = {} } = service("heartbeat-consumer");
  deepStrictEqual(Object.keys(environment).sort(), expected.sort());
  const fixed = ["DATABASE_URL", "HEALTH_HOST", "HEALTH_PORT", "KAFKA_BOOTSTRAP_SERVERS"];
  for (const [name, value] of Object.entries(environment)) {
    if (!fixed.includes(name)) strictEqual(value, `\${${name}:-}`);
  }
});
