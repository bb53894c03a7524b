/** Folder `faults`: describes faults as data, and generates schedules of faults from a seed. It injects none. */

/** `index` is the number of the consumer, from 0. `rollup` is the consumer that runs a round at the time. */
export type Target =
  | { readonly what: "consumer"; readonly index: number }
  | { readonly what: "broker" | "database" }
  | { readonly what: "rollup" }
  | { readonly what: LinkName };

export const LINK_NAMES = ["link consumer-Kafka", "link consumer-PostgreSQL", "link producer-Kafka"] as const;
export type LinkName = typeof LINK_NAMES[number];

export type Action =
  /** The process gets SIGKILL. A killed or stopped process is started again when the fault ends. */
  | { readonly kind: "kill" }
  | { readonly kind: "freeze" }
  | { readonly kind: "stop" }
  | { readonly kind: "cut" }
  | { readonly kind: "latency"; readonly latencyMs: number; readonly jitterMs: number }
  | { readonly kind: "half-open"; readonly direction: "requests" | "answers" | "both" }
  | { readonly kind: "slow"; readonly bytesPerSecond: number }
  | { readonly kind: "byte limit"; readonly byteLimit: number }
  | { readonly kind: "terminate" }
  | { readonly kind: "hold" };

export interface Fault {
  /** Numbers begin with 1 and follow the order of `startMs`. */
  readonly number: number;
  readonly target: Target;
  readonly action: Action;
  /** Time since the start of the schedule. */
  readonly startMs: number;
  readonly lengthMs: number;
}

export function targetName(target: Target): string {
  return target.what === "consumer" ? `consumer ${target.index + 1}` : target.what;
}

export const HEADING = columns(["", "start", "length", "target", "action  -> recovery"]);

export function describeFault({ number, target, action, startMs, lengthMs }: Fault): string {
  const length = `+${(lengthMs / 1000).toFixed(1)} s`;
  return columns([`#${number}`, clock(startMs), length, targetName(target), describeAction(action)]);
}

function columns([number = "", start = "", length = "", target = "", action = ""]: string[]): string {
  return [number.padStart(4), start.padStart(8), length.padStart(8), target.padEnd(25), action].join("  ");
}

const LOST = { both: "all bytes are", requests: "requests are", answers: "responses are" };

function describeAction(action: Action): string {
  switch (action.kind) {
    case "kill":
      return "kill -9";
    case "freeze":
      return "freeze (SIGSTOP)";
    case "stop":
      return "stop (clean shutdown)";
    case "cut":
      return "cut (all connections are reset)";
    case "latency":
      return `latency (${action.latencyMs} ms, plus 0 to ${action.jitterMs} ms)`;
    case "half-open":
      return `half-open (${LOST[action.direction]} lost)`;
    case "slow":
      return `slow (${action.bytesPerSecond} bytes/s)`;
    case "byte limit":
      return `byte limit (connections close after ${action.byteLimit} bytes)`;
    case "terminate":
      return "terminate (sessions in a rollup round)";
    case "hold":
      return "hold (the lock of the rollup)";
  }
}

/** Minutes and seconds with one decimal: `1:23.5`. */
export function clock(ms: number): string {
  const tenths = Math.round(ms / 100);
  return `${Math.floor(tenths / 600)}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
}
