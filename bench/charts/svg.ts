/** Text that stands in an SVG file. */
export function escape(content: string): string {
  return content.replace(/[<&]/g, (sign) => sign === "<" ? "&lt;" : "&amp;");
}
