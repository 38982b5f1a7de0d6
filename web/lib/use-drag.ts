/**
 * Dragging a row to another place with a mouse, a pen or a finger. (Keys and buttons move a row without any of this.)
 *
 * Task: T-058 · Spec: plan.md#web-page
 */
import { useEffect, useRef, useState, type PointerEvent as ReactPointerEvent, type RefObject } from "react";

/** What is dragged, and its place among the other rows if it is dropped now. */
export interface Drag {
  id: string;
  index: number;
}

/** How near to the edge of the window the page begins to scroll, and how far with each frame; in pixels. */
const EDGE = 72;
const SCROLL = 10;

/**
 * The rows are the elements of `list` that have `data-movable`, which is their id. `onDrop` is called where a drag ends
 * with the pointer; Escape, or a pointer that is taken away, ends it with nothing done.
 */
export function useDrag(
  list: RefObject<HTMLElement | null>,
  onDrop: (drag: Drag) => void,
): [Drag | null, (event: ReactPointerEvent, id: string) => void] {
  const [drag, setDrag] = useState<Drag | null>(null);
  const listening = useRef<AbortController>(null);
  useEffect(() => () => listening.current?.abort(), []);

  function begin(event: ReactPointerEvent, id: string) {
    if (event.button !== 0 || !event.isPrimary) return;
    event.preventDefault();
    const stop = (listening.current = new AbortController());
    let y = event.clientY;

    function current(): Drag {
      const rows = [...(list.current?.querySelectorAll<HTMLElement>("[data-movable]") ?? [])];
      const above = rows.filter((row) => {
        const { top, height } = row.getBoundingClientRect();
        return row.dataset.movable !== id && top + height / 2 < y;
      });
      return { id, index: above.length };
    }

    function follow() {
      const next = current();
      setDrag((shown) => (shown?.id === next.id && shown.index === next.index ? shown : next));
    }

    function end() {
      stop.abort();
      setDrag(null);
    }

    function scrollAtTheEdge() {
      if (stop.signal.aborted) return;
      const step = y < EDGE ? -SCROLL : y > window.innerHeight - EDGE ? SCROLL : 0;
      if (step) window.scrollBy(0, step);
      if (step) follow();
      requestAnimationFrame(scrollAtTheEdge);
    }

    const on = <K extends keyof DocumentEventMap>(type: K, listener: (event: DocumentEventMap[K]) => void) =>
      document.addEventListener(type, listener, { signal: stop.signal });
    on("pointermove", (moved) => {
      y = moved.clientY;
      follow();
    });
    on("pointerup", () => {
      const dropped = current();
      end();
      onDrop(dropped);
    });
    on("pointercancel", end);
    on("keydown", (pressed) => pressed.key === "Escape" && end());
    follow();
    scrollAtTheEdge();
  }

  return [drag, begin];
}
