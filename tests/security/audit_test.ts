import { deepStrictEqual, match } from "node:assert";
import { Authority } from "../support/certificates.ts";

const ROOT = new URL("../../", import.meta.url);
// The title has a terminal escape sequence, which the audit must not print.
const ADVISORY = {
  id: 1,
  url: "https://example.org/advisory",
  title: "A hole\u001b[2J",
  severity: "high",
  vulnerable_versions: "<9.0.0",
  cwe: [],
  cvss: { score: 0, vectorString: null },
};

async function audit(answer: () => Response): Promise<{ code: number; output: string }> {
  await using registry = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, answer);
  return await auditAt(`http://127.0.0.1:${registry.addr.port}/`);
}

async function auditAt(
  registry: string,
  env: Record<string, string> = {},
): Promise<{ code: number; output: string }> {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "-q", "audit", "--registry", registry],
    cwd: ROOT,
    env,
    stderr: "inherit",
  }).output();
  return { code, output: new TextDecoder().decode(stdout) };
}

Deno.test("the audit exits with 0 if the registry answered and knows no vulnerability", async () => {
  const { code, output } = await audit(() => Response.json({}));
  deepStrictEqual([code, output], [0, "No known vulnerabilities in the packages of deno.lock.\n"]);
});

Deno.test("the audit exits with 1 for a known vulnerability and names the package", async () => {
  const { code, output } = await audit(() => Response.json({ pg: [ADVISORY] }));
  deepStrictEqual([code, output.includes("\u001b")], [1, false]);
  match(output, /A hole.*Package: +pg/s);
});

Deno.test("the audit reaches a registry with a private certificate authority only if DENO_CERT trusts it", async () => {
  const authority = new Authority("Private authority");
  const { certificate: cert, key } = authority.issue("registry", { names: ["127.0.0.1"] });
  const file = await Deno.makeTempFile({ suffix: ".pem" });
  await Deno.writeTextFile(file, authority.certificate);
  let answer: unknown = {};
  const options = { hostname: "127.0.0.1", port: 0, onListen: () => {}, cert, key };
  await using registry = Deno.serve(options, () => Response.json(answer));
  const url = `https://127.0.0.1:${registry.addr.port}/`;
  const trusting = { DENO_CERT: file };
  const clean = await auditAt(url, trusting);
  deepStrictEqual([clean.code, clean.output], [
    0,
    "No known vulnerabilities in the packages of deno.lock.\n",
  ]);
  answer = { pg: [ADVISORY] };
  const vulnerable = await auditAt(url, trusting);
  deepStrictEqual(vulnerable.code, 1, vulnerable.output);
  const untrusted = await auditAt(url);
  deepStrictEqual(untrusted.code, 3);
  match(untrusted.output, /^NOT ASKED: .*invalid peer certificate.*\n.*DENO_CERT/);
  await Deno.remove(file);
});

Deno.test("the audit exits with 3 if it could not ask the registry", async () => {
  const answers = [
    () => new Response("", { status: 405 }),
    () => new Response("<html>sign in</html>", { status: 200 }),
    () => new Response("", { status: 503 }),
  ];
  for (const answer of answers) {
    const { code, output } = await audit(answer);
    deepStrictEqual(code, 3, output);
    match(output, /^NOT ASKED: /);
  }
  const { code } = await auditAt("http://127.0.0.1:9/");
  deepStrictEqual(code, 3);
});
