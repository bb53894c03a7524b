import { configureSync, getLogger, type LogRecord, resetSync, type Sink } from "@logtape/logtape";
import { Registry } from "prom-client";
import { choice, type Settings } from "./env.ts";
import { describeError, findInCauses } from "./errors.ts";
import { printable, writeError } from "./output.ts";
import type { Secrets } from "./secrets.ts";

const LEVELS = ["debug", "info", "warning", "error"] as const;
type Level = typeof LEVELS[number];

export const LOG_SETTINGS = {
  LOG_LEVEL: choice(LEVELS, "info"),
  LOG_FORMAT: choice(["json", "pretty"], "pretty"),
};
export type LogOptions = Settings<typeof LOG_SETTINGS>;

export type Fields = Readonly<Record<string, unknown>>;

/** `event` is a stable name for programs (`batch.stored`). `message` is a sentence for people. */
export type Log = Readonly<Record<Level, (event: string, message: string, fields?: Fields) => void>>;

export type Telemetry = ReturnType<typeof startTelemetry>;

/** Structured logs on standard error, with `service` in each line, and an empty registry for Prometheus metrics. */
export function startTelemetry(service: string, options: LogOptions, secrets: Secrets) {
  const format = options.LOG_FORMAT === "json" ? formatJson : formatPretty;
  const sink: Sink = (record) => {
    // Data must not be able to forge a line or to move the terminal's cursor.
    writeError(printable(secrets.redact(format(service, record))));
  };
  configureSync({
    sinks: { stderr: sink },
    loggers: [
      { category: [], sinks: ["stderr"], lowestLevel: options.LOG_LEVEL },
      { category: ["logtape", "meta"], sinks: ["stderr"], lowestLevel: "warning" },
    ],
    reset: true,
  });
  const logger = getLogger([service]);
  const logAt = (level: Level): Log[Level] => (event, message, fields = {}) => {
    // The message is a property, because LogTape reads {braces} in a message as placeholders, and data may contain them.
    logger[level]("{message}", { ...fields, event, message });
  };
  const log: Log = {
    debug: logAt("debug"),
    info: logAt("info"),
    warning: logAt("warning"),
    error: logAt("error"),
  };
  return {
    log,
    metrics: new Registry(),
    [Symbol.dispose]: () => resetSync(),
  };
}

function formatJson(service: string, record: LogRecord): string {
  const { event, message, ...fields } = record.properties;
  const time = new Date(record.timestamp).toISOString();
  return JSON.stringify({ time, level: record.level, service, event, message, ...fields }, asJson);
}

function formatPretty(service: string, record: LogRecord): string {
  const { event: _event, message, ...fields } = record.properties;
  const context = Object.entries(fields).map(([name, value]) => {
    return `${name}=${typeof value === "string" ? value : JSON.stringify(asJson(name, value), asJson)}`;
  });
  return [
    new Date(record.timestamp).toISOString().slice(11, 23),
    (record.level === "warning" ? "warn" : record.level).toUpperCase().padEnd(5),
    service,
    message,
    ...context,
  ].join(" ");
}

/** JSON has no bigint, and prints an Error as {}. */
function asJson(_name: string, value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Error) {
    const code = findInCauses(value, "code");
    return code === undefined ? describeError(value) : `${describeError(value)} (${code})`;
  }
  return value;
}
