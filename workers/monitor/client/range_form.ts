/** Sends the fields of a range, which are in the viewer's zone, as instants. It listens at the document, because the page can be replaced. */
export function startRangeForms(): void {
  document.addEventListener("formdata", ({ target, formData }) => {
    if (!(target instanceof HTMLFormElement)) return;
    for (const field of target.querySelectorAll<HTMLInputElement>("input[data-instant]")) {
      const { value, defaultValue, dataset: { instant = "" } } = field;
      // A field that nobody changed keeps its exact instant.
      formData.set(field.name, value === defaultValue ? instant : new Date(value).toISOString());
    }
  });
}
