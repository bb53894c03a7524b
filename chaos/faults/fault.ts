/** Folder `faults`: faults as data, and schedules of them from a seed. It never touches a process. */

/** Names of what can be disturbed; a consumer has its number. */
export type Target =
  | { readonly what: "consumer"; readonly index: number }
  | { readonly what: "broker" | "database" }
  /** The rounds that bring minutes and latest readings up, whichever consumer is at one. */
  | { readonly what: "rollup" }
  | { readonly what: LinkName };

export const LINK_NAMES = ["link consumer-Kafka", "link consumer-PostgreSQL", "link producer-Kafka"] as const;
export type LinkName = typeof LINK_NAMES[number];

export type Harm =
  /** kill -9; started again at the fault's end. */
  | { readonly kind: "kill" }
  /** SIGSTOP until the fault's end: connections stay open and nothing answers. */
  | { readonly kind: "freeze" }
  /** Ended as an operator would, and started again at the fault's end. */
  | { readonly kind: "stop" }
  /** Every connection is reset, and each new one. */
  | { readonly kind: "cut" }
  | { readonly kind: "latency"; readonly latencyMs: number; readonly jitterMs: number }
  /** Everything is swallowed and nothing is closed. */
  | { readonly kind: "half-open"; readonly direction: "requests" | "answers" | "both" }
  | { readonly kind: "slow"; readonly bytesPerSecond: number }
  /** Each connection ends after so many bytes of answers. */
  | { readonly kind: "byte limit"; readonly byteLimit: number }
  /** The session of each round is terminated in the middle of it. */
  | { readonly kind: "terminate" }
  /** Somebody else has the lock of a round: changes pile up. */
  | { readonly kind: "hold" };

export interface Fault {
  /** From 1, in the order of their beginning. */
  readonly number: number;
  readonly target: Target;
  readonly harm: Harm;
  /** After the begin of the run. */
  readonly startMs: number;
  readonly lengthMs: number;
}

export function targetName(target: Target): string {
  return target.what === "consumer" ? `consumer ${target.index + 1}` : target.what;
}

/** One line, the same for the same fault. */
export function describeFault({ number, target, harm, startMs, lengthMs }: Fault): string {
  const cells = [
    `#${number}`.padStart(4),
    clock(startMs).padStart(8),
    `+${(lengthMs / 1000).toFixed(1)} s`.padStart(8),
    targetName(target).padEnd(25),
    describeHarm(harm),
  ];
  return cells.join("  ");
}

function describeHarm(harm: Harm): string {
  switch (harm.kind) {
    case "kill":
      return "kill -9";
    case "latency":
      return `latency ${harm.latencyMs} ms + up to ${harm.jitterMs} ms`;
    case "half-open":
      return harm.direction === "both" ? "half-open" : `half-open, ${harm.direction} only`;
    case "slow":
      return `slow, ${harm.bytesPerSecond} bytes/s`;
    case "byte limit":
      return `byte limit, ${harm.byteLimit} bytes a connection`;
    case "terminate":
      return "sessions in a round are terminated";
    case "hold":
      return "the lock of a round is held";
    default:
      return harm.kind;
  }
}

/** Minutes and seconds, to the tenth. */
export function clock(ms: number): string {
  const tenths = Math.round(ms / 100);
  return `${Math.floor(tenths / 600)}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
}
