import type { Service } from "../../stack/mod.ts";
import type { Arena } from "./arena.ts";
import type { ConsumerProcess } from "./consumer_process.ts";
import { injectRollupFault } from "./inject_rollup_fault.ts";
import type { Action, Fault, LinkName } from "../faults/fault.ts";

/** @returns a function that ends the fault; if the target is a server, it resolves when the server answers again */
export async function injectFault(
  { target, action }: Fault,
  arena: Pick<Arena, "servers" | "links" | "databaseUrl">,
  consumers: readonly ConsumerProcess[],
): Promise<() => Promise<void>> {
  switch (target.what) {
    case "consumer":
      return await injectConsumerFault(action, requireStarted(target.what, consumers[target.index]));
    case "broker":
    case "database":
      return await injectServerFault(action, requireStarted(target.what, arena.servers[target.what]));
    case "rollup":
      return injectRollupFault(action, arena.databaseUrl);
    default:
      return injectLinkFault(target.what, action, arena);
  }
}

async function injectConsumerFault(action: Action, consumer: ConsumerProcess): Promise<() => Promise<void>> {
  if (action.kind === "freeze") {
    consumer.freeze();
    return () => Promise.resolve(consumer.thaw());
  }
  await (action.kind === "kill" ? consumer.kill() : consumer.stop());
  return () => Promise.resolve(consumer.allowRestart());
}

async function injectServerFault(action: Action, server: Service): Promise<() => Promise<void>> {
  if (action.kind === "freeze") {
    await server.freeze();
    return server.thaw;
  }
  await (action.kind === "kill" ? server.kill() : server.stop());
  return () => server.start();
}

function injectLinkFault(
  name: LinkName,
  action: Action,
  { links }: Pick<Arena, "links">,
): () => Promise<void> {
  const link = requireStarted(name, links[name]);
  // These connections lost bytes in an earlier half-open fault. By now TCP keepalive would have ended them.
  link.endAbandoned();
  switch (action.kind) {
    case "cut":
      link.cut();
      break;
    case "latency":
      link.impair({ latencyMs: action.latencyMs, jitterMs: action.jitterMs });
      break;
    case "half-open":
      link.impair({ silent: true }, action.direction);
      break;
    case "slow":
      link.impair({ bytesPerSecond: action.bytesPerSecond });
      break;
    case "byte limit":
      link.impair({ byteLimit: action.byteLimit }, "answers");
      break;
  }
  return () => Promise.resolve(link.heal());
}

function requireStarted<T>(name: string, target: T | undefined): T {
  if (target === undefined) {
    throw new TypeError(`Cannot inject a fault into ${name}: this program did not start it`);
  }
  return target;
}
