import { type AnchorHTMLAttributes, type MouseEvent, useState } from "react";
import { hasCredentials } from "../server/session";
import { save } from "../server/signed";

interface Props extends AnchorHTMLAttributes<HTMLAnchorElement> {
  href: string;
}

/** A link to something to be saved, which is signed when it is followed, if that is needed. */
export function Download({ href, children, ...rest }: Props) {
  const [problem, setProblem] = useState("");
  const follow = (event: MouseEvent) => {
    if (!hasCredentials()) return;
    event.preventDefault();
    save(href).then(
      () => setProblem(""),
      (error: unknown) => setProblem((error as Error).message),
    );
  };
  return (
    <>
      <a {...rest} href={href} download onClick={follow}>
        {children}
      </a>
      {problem && (
        <span className="problem" role="alert">
          {problem}
        </span>
      )}
    </>
  );
}
