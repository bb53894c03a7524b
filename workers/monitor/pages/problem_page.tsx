import { printable } from "../../_shared/output.ts";
import { Layout } from "./layout.tsx";

type Status = 400 | 404 | 500 | 503;

const PROBLEMS: Readonly<Record<Status, readonly [title: string, advice: string]>> = {
  400: ["This address cannot be shown", "Go back and change the range or the filter."],
  404: ["There is no such page", "Use the links at the top, or search for a customer by id."],
  500: ["Something went wrong", "Load the page again. If this continues, look at the monitor's log."],
  503: [
    "The data cannot be read at the moment",
    "The browser loads this page again every 5 seconds. The pipeline may still store readings, because this page only reads them.",
  ],
};

/** @param props.text says what happened, in a sentence */
export function ProblemPage({ status, text }: { readonly status: Status; readonly text: string }) {
  const [title, advice] = PROBLEMS[status];
  return (
    <Layout title={title}>
      <h1>{title}</h1>
      <p class="state trouble">{printable(text)}</p>
      <p>{advice}</p>
      <p>
        <a class="button" href="/">Go to the page Now</a>
      </p>
    </Layout>
  );
}
