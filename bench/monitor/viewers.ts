/** The viewers of a benchmark, in a process of their own. They read event streams until SIGTERM, and print what they saw. */
import { EventStream, type Seen } from "./event_stream.ts";

/** What a viewer saw. */
export interface Sight {
  readonly path: string;
  readonly bytes: number;
  /** The monitor closed the stream before the end. */
  readonly dropped: boolean;
  readonly ticks: readonly Seen[];
  readonly readings: readonly Seen[];
}

/** The argument of the process, as JSON. */
export interface Viewers {
  readonly origin: string;
  readonly cookie: string;
  /** One for each viewer. */
  readonly paths: readonly string[];
}

if (import.meta.main) {
  const { origin, cookie, paths }: Viewers = JSON.parse(Deno.args[0] ?? "");
  const over = new AbortController();
  Deno.addSignalListener("SIGTERM", () => over.abort());
  const write = (text: string) => Deno.stdout.write(new TextEncoder().encode(text));
  let open = 0;
  const watch = async (path: string): Promise<Sight> => {
    const stream = new EventStream();
    let bytes = 0;
    const answer = await fetch(origin + path, { headers: { cookie }, signal: over.signal });
    if (!answer.ok || answer.body === null) {
      throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    }
    if (++open === paths.length) await write("open\n");
    const decoder = new TextDecoder();
    try {
      for await (const chunk of answer.body) {
        bytes += chunk.length;
        stream.add(decoder.decode(chunk, { stream: true }), Date.now());
      }
    } catch (error) {
      if (!over.signal.aborted) throw error;
    }
    return { path, bytes, dropped: !over.signal.aborted, ticks: stream.ticks, readings: stream.readings };
  };
  const seen = await Promise.all(paths.map(watch));
  for (let text = JSON.stringify(seen); text !== "";) text = text.slice(await write(text));
  Deno.exit(0);
}
