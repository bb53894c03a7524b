/**
 * Asks the npm registry whether a package of deno.lock has a known vulnerability. "Could not ask" is an outcome of its
 * own: it is not "there is none", and a machine without the network can go on all the same.
 */
import { Command } from "commander";
import { runWorker } from "../../workers/_shared/lifecycle.ts";
import { printableLines, writeOut } from "../../workers/_shared/output.ts";

/** Exit code when the registry was not to be had, or has no advisories to ask for. */
const NOT_ASKED = 3;
const UNTRUSTED = /error sending request for url \((https:\/\/[^)]+)\).*invalid peer certificate/;

await runWorker(async ({ args, signal }) => {
  const { registry } = new Command("audit")
    .description("Asks the npm registry for known vulnerabilities of the locked packages.")
    .option("--registry <url>", "ask this one (default: that of .npmrc, or npm's own)")
    .addHelpText(
      "after",
      "\nExit codes: 0 asked and none known, 1 some are known, 3 the registry could not be asked." +
        "\n\nBehind a network's own certificate authority: DENO_CERT=/path/to/authority.pem, or DENO_TLS_CA_STORE=system" +
        "\nwhere this machine trusts it. A registry that wants a login is then not asked." +
        "\n\nExamples:\n  deno task audit\n  DENO_TLS_CA_STORE=system deno task audit",
    )
    .exitOverride()
    .parse([...args], { from: "user" })
    .opts<{ registry?: string }>();
  const first = await denoAudit(registry, signal);
  const { code, said, why } = await behindOwnAuthority(first, signal) ?? first;
  const write = (text: string) => writeOut(`${printableLines(text)}\n`);
  // Its exit code is the same for a vulnerability and for a registry that does not answer; its words are not.
  if (code === 0 && said.includes("No known vulnerabilities found")) {
    write("No known vulnerabilities in the packages of deno.lock.");
    return 0;
  }
  if (/Found \d+ vulnerabilit/.test(said)) {
    write(said);
    return 1;
  }
  write(`NOT ASKED: the registry gave no advisories (${why}); nothing is known either way.`);
  if (UNTRUSTED.test(why)) {
    write("If the network has an authority of its own, name it with DENO_CERT (--help).");
  }
  return NOT_ASKED;
});

interface Asked {
  readonly code: number;
  readonly said: string;
  /** The first line of its error. */
  readonly why: string;
}

async function denoAudit(registry: string | undefined, signal: AbortSignal): Promise<Asked> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["audit", "--frozen-lockfile"],
    env: { NO_COLOR: "1", ...(registry === undefined ? {} : { NPM_CONFIG_REGISTRY: registry }) },
    stdin: "null",
    signal,
  }).output();
  const [why = ""] = new TextDecoder().decode(stderr).trim().split("\n");
  return {
    code,
    said: new TextDecoder().decode(stdout).trim(),
    why: why.replace(/^error: /, "") || "it said nothing",
  };
}

/**
 * Asks again where the registry's certificate was not trusted. `deno audit` ignores DENO_CERT and DENO_TLS_CA_STORE up to
 * Deno 2.9.6 (denoland/deno#36726); `fetch` honours them. So it asks this process, on loopback, which asks the registry.
 *
 * @returns undefined when trust was not what failed, or when this process does not trust the registry either
 */
async function behindOwnAuthority({ why }: Asked, signal: AbortSignal): Promise<Asked | undefined> {
  const url = UNTRUSTED.exec(why)?.[1];
  if (url === undefined) return undefined;
  let isTrusted = true;
  const forward = async (request: Request): Promise<Response> => {
    const { pathname, search } = new URL(request.url);
    const headers = new Headers();
    for (const name of ["accept", "content-encoding", "content-type"]) {
      const value = request.headers.get(name);
      if (value !== null) headers.set(name, value);
    }
    const body = request.body === null ? null : await request.arrayBuffer();
    try {
      const answer = await fetch(new URL(`${pathname}${search}`, url), {
        method: request.method,
        headers,
        body,
        signal,
      });
      return new Response(await answer.arrayBuffer(), { status: answer.status });
    } catch {
      isTrusted = false;
      return new Response(null, { status: 502 });
    }
  };
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, signal, onListen: () => {} }, forward);
  const asked = await denoAudit(`http://127.0.0.1:${server.addr.port}/`, signal);
  return isTrusted ? asked : undefined;
}
