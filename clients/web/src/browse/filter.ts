/** Names that contain all the words typed, in any order and case. */
export function matcher(typed: string): (name: string) => boolean {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  return (name) => {
    const lower = name.toLowerCase();
    return words.every((word) => lower.includes(word));
  };
}
