import { request } from "node:http";
import { request as requestTls } from "node:https";
import { Hono } from "hono";
import { readAccess } from "../../workers/monitor/access/settings.ts";
import { createAccess } from "../../workers/monitor/access/access.ts";
import { assetResponse } from "../../workers/monitor/assets/assets.ts";
import { serve, SERVER_LIMITS, type ServerLimits } from "../../workers/monitor/server/serve.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** Name and value of the cookie that the answer sets. */
  readonly cookie: string;
}

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface PageOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly limits?: ServerLimits;
  /** Adds routes behind the guard. */
  readonly routes?: (app: Hono) => void;
  /** The authority of the server's certificate. */
  readonly ca?: string;
}

/** The real access and server around a page that says "the data". */
export class MonitorPage implements AsyncDisposable {
  /** Added to the clock of the sessions and the attempts. */
  aheadMs = 0;
  readonly addresses: string[] = [];
  readonly wrongPasswords: string[] = [];
  readonly failedBodies: unknown[] = [];

  private constructor(
    readonly port: number,
    readonly address: () => string,
    readonly options: PageOptions,
    readonly close: () => PromiseLike<void>,
  ) {}

  static async open(options: PageOptions = {}): Promise<MonitorPage> {
    const { env = {}, files = {}, limits = SERVER_LIMITS, routes } = options;
    const settings = readAccess("monitor", { MONITOR_PORT: "0", ...env }, (path) => files[path] ?? "");
    const app = new Hono();
    const access = createAccess({
      ...settings.access,
      port: () => server.port,
      onAddress: (url) => page.addresses.push(url),
      onWrongPassword: (client) => page.wrongPasswords.push(client),
      now: () => Date.now() + page.aheadMs,
    });
    app.use(access.guard);
    access.mount(app);
    app.get("/assets/*", (c) => assetResponse(c.req.path) ?? c.notFound());
    app.get("/", (c) => c.text("the data"));
    app.get("/customer", (c) => c.text(`the data of ${c.req.query("id")}`));
    app.get("/broken", () => {
      throw new Error("a secret");
    });
    app.onError((_, c) => c.text("failed", 500));
    routes?.(app);
    const onFailedBody = (error: unknown) => page.failedBodies.push(error);
    const server = await serve(app.fetch, { ...settings.server, limits, onFailedBody });
    const page: MonitorPage = new MonitorPage(
      server.port,
      access.address,
      options,
      () => server[Symbol.asyncDispose](),
    );
    return page;
  }

  get origin(): string {
    return new URL(this.address()).origin;
  }

  /** @param path a path, or a whole address of this page */
  ask(path: string, { method = "GET", headers = {}, body }: Asked = {}): Promise<Answer> {
    const { ca } = this.options;
    const { host } = new URL(this.origin);
    const target = {
      port: this.port,
      method,
      path: path.replace(this.origin, ""),
      headers: { host, ...headers },
    };
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const options = { ...target, host: "127.0.0.1", agent: false, ...(ca === undefined ? {} : { ca }) };
    const sent = (ca === undefined ? request : requestTls)(options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => text += part);
      response.on("error", reject);
      response.on("end", () => {
        const [set = ""] = response.headers["set-cookie"] ?? [];
        const [cookie = ""] = set.split(";");
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, cookie });
      });
    });
    sent.on("error", reject);
    sent.end(body);
    return promise;
  }

  /** @returns the cookie of a new session */
  async enter(): Promise<string> {
    const { cookie, status } = await this.ask(this.address());
    if (status !== 303) throw new Error(`the address was answered with ${status}`);
    return cookie;
  }

  /** Sends the login form as a browser does. */
  logIn(password: string, { to = "/", headers = {} }: { to?: string; headers?: Asked["headers"] } = {}) {
    const form = { "content-type": "application/x-www-form-urlencoded", origin: this.origin };
    return this.ask(`/login?to=${encodeURIComponent(to)}`, {
      method: "POST",
      headers: { ...form, ...headers },
      body: new URLSearchParams({ password }).toString(),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** An endless answer, as a live stream is. */
export class EndlessStream {
  pulled = 0;
  cancelled = 0;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor(readonly chunkBytes: number) {}

  response(): Response {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => void (this.#controller = controller),
      pull: (controller) => {
        this.pulled++;
        if (this.chunkBytes > 0 || this.pulled === 1) {
          controller.enqueue(new Uint8Array(Math.max(1, this.chunkBytes)));
        }
      },
      cancel: () => void this.cancelled++,
    }, { highWaterMark: 1 });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }

  fail(error: Error): void {
    this.#controller?.error(error);
  }
}
