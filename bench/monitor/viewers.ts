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

class Viewer {
  readonly stream = new EventStream();
  bytes = 0;
  dropped = false;

  constructor(readonly path: string) {}

  async open({ origin, cookie }: Viewers): Promise<ReadableStream<Uint8Array>> {
    const answer = await fetch(origin + this.path, { headers: { cookie } });
    if (answer.ok && answer.body !== null) return answer.body;
    throw new Error(`${this.path}: ${answer.status} ${await answer.text()}`);
  }

  async read(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    // The process exits with open streams. In Deno 2.9.6, aborting many fetches at once did not end all of them.
    for await (const chunk of body) {
      this.bytes += chunk.length;
      this.stream.add(decoder.decode(chunk, { stream: true }), Date.now());
    }
    this.dropped = true;
  }

  get sight(): Sight {
    const { path, bytes, dropped, stream: { ticks, readings } } = this;
    return { path, bytes, dropped, ticks, readings };
  }
}

async function print(text: string): Promise<void> {
  for (let rest = new TextEncoder().encode(text); rest.length > 0;) {
    rest = rest.subarray(await Deno.stdout.write(rest));
  }
}

if (import.meta.main) {
  const argument: Viewers = JSON.parse(Deno.args[0] ?? "");
  const viewers = argument.paths.map((path) => new Viewer(path));
  const stop = Promise.withResolvers<void>();
  Deno.addSignalListener("SIGTERM", stop.resolve);
  const bodies = await Promise.all(viewers.map((viewer) => viewer.open(argument)));
  for (const [index, viewer] of viewers.entries()) {
    const body = bodies[index];
    if (body !== undefined) void viewer.read(body);
  }
  await print("open\n");
  await stop.promise;
  await print(JSON.stringify(viewers.map(({ sight }) => sight)));
  Deno.exit(0);
}
