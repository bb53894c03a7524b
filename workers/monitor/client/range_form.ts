/** Forms and links for a range. They are handled at the document, because the page around them can be replaced. */
import { fieldValue } from "./local_time.ts";
import { localizeLinks } from "./times.ts";

/** A field that nobody changed keeps its exact instant. */
function instantOf({ value, dataset: { instant = "" } }: HTMLInputElement): string {
  return value === fieldValue(Date.parse(instant)) ? instant : new Date(value).toISOString();
}

export function startRangeForms(): void {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.dataset.range === undefined) return;
    event.preventDefault();
    const url = new URL(form.action);
    for (const [name, value] of new FormData(form)) {
      const field = form.elements.namedItem(name);
      const isInstant = field instanceof HTMLInputElement && field.dataset.instant !== undefined;
      if (typeof value === "string" && value !== "") {
        url.searchParams.set(name, isInstant ? instantOf(field) : value);
      }
    }
    location.assign(url);
  });
  // Before a click on "last night", because the page may be open since yesterday.
  document.addEventListener("click", () => localizeLinks(document), { capture: true });
}
