import { useEffect, useState } from "react";

export type Asked<T> =
  | { state: "waiting"; value?: undefined; error?: undefined }
  | { state: "there"; value: T; error?: undefined }
  | { state: "failed"; value?: undefined; error: Error };

/**
 * What a question is answered with. Asked again when `key` changes, and not at all while it is empty; an answer that comes
 * too late is dropped.
 */
export function useAsked<T>(key: string, question: (signal: AbortSignal) => Promise<T>): Asked<T> {
  const [answer, setAnswer] = useState<{ key: string; asked: Asked<T> }>();
  useEffect(() => {
    if (!key) return;
    const leaving = new AbortController();
    question(leaving.signal).then(
      (value) => {
        if (!leaving.signal.aborted) setAnswer({ key, asked: { state: "there", value } });
      },
      (error: unknown) => {
        if (!leaving.signal.aborted) setAnswer({ key, asked: { state: "failed", error: error as Error } });
      },
    );
    return () => {
      leaving.abort();
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the key says what is asked
  }, [key]);
  return answer?.key === key ? answer.asked : { state: "waiting" };
}
