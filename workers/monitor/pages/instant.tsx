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
