import type { Range } from "../view/view.ts";
import { localizeField } from "./times.ts";

/** Sends the fields of a range, which are in the viewer's zone, as instants. It listens at the document, because the page can be replaced. */
export function startRangeForms(): void {
  document.addEventListener("formdata", ({ target, formData }) => {
    if (!(target instanceof HTMLFormElement)) return;
    for (const field of fieldsOf(target)) {
      const { value, defaultValue, dataset: { instant = "" } } = field;
      // A field that nobody changed keeps its exact instant.
      formData.set(field.name, value === defaultValue ? instant : new Date(value).toISOString());
    }
  });
}

/** Shows a range that moves with the present, unless somebody edits the fields. */
export function showInRangeForm(range: Range): void {
  const fields = fieldsOf(document);
  const isEdited = fields.some((field) =>
    field === document.activeElement || field.value !== field.defaultValue
  );
  if (isEdited) return;
  for (const field of fields) {
    field.dataset.instant = new Date(field.name === "from" ? range.from : range.to).toISOString();
    localizeField(field);
  }
}

function fieldsOf(root: ParentNode): HTMLInputElement[] {
  return [...root.querySelectorAll<HTMLInputElement>("input[data-instant]")];
}
