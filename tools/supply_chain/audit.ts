import { Command } from "commander";
import { runWorker } from "../../workers/_shared/lifecycle.ts";
import { printableLines, writeOut } from "../../workers/_shared/output.ts";

/** A separate exit code, because it does not mean "no vulnerability", and a machine without a network may continue. */
const NOT_ASKED = 3;
const UNTRUSTED = /error sending request for url \((https:\/\/[^)]+)\).*invalid peer certificate/;

await runWorker(async ({ args, signal }) => {
  const { registry } = new Command("audit")
    .description("Asks the npm registry for known vulnerabilities of the packages in deno.lock.")
    .option("--registry <url>", "registry to ask (default: the one in .npmrc, or npm's public registry)")
    .addHelpText(
      "after",
      "\nExit codes: 0 = no known vulnerability, 1 = at least one, 3 = the registry could not be asked." +
        "\n\nIf your network has its own certificate authority, set DENO_CERT=/path/to/authority.pem, or DENO_TLS_CA_STORE=system" +
        "\nif this machine trusts it. This does not work with a registry that needs a login." +
        "\n\nExamples:\n  deno task audit\n  DENO_TLS_CA_STORE=system deno task audit",
    )
    .exitOverride()
    .parse([...args], { from: "user" })
    .opts<{ registry?: string }>();
  const first = await denoAudit(registry, signal);
  const { code, output, why } = await behindOwnAuthority(first, signal) ?? first;
  const write = (text: string) => writeOut(`${printableLines(text)}\n`);
  // `deno audit` exits with the same code for a vulnerability and for an unreachable registry, so its output decides.
  if (code === 0 && output.includes("No known vulnerabilities found")) {
    write("No known vulnerabilities in the packages of deno.lock.");
    return 0;
  }
  if (/Found \d+ vulnerabilit/.test(output)) {
    write(output);
    return 1;
  }
  write(
    `NOT ASKED: the registry gave no advisories (${why}), so vulnerabilities are neither known nor excluded.`,
  );
  if (UNTRUSTED.test(why)) {
    write("If your network has its own certificate authority, set DENO_CERT (see --help).");
  }
  return NOT_ASKED;
});

interface Asked {
  readonly code: number;
  readonly output: string;
  /** The first line of standard error. */
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
    output: new TextDecoder().decode(stdout).trim(),
    why: why.replace(/^error: /, "") || "it printed nothing",
  };
}

/**
 * Asks again if the registry's certificate was not trusted. Up to Deno 2.9.6, `deno audit` ignores DENO_CERT and
 * DENO_TLS_CA_STORE (denoland/deno#36726), but `fetch` honours them. So `deno audit` asks this process over plain
 * HTTP on loopback, and this process asks the registry.
 *
 * @returns undefined if trust was not the problem, or if this process does not trust the registry either
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
