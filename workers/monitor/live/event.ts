const encoder = new TextEncoder();

/** An event in the format of server-sent events. JSON has no line breaks, so `data` is one line. */
export function event(name: "fragment" | "readings" | "tick" | "trouble", data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** A comment. It makes the server send the headers before the first poll has ended. */
export const BEGIN = ": begin\n\n";

export function encode(events: readonly string[]): Uint8Array {
  return encoder.encode(events.join(""));
}
