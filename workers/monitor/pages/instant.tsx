/**
 * A point in time in UTC, which the browser's script replaces: `clock` and `date` in the viewer's zone, `ago` as
 * "12 s ago", `since` as the duration until now, such as "12 min 4 s".
 */
export function Instant(
  { at, as }: { readonly at: number; readonly as: "clock" | "date" | "ago" | "since" },
) {
  const iso = new Date(at).toISOString();
  return <time datetime={iso} data-as={as}>{`${iso.slice(0, 19).replace("T", " ")} UTC`}</time>;
}

const CLOCK_UP_TO_MS = 12 * 3_600_000;

/** A point in time in the viewer's zone, with its day only if it is long before `now`. */
export function Moment({ at, now }: { readonly at: number; readonly now: number }) {
  return <Instant at={at} as={now - at < CLOCK_UP_TO_MS ? "clock" : "date"} />;
}
