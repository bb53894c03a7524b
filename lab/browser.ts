import puppeteer, { type Browser, type BrowserContext, type HTTPRequest, type Page } from "puppeteer-core";

/** The browser resolves this name to 127.0.0.1, as after DNS rebinding. */
export const REBOUND_HOST = "rebound.example";

/** A command that prints the path of a Chromium. The last path is that of macOS. */
const FIND = `for program in chromium chromium-browser google-chrome \\
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
do command -v "$program" && exit; done; exit 1`;
const ARGS = [
  `--host-resolver-rules=MAP ${REBOUND_HOST} 127.0.0.1`,
  // Containers often have only 64 MB of shared memory.
  "--disable-dev-shm-usage",
  "--font-render-hinting=none",
];

export interface View {
  readonly width?: number;
  readonly height?: number;
  readonly scheme?: "light" | "dark";
  readonly reducedMotion?: boolean;
  /** The viewer's zone. Default: Europe/Berlin, so that a time in UTC is noticed. */
  readonly zone?: string;
}

/**
 * Starts a Chromium without a window. Its profile is in a temporary folder, which is deleted when it ends.
 * @throws Error that says what to install
 */
export async function startBrowser(): Promise<Browser> {
  const found = await new Deno.Command("sh", { args: ["-c", FIND], stdin: "null", stderr: "null" }).output();
  if (!found.success) {
    throw new Error(
      "Cannot start a browser: there is no Chromium on the PATH, expected one; " +
        "install it (Debian: apt-get install chromium)",
    );
  }
  return await puppeteer.launch({
    executablePath: new TextDecoder().decode(found.stdout).trim(),
    // Chromium refuses to run as root with its sandbox.
    args: Deno.uid() === 0 ? [...ARGS, "--no-sandbox"] : ARGS,
    // The caller closes the browser. These would end the process before its other resources are closed.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
}

/**
 * A tab with cookies of its own. It records the errors on the console, the requests that fail, and all requests to another
 * origin than that of the page.
 */
export class Tab implements AsyncDisposable {
  readonly page: Page;
  /** The folder of the files that the page lets the viewer download. */
  readonly downloads: string;
  readonly #context: BrowserContext;
  readonly #origin: string;
  readonly #faults: string[] = [];
  readonly #expected: RegExp[] = [];

  private constructor(context: BrowserContext, page: Page, origin: string, downloads: string) {
    this.page = page;
    this.downloads = downloads;
    this.#context = context;
    this.#origin = origin;
    page.on("console", (message) => {
      if (message.type() === "error") this.#faults.push(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => this.#faults.push(`uncaught: ${error}`));
    page.on("request", (request) => this.#check(request));
    page.on("requestfailed", (request) => {
      const why = request.failure()?.errorText;
      // The page itself aborts a request, for example its event stream when it is left.
      if (why !== "net::ERR_ABORTED") this.#faults.push(`failed: ${request.url()}: ${why}`);
    });
    page.on("response", (response) => {
      if (response.status() >= 400) this.#faults.push(`status ${response.status()}: ${response.url()}`);
    });
  }

  static async open(browser: Browser, origin: string, view: View = {}): Promise<Tab> {
    const downloads = await Deno.makeTempDir({ prefix: "heartbeat-downloads-" });
    const context = await browser.createBrowserContext({
      downloadBehavior: { policy: "allow", downloadPath: downloads },
    });
    const tab = new Tab(context, await context.newPage(), origin, downloads);
    await tab.look(view);
    await tab.page.emulateTimezone(view.zone ?? "Europe/Berlin");
    return tab;
  }

  async look({ width = 1280, height = 800, scheme = "light", reducedMotion = false }: View): Promise<void> {
    await this.page.setViewport({ width, height });
    await this.page.emulateMediaFeatures([
      { name: "prefers-color-scheme", value: scheme },
      { name: "prefers-reduced-motion", value: reducedMotion ? "reduce" : "no-preference" },
    ]);
  }

  /** From now on, faults that match are no faults. */
  expect(pattern: RegExp): void {
    this.#expected.push(pattern);
  }

  get faults(): readonly string[] {
    return this.#faults.filter((fault) => !this.#expected.some((pattern) => pattern.test(fault)));
  }

  #check(request: HTTPRequest): void {
    const { origin, protocol } = new URL(request.url());
    if (origin !== this.#origin && protocol !== "data:" && protocol !== "blob:") {
      this.#faults.push(`foreign request: ${request.url()}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
    await Deno.remove(this.downloads, { recursive: true });
  }
}
