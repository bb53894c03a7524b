export interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly service: string;
  readonly event: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Returns undefined for other output, such as the stack of an unexpected error. */
export function parseLogLine(text: string): LogLine | undefined {
  if (!text.startsWith("{")) return undefined;
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof line !== "object" || line === null) return undefined;
  const { time, level, service, event, message, ...fields } = line as Record<string, unknown>;
  if (typeof level !== "string" || typeof message !== "string") return undefined;
  return { time: String(time), level, service: String(service), event: String(event), message, fields };
}
