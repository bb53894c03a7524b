/** Settings from the environment or from flags. One error reports all problems; no default replaces a malformed value. */
import { z } from "zod";
import { UsageError } from "./errors.ts";
import { printable } from "./output.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface SettingInfo {
  /** The text after "expected" in messages. */
  readonly expected: string;
  /** The default as a text of the environment. */
  readonly default?: string | undefined;
  /** Its value is never shown, and may also come from the file that `<NAME>_FILE` names. */
  readonly secret?: boolean;
}

export function settingInfo(schema: z.ZodType): SettingInfo {
  return schema.meta() as unknown as SettingInfo;
}

/** @param parse returns undefined to reject the text */
export function setting<T>(info: SettingInfo, parse: (text: string) => T | undefined): z.ZodType<T> {
  return z.string().optional().transform((text = info.default, context) => {
    const value = text === undefined ? undefined : parse(text);
    if (value !== undefined) return value;
    const shown = info.secret ? "is malformed (not shown)" : `is ${JSON.stringify(text)}`;
    const actual = text === undefined ? "is missing" : shown;
    context.addIssue({ code: "custom", message: `${actual}, expected ${info.expected}` });
    return z.NEVER;
  }).meta({ ...info }) as unknown as z.ZodType<T>;
}

export function optional<T>(schema: z.ZodType<T>): z.ZodType<T | undefined> {
  return schema.optional().meta({ ...settingInfo(schema) });
}

type NumberOptions = Readonly<{ min: number; max: number; unit: string; default?: number }>;

function numberSetting(kind: string, pattern: RegExp) {
  return ({ min, max, unit, default: initial }: NumberOptions): z.ZodType<number> =>
    setting({ expected: `${kind} from ${min} to ${max} (${unit})`, default: initial?.toString() }, (text) => {
      const value = pattern.test(text) ? Number(text) : NaN;
      return value >= min && value <= max ? value : undefined;
    });
}

export const integer = numberSetting("an integer", /^-?\d{1,15}$/);
export const decimal = numberSetting("a number", /^-?\d+(\.\d+)?$/);

function textSetting(secret: boolean) {
  return ({ pattern = /^/, ...info }: SettingInfo & { readonly pattern?: RegExp }): z.ZodType<string> =>
    setting({ ...info, secret }, (value) => pattern.test(value) ? value : undefined);
}

export const text = textSetting(false);
export const secret = textSetting(true);

export function choice<const T extends string>(values: readonly T[], initial?: T): z.ZodType<T> {
  const info = { expected: `one of ${values.join(", ")}`, default: initial };
  return setting(info, (value) => values.find((known) => known === value));
}

export type Settings<S extends Record<string, z.ZodType>> = { readonly [K in keyof S]: z.infer<S[K]> };

/**
 * Parses all settings of a program. An empty text counts as missing.
 *
 * @param program its name in the message "Cannot start the PROGRAM"
 * @param options.readFile reads the file that `<NAME>_FILE` names
 * @param options.label name of a setting in messages: `--rate` instead of `rate`
 * @throws UsageError with one line for each wrong setting
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

export function settingsError(program: string, problems: readonly string[]): UsageError {
  const count = problems.length === 1 ? "1 setting is wrong" : `${problems.length} settings are wrong`;
  // A line break in a value must not begin a new line of the message.
  const lines = problems.map(printable);
  return new UsageError([`Cannot start the ${program}: ${count}`, ...lines].join("\n  "), lines);
}

/** @throws UsageError that names the problems of all parts, each once */
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
