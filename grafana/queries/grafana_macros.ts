/**
 * Expands macros and variables in queries for PostgreSQL as Grafana does. Sources in Grafana's documentation: [M] data
 * sources, PostgreSQL, query editor, macros; [T] the same, template variables; [V] dashboards, variables, global
 * variables and variable syntax; [P] administration, provisioning, environment variables.
 */
export interface MacroContext {
  readonly from: Date;
  readonly to: Date;
  readonly intervalMs: number;
  readonly variables?: Readonly<Record<string, string>>;
  /** The text in a variable's search field. */
  readonly search?: string;
}

/** @throws TypeError for an unknown variable, and for an unknown macro or wrong arguments of a macro */
export function expandMacros(sql: string, context: MacroContext): string {
  return expandServerMacros(expandVariables(sql, context), context);
}

/** Does what Grafana's code in the browser does. The two intervals are variables too. */
function expandVariables(sql: string, { intervalMs, variables = {}, search = "" }: MacroContext): string {
  const known: Record<string, string> = {
    ...variables,
    __interval: duration(intervalMs),
    __interval_ms: String(intervalMs),
    // [T] The typed text, followed by %.
    __searchFilter: `${search}%`,
  };
  return sql.replace(/\$\{(\w+)(?::(\w+))?\}|\$(\w+)(?!\w*\()/g, (all, braced, format, bare) => {
    const name = braced ?? bare;
    const value = known[name];
    if (value === undefined) {
      // The server expands this macro.
      if (name.startsWith("__")) return all;
      throw new TypeError(`the variable ${all} is unknown`);
    }
    return formatted(value, format);
  });
}

/** [V] Advanced variable format options. */
function formatted(value: string, format: string | undefined): string {
  switch (format) {
    case undefined:
      // [T] Grafana doubles quotes in a variable that is not multi-value, but adds none around it.
      return value.replaceAll("'", "''");
    case "percentencode":
      // Grafana also encodes the reserved characters of RFC 3986 that encodeURIComponent leaves.
      return encodeURIComponent(value).replace(
        /[!'()*]/g,
        (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
      );
    case "sqlstring":
      return `'${value.replaceAll("'", "''")}'`;
    case "raw":
      return value;
    default:
      throw new TypeError(`the format ${format} is not used here`);
  }
}

/** [M] Does what Grafana's server does. A macro ends at the first closing parenthesis, even inside an argument. */
function expandServerMacros(sql: string, { from, to }: MacroContext): string {
  return sql.replace(/\$(\w+)\(([^)]*)\)(,?)/g, (_all, name: string, inside: string, comma: string) => {
    const args = inside.split(",").map((arg) => arg.trim());
    const [column, interval, fill, ...more] = args;
    if (more.length > 0) throw new TypeError(`$${name} has too many arguments`);
    const start = `'${from.toISOString()}'`, end = `'${to.toISOString()}'`;
    switch (name) {
      case "__timeFrom":
        return `${start}${comma}`;
      case "__timeTo":
        return `${end}${comma}`;
      case "__timeFilter":
        if (!column) break;
        return `${column} BETWEEN ${start} AND ${end}${comma}`;
      case "__timeGroup":
      case "__timeGroupAlias": {
        // The third argument fills holes in the result after the query, so it does not change the SQL.
        if (!column || interval === undefined) break;
        if (fill !== undefined && !/^(NULL|previous|-?\d+(\.\d+)?)$/.test(fill)) break;
        const seconds = parseDuration(interval.replaceAll("'", "")) / 1000;
        // $__timeGroup has no alias, except if a comma follows it.
        const alias = name === "__timeGroupAlias" || comma === "," ? ` AS "time"` : "";
        return `floor(extract(epoch from ${column})/${seconds})*${seconds}${alias}${comma}`;
      }
    }
    throw new TypeError(`the macro $${name}(${inside}) is unknown or used wrong`);
  });
}

const UNITS: readonly (readonly [unit: string, ms: number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
];

function duration(ms: number): string {
  const [unit, size] = UNITS.find(([, size]) => ms % size === 0) ?? ["ms", 1];
  return `${ms / size}${unit}`;
}

function parseDuration(text: string): number {
  const [, count, unit] = /^(\d+)(ms|s|m|h|d)$/.exec(text) ?? [];
  const size = UNITS.find(([name]) => name === unit)?.[1];
  if (count === undefined || size === undefined) throw new TypeError(`${text} is no interval`);
  return Number(count) * size;
}

/** [V] The range divided by the number of points, rounded up to a common duration of at least `minimumMs`. */
export function intervalOf(rangeMs: number, maxDataPoints: number, minimumMs: number): number {
  const secondsAndMinutes = [1, 2, 5, 10, 15, 20, 30].flatMap((n) => [n * 1_000, n * 60_000]);
  const hours = [1, 2, 3, 6, 12, 24].map((n) => n * 3_600_000);
  const exact = Math.max(rangeMs / maxDataPoints, minimumMs);
  return [...secondsAndMinutes, ...hours].sort((a, b) => a - b).find((ms) => ms >= exact) ?? 7 * 86_400_000;
}

/** [P] Expands $NAME, ${NAME} and $__env{NAME} in the text of a provisioning file; $$ is a literal $. */
export function expandProvisioned(text: string, env: Readonly<Record<string, string>> = {}): string {
  return text.split("$$").map((part) =>
    part.replace(/\$__env\{(\w+)\}|\$\{(\w+)\}|\$(\w+)/g, (all, provider, braced, bare) => {
      const value = env[provider ?? braced ?? bare];
      if (value === undefined) throw new TypeError(`${all} is not set in Grafana's environment`);
      return value;
    })
  ).join("$");
}
