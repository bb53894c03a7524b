import { printable } from "../../_shared/output.ts";
import type { PipelineState } from "../view/view.ts";
import { Flag } from "./flag.tsx";
import { Moment } from "./instant.tsx";

/** Such as "a, b and c". */
const LIST = new Intl.ListFormat("en-GB");

interface StateProps {
  readonly pipeline: PipelineState;
  /** Whether all problems are listed. Otherwise it is one line, which is hidden while the pipeline is well. */
  readonly whole?: boolean;
}

/**
 * What is wrong with the pipeline, at the top of a page. A screen reader announces only the sentence: the problems' texts may
 * have figures that change all the time.
 */
export function State({ pipeline, whole = false }: StateProps) {
  const { problems, hasStored, unknownSince } = pipeline;
  const kind = problems.length === 0 ? "ok" : "trouble";
  const names = problems.map(({ part }) => `the ${part === "broker" ? "Kafka broker" : part}`);
  const well = hasStored
    ? "The pipeline is well: every valid reading that arrives is stored."
    : "The pipeline is ready. No reading has arrived yet.";
  const texts = problems.map(({ text }) => printable(text));
  return (
    <div
      id="state"
      class={`state ${kind}${whole ? "" : " line"}`}
      hidden={!whole && kind === "ok"}
      data-late={unknownSince ?? undefined}
    >
      <p role="status">
        <Flag kind={kind}>
          {names.length === 0 ? well : `There is a problem with ${LIST.format(new Set(names))}.`}
        </Flag>
      </p>
      {whole ? texts.length > 0 && <ul>{texts.map((text) => <li>{text}</li>)}</ul> : (
        <p>
          {texts[0]} <a href="/">See the page Now</a>
        </p>
      )}
    </div>
  );
}

interface UnknownProps {
  readonly pipeline: PipelineState;
  readonly who: "customer" | "customers";
}

/** Nothing while what is stored can be taken for the present. */
export function Unknown({ pipeline: { at, stands, unknownSince }, who }: UnknownProps) {
  if (unknownSince === null) return null;
  return (
    <>
      <Flag kind="trouble">
        Unknown since <Moment at={unknownSince} now={at} />: the pipeline{" "}
        {stands ? "has stopped" : "is late"}.
      </Flag>{" "}
      The present state of the {who} is unknown. Last known state:{" "}
    </>
  );
}
