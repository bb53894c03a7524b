import { printable, printableLines } from "../../_shared/output.ts";
import type { Reject } from "../view/view.ts";
import { Instant } from "./instant.tsx";
import { explainReason } from "./reject_reasons.ts";
import { Table } from "./table.tsx";

export function RejectList({ rejects }: { readonly rejects: readonly Reject[] }) {
  return (
    <Table
      caption="Rejected records, the newest first"
      columns={["Rejected", "Why", "Content of the record"]}
      rows={rejects.map(({ at, reason, detail, topic, partition, offset, record, ...content }) => [
        <>
          <Instant at={at} as="date" />
          <div class="note id">
            <a href={`/rejects?record=${encodeURIComponent(record)}`}>
              {printable(topic)}, partition {partition}, offset {offset}
            </a>
          </div>
        </>,
        <>
          <strong class="reason">{printable(reason)}</strong>
          <p class="detail">{detail === "" ? explainReason(reason) : printable(detail)}</p>
        </>,
        <Payload {...content} />,
      ])}
    />
  );
}

function Payload({ payload, emptied }: Pick<Reject, "payload" | "emptied">) {
  if (payload === null) {
    return (
      <span class="note">{emptied ? "not kept: too old, or erased" : "none: the record has no value"}</span>
    );
  }
  const { encoding, text, cut } = payload;
  const notes = [
    text === "" && "The value has no bytes.",
    encoding === "hex" && "The value is not text. These are its bytes in hexadecimal.",
    cut && "Only the beginning is shown.",
  ];
  return (
    <>
      {text !== "" && <pre class="payload" tabindex={0} aria-label="Content">{printableLines(text)}</pre>}
      <span class="note">{notes.filter(Boolean).join(" ")}</span>
    </>
  );
}
