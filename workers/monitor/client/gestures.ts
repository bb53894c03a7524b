/** Zooms and moves a range by wheel, fingers and keys. uPlot itself handles the drag with a mouse. */
import type { Range } from "../view/view.ts";
import { dragRange, zoomRange } from "./range.ts";

interface View {
  readonly range: () => Range;
  /** @param range undefined: the page's own */
  readonly show: (range: Range | undefined) => void;
}

const KEYS: Readonly<Record<string, (range: Range) => Range | undefined>> = {
  "+": (range) => zoomRange(range, 0.5),
  "=": (range) => zoomRange(range, 0.5),
  "-": (range) => zoomRange(range, 2),
  "0": () => undefined,
  ArrowLeft: (range) => dragRange(range, [0], [0.25]),
  ArrowRight: (range) => dragRange(range, [0.25], [0]),
};

/**
 * @param root has the focus
 * @param area contains the chart, which can be created anew during a gesture
 */
export function bindGestures(root: HTMLElement, area: HTMLElement, { range, show }: View): void {
  root.addEventListener("keydown", (event) => {
    const change = KEYS[event.key];
    // A button inside has its own keys, and so has the browser.
    if (change === undefined || event.target !== root) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    show(change(range()));
  });

  const placeOf = ({ clientX }: MouseEvent) => {
    // Inside the axes.
    const { left, width } = (area.querySelector(".u-over") ?? area).getBoundingClientRect();
    return (clientX - left) / width;
  };
  area.addEventListener("wheel", (event) => {
    // Without Ctrl, the wheel scrolls the page. A pinch on a touchpad is a wheel with Ctrl.
    if (!event.ctrlKey) return;
    event.preventDefault();
    show(zoomRange(range(), 2 ** Math.max(-1, Math.min(1, event.deltaY / 200)), placeOf(event)));
  }, { passive: false });

  /** The places of the fingers on the chart. */
  const fingers = new Map<number, number>();
  area.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" || fingers.size === 2) return;
    area.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, placeOf(event));
  });
  area.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = [...fingers.values()];
    fingers.set(event.pointerId, placeOf(event));
    show(dragRange(range(), before, [...fingers.values()]));
  });
  for (const end of ["pointerup", "pointercancel"] as const) {
    area.addEventListener(end, ({ pointerId }) => fingers.delete(pointerId));
  }
}
