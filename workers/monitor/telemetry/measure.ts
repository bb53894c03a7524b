/** Folder `telemetry`: log lines and metrics of the monitor. None of them has a customer's id. This file: the queries. */
import { isFatal, PipelineError, UsageError } from "../../_shared/errors.ts";
import { databaseFailure, isServerUnavailable, isTimeout, sqlState } from "../../_shared/postgres.ts";
import type { MonitorTelemetry } from "./telemetry.ts";

/**
 * Counts and times a query. If it fails, the log has the details and what to do, and the PipelineError that is thrown has a
 * sentence for the viewers. A fatal or a usage error stays as it is.
 */
export function measure(target: string, telemetry: MonitorTelemetry) {
  return async <T>(name: string, query: () => Promise<T>): Promise<T> => {
    const began = performance.now();
    try {
      const answer = await query();
      telemetry.queryAnswered(name, (performance.now() - began) / 1_000);
      return answer;
    } catch (error) {
      if (error instanceof UsageError || isFatal(error)) throw error;
      const failure = databaseFailure(`read for the page (${name})`, target, error);
      telemetry.queryFailed(name, failure);
      throw new PipelineError(failure.code, sentenceOf(error, target), { retriable: true, cause: error });
    }
  };
}

/** A table, column or function is missing. */
const NO_SCHEMA = /^(42P01|42703|42883|3F000)$/;

function sentenceOf(error: unknown, target: string): string {
  // The check of the login says in its message what it asked, which means nothing to a viewer.
  if (error instanceof PipelineError) return error.cause ? sentenceOf(error.cause, target) : error.message;
  const state = sqlState(error) ?? "";
  if (isTimeout(error)) return `PostgreSQL at ${target} did not finish a query in time`;
  if (NO_SCHEMA.test(state)) {
    return `The consumer has not created the tables of this release at ${target} yet. Start it: deno task consume`;
  }
  if (state === "" || isServerUnavailable(error)) return `PostgreSQL at ${target} does not answer`;
  return `PostgreSQL at ${target} refused a query; the log of the monitor says why`;
}
