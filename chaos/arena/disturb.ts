/** Does to its target what a fault says, and undoes it. */
import type { Service } from "../../stack/mod.ts";
import type { Arena } from "./arena.ts";
import type { ConsumerProcess } from "./consumer_process.ts";
import { disturbRollup } from "./rollup_rounds.ts";
import type { Fault, Harm, LinkName } from "../faults/fault.ts";

/** @returns ends the fault; resolves when its target is well again, a server when it answers */
export async function disturb(
  { target, harm }: Fault,
  arena: Pick<Arena, "servers" | "links" | "databaseUrl">,
  consumers: readonly ConsumerProcess[],
): Promise<() => Promise<void>> {
  switch (target.what) {
    case "consumer":
      return await disturbConsumer(harm, here(target.what, consumers[target.index]));
    case "broker":
    case "database":
      return await disturbServer(harm, here(target.what, arena.servers[target.what]));
    case "rollup":
      return disturbRollup(harm, arena.databaseUrl);
    default:
      return disturbLink(target.what, harm, arena);
  }
}

async function disturbConsumer(harm: Harm, consumer: ConsumerProcess): Promise<() => Promise<void>> {
  if (harm.kind === "freeze") {
    consumer.freeze();
    return () => Promise.resolve(consumer.thaw());
  }
  await (harm.kind === "kill" ? consumer.kill() : consumer.stop());
  return () => Promise.resolve(consumer.letUp());
}

async function disturbServer(harm: Harm, server: Service): Promise<() => Promise<void>> {
  if (harm.kind === "freeze") {
    await server.freeze();
    return server.thaw;
  }
  await (harm.kind === "kill" ? server.kill() : server.stop());
  return () => server.start();
}

function disturbLink(name: LinkName, harm: Harm, { links }: Pick<Arena, "links">): () => Promise<void> {
  const link = here(name, links[name]);
  // What the last silence left behind: by now a server's keepalive would have found it.
  link.endAbandoned();
  switch (harm.kind) {
    case "cut":
      link.cut();
      break;
    case "latency":
      link.impair({ latencyMs: harm.latencyMs, jitterMs: harm.jitterMs });
      break;
    case "half-open":
      link.impair({ silent: true }, harm.direction);
      break;
    case "slow":
      link.impair({ bytesPerSecond: harm.bytesPerSecond });
      break;
    case "byte limit":
      link.impair({ byteLimit: harm.byteLimit }, "answers");
      break;
  }
  return () => Promise.resolve(link.heal());
}

function here<T>(name: string, target: T | undefined): T {
  if (target === undefined) throw new TypeError(`${name} was not started here, and is not disturbed`);
  return target;
}
