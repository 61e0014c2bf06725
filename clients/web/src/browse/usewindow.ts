import { type RefObject, useEffect, useState } from "react";

const MARGIN = 10;

/** Which of many rows of one height can be seen in a scrolling element: only those need to be there. */
export function useWindow(scroller: RefObject<HTMLElement | null>, count: number, rowHeight: number): [number, number] {
  const [seen, setSeen] = useState<[number, number]>([0, 60]);
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const look = () => {
      const first = Math.floor(element.scrollTop / rowHeight) - MARGIN;
      const last = Math.ceil((element.scrollTop + element.clientHeight) / rowHeight) + MARGIN;
      setSeen((known) => (known[0] === first && known[1] === last ? known : [first, last]));
    };
    look();
    const resized = new ResizeObserver(look);
    resized.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      resized.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, [scroller, rowHeight]);
  return [Math.max(0, Math.min(seen[0], count)), Math.min(count, seen[1])];
}
