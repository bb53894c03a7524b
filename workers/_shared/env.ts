/**
 * Settings: a pure function from a record of texts (the environment, or the flags of a command line) to typed values.
 * All problems are reported in one error, a line each, and a malformed value is never replaced by a default.
 */
import { z } from "zod";
import { UsageError } from "./errors.ts";
import { printable } from "./output.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** What `.env.example`, `--help` and error messages say of one setting. */
export interface SettingInfo {
  /** Completes "expected ...". */
  readonly expected: string;
  /** As it would be written in the environment; absent when there is none. */
  readonly default?: string | undefined;
  /** Never shown; may also come from the file that `<NAME>_FILE` names. */
  readonly secret?: boolean;
}

/** The facts of a setting's schema. */
export function settingInfo(schema: z.ZodType): SettingInfo {
  return schema.meta() as unknown as SettingInfo;
}

/** Declares a required setting, or one with a default. `parse` gives undefined for a text it does not accept. */
export function setting<T>(info: SettingInfo, parse: (text: string) => T | undefined): z.ZodType<T> {
  return z.string().optional().transform((text = info.default, context) => {
    const value = text === undefined ? undefined : parse(text);
    if (value !== undefined) return value;
    const given = info.secret ? "is malformed (not shown)" : `is ${JSON.stringify(text)}`;
    const is = text === undefined ? "is missing" : given;
    context.addIssue({ code: "custom", message: `${is}, expected ${info.expected}` });
    return z.NEVER;
  }).meta({ ...info }) as unknown as z.ZodType<T>;
}

/** A setting that may be left out: then its value is undefined. */
export function optional<T>(schema: z.ZodType<T>): z.ZodType<T | undefined> {
  return schema.optional().meta({ ...settingInfo(schema) });
}

/** The unit is shown in messages. */
type NumberOptions = Readonly<{ min: number; max: number; unit: string; default?: number }>;

/** Numbers of a pattern, bounds included. */
function numbers(kind: string, pattern: RegExp) {
  return ({ min, max, unit, default: initial }: NumberOptions): z.ZodType<number> =>
    setting({ expected: `${kind} from ${min} to ${max} (${unit})`, default: initial?.toString() }, (text) => {
      const value = pattern.test(text) ? Number(text) : NaN;
      return value >= min && value <= max ? value : undefined;
    });
}

export const integer = numbers("an integer", /^-?\d{1,15}$/);
export const decimal = numbers("a number", /^-?\d+(\.\d+)?$/);

/** Any text, or those of a pattern. */
function texts(secret: boolean) {
  return ({ pattern = /^/, ...info }: SettingInfo & { readonly pattern?: RegExp }): z.ZodType<string> =>
    setting({ ...info, secret }, (value) => pattern.test(value) ? value : undefined);
}

export const text = texts(false);
export const secret = texts(true);

export function choice<const T extends string>(values: readonly T[], initial?: T): z.ZodType<T> {
  const info = { expected: `one of ${values.join(", ")}`, default: initial };
  return setting(info, (value) => values.find((one) => one === value));
}

/** What `parseSettings` makes of a shape. */
export type Settings<S extends Record<string, z.ZodType>> = { readonly [K in keyof S]: z.infer<S[K]> };

/**
 * Parses all settings of a program; an empty text counts as none.
 *
 * @param program completes "Cannot start the ..."
 * @param options.readFile reads the file that `<NAME>_FILE` names; throws when it cannot
 * @param options.label how a setting is called in messages: `--rate` instead of `rate`
 * @throws UsageError with a line for each wrong setting
 */
export function parseSettings<S extends Record<string, z.ZodType>>(
  program: string,
  shape: S,
  source: Environment,
  { readFile, label = (name) => name }: {
    readonly readFile?: (path: string) => string;
    readonly label?: (name: string) => string;
  } = {},
): Settings<S> {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(shape)) {
    const raw = settingInfo(schema).secret ? readSecret(name, source, problems, readFile) : source[name];
    if (raw === unreadable) continue;
    const result = schema.safeParse(raw || undefined);
    if (result.success) values[name] = result.data;
    else problems.push(`${label(name)}: ${result.error.issues[0]?.message}`);
  }
  if (problems.length > 0) throw settingsError(program, problems);
  return values as Settings<S>;
}

/** The error for settings that are each fine but do not go together. */
export function settingsError(program: string, problems: readonly string[]): UsageError {
  const count = problems.length === 1 ? "1 setting is wrong" : `${problems.length} settings are wrong`;
  // A line each, whatever a value brings along.
  const lines = problems.map(printable);
  return new UsageError([`Cannot start the ${program}: ${count}`, ...lines].join("\n  "), lines);
}

/** Runs every part of reading a program's settings. @throws UsageError with the problems of all parts, each once */
export function readTogether<const P extends readonly (() => unknown)[]>(
  program: string,
  parts: P,
): { [K in keyof P]: ReturnType<P[K]> } {
  const problems = new Set<string>();
  const values = parts.map((part) => {
    try {
      return part();
    } catch (error) {
      if (!(error instanceof UsageError) || error.problems.length === 0) throw error;
      for (const problem of error.problems) problems.add(problem);
    }
  });
  if (problems.size > 0) throw settingsError(program, [...problems]);
  return values as { [K in keyof P]: ReturnType<P[K]> };
}

const unreadable = Symbol("unreadable");

function readSecret(
  name: string,
  source: Environment,
  problems: string[],
  readFile?: (path: string) => string,
): string | undefined | typeof unreadable {
  const path = source[`${name}_FILE`];
  if (!path) return source[name];
  if (source[name]) {
    problems.push(`${name}_FILE: is set together with ${name}, expected only one of the two`);
    return unreadable;
  }
  try {
    if (readFile === undefined) throw new TypeError("no file access");
    return readFile(path).replace(/\r?\n$/, "");
  } catch {
    problems.push(`${name}_FILE: cannot read ${path}, expected a readable file`);
    return unreadable;
  }
}
