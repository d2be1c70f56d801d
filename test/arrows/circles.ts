/**
 * The circles among files that import one another, each as `a.ts → b.ts → a.ts`; none exactly where there is no circle. Types count:
 * of two files that need each other's, neither can be understood alone.
 * @param imports of each file, as paths from the checkout's root.
 */
export function circlesAmong(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const circles: string[] = [];
  const seen = new Set<string>();
  const path: string[] = [];
  const follow = (file: string): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' → '));
    if (seen.has(file)) return;
    seen.add(file);
    path.push(file);
    for (const next of imports.get(file) ?? []) follow(next);
    path.pop();
  };
  for (const file of imports.keys()) follow(file);
  return circles;
}
