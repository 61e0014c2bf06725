import { useEffect, useRef, useState } from "react";

/** A button with something below it, which closes when one turns to something else. */
export function Popup({ title, children }: { title: string; children: React.ReactNode }) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const leave = (event: Event) => {
      const away = event instanceof KeyboardEvent ? event.key === "Escape" : !box.current?.contains(event.target as Node);
      if (away) setOpen(false);
    };
    document.addEventListener("pointerdown", leave);
    document.addEventListener("keydown", leave);
    return () => {
      document.removeEventListener("pointerdown", leave);
      document.removeEventListener("keydown", leave);
    };
  }, [open]);
  return (
    <div className="popup-box" ref={box}>
      <button type="button" className="plain-button" aria-expanded={open} aria-haspopup="dialog" onClick={() => setOpen(!open)}>
        {title}
      </button>
      {open && (
        <div className="popup" role="dialog" aria-label={title}>
          {children}
        </div>
      )}
    </div>
  );
}
