import { ok, strictEqual } from "node:assert";
import { Proxies } from "../../../workers/monitor/access/proxies.ts";

Deno.test("proxies are addresses and ranges of both families", () => {
  const proxies = Proxies.parse("10.0.0.5, 192.168.0.0/16,fd00::/64 ,::1");
  ok(proxies);
  for (const address of ["10.0.0.5", "192.168.9.9", "fd00::9", "::1", "::ffff:10.0.0.5"]) {
    ok(proxies.has(address), address);
  }
  for (const address of ["10.0.0.6", "192.169.0.1", "fd00:0:0:1::", "::2", "::ffff:10.0.0.6", "", "proxy"]) {
    ok(!proxies.has(address), address);
  }
});

Deno.test("malformed or far too large ranges of proxies are refused", () => {
  const malformed = [
    "",
    ",",
    "10.0.0.5,",
    "proxy",
    "10.0.0",
    "10.0.0.5/33",
    "fd00::/129",
    "10.0.0.5/",
    "10.0.0.5/8/8",
  ];
  for (
    const text of [...malformed, "0.0.0.0/0", "::/0", "10.0.0.5/-1", "10.0.0.5/1e1", "[::1]", "10.0.0.5:80"]
  ) {
    strictEqual(Proxies.parse(text), undefined, text);
  }
});

Deno.test("the client is the last address in X-Forwarded-For that is no proxy", () => {
  const proxies = Proxies.parse("10.0.0.0/8");
  ok(proxies);
  strictEqual(
    proxies.clientOf("10.0.0.5", "6.6.6.6, 192.0.2.1"),
    "192.0.2.1",
    "a client can forge the first",
  );
  strictEqual(proxies.clientOf("10.0.0.5", "6.6.6.6,192.0.2.1 , 10.0.0.7"), "192.0.2.1");
  strictEqual(proxies.clientOf("10.0.0.5", "2001:db8::1"), "2001:db8::1");
  strictEqual(proxies.clientOf("192.0.2.9", "192.0.2.1"), "192.0.2.9", "only a proxy is believed");
  for (const useless of ["", "unknown", "192.0.2.1, _hidden", "10.0.0.7", "192.0.2.1:1234", ","]) {
    strictEqual(proxies.clientOf("10.0.0.5", useless), "10.0.0.5", useless);
  }
});
